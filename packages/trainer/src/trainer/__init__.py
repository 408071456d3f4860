"""Voice-conversion training on corpuskit versions, with the lineage of runs."""

__version__ = "0.1.0"
