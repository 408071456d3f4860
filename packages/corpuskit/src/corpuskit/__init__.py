"""Parallel speech corpora as reproducible, named dataset versions."""

__version__ = "0.1.0"
