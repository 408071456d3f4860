"""Versions for other programs: one file a format, `registry` knows them all."""
