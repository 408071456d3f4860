"""Pages to read and to hear, one self-contained HTML file each."""
