"""What can go wrong in training, as the user meets it.

    corpuskit.errors.CorpuskitError    every error both packages raise on purpose
      BadData                          pairs nothing can be learnt from
      BadRun                           a run or checkpoint that is damaged, or not ours
      BadVocoder                       a vocoder's weights that cannot be used
      Diverged                         a loss or gradient that is no longer a number
      LostProcess                      a process of several that train together is gone
      SameRun (a Refused)              a training that exists already, by name

Each carries one problem and, where there is one, the remedy; the command line
prints both in one line and exits with 2.
"""

from __future__ import annotations

from corpuskit.errors import CorpuskitError, Refused

__all__ = ["BadData", "BadRun", "BadVocoder", "Diverged", "LostProcess", "SameRun"]


class BadData(CorpuskitError):
    """Pairs of a dataset from which nothing can be learnt; they are named."""


class BadRun(CorpuskitError):
    """A run folder or checkpoint that is damaged or was not written by this package."""


class BadVocoder(CorpuskitError):
    """A vocoder's weights that are damaged, incomplete or not of the kind they should be."""


class Diverged(CorpuskitError):
    """Training stopped because a loss or gradient was infinite or not a number."""


class LostProcess(CorpuskitError):
    """A process of several that train one model ended, or does not answer."""


class SameRun(Refused):
    """A run with the same identity exists; `tag` is its name."""

    def __init__(self, tag: str, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.tag = tag
