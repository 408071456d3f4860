"""Pages to read and to hear: how two versions differ, suspect pairs, what thresholds would cut."""
