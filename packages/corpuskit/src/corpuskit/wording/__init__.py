"""Versions, differences and checks in words, for the terminal. Pure text, no printing."""
