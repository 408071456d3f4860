"""Everything the commands say, a file a subject. Pure text, no printing."""
