"""Pages of finished versions: how two differ, and which pairs are suspect; to read and to hear."""
