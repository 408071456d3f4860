"""Who is converted into whom: the [[pairs]] of a definition, spelt out speaker by speaker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from corpuskit.config import DatasetConfig, PairConfig
from corpuskit.errors import BadSetting, nearest

__all__ = ["directions"]


def directions(settings: DatasetConfig) -> list[tuple[str, str]]:
    """Return every (source, target) the settings ask for, each once, in order.

    Raises
    ------
    BadSetting
        A name is no speaker's and no corpus', or nobody is left to pair with.

    """
    wanted: dict[tuple[str, str], None] = {}
    for pair in settings.pairs:
        sources, targets = (_spelt_out(side, settings) for side in (pair.source, pair.target))
        ways = list(_ways(pair, sources, targets))
        if not ways:
            raise BadSetting(
                f"pairs from {pair.source!r} to {pair.target!r} pair nobody",
                "name two different speakers, or a corpus that has several",
            )
        wanted.update(dict.fromkeys(ways))
    return list(wanted)


def _ways(
    pair: PairConfig, sources: Sequence[str], targets: Sequence[str]
) -> Iterator[tuple[str, str]]:
    for source in sources:
        for target in _targets(pair, source, targets):
            yield source, target
            if pair.both:
                yield target, source


def _targets(pair: PairConfig, source: str, targets: Sequence[str]) -> list[str]:
    """Choose a source's targets: those whose hash with the source is lowest.

    A speaker more or less moves at most one of the others' choices.
    """
    others = [target for target in targets if target != source]
    if not pair.targets or pair.targets >= len(others):
        return others

    def rank(target: str) -> bytes:
        return hashlib.sha256(f"{pair.salt}/{source}>{target}".encode()).digest()

    return sorted(sorted(others, key=rank)[: pair.targets])


def _spelt_out(side: str | tuple[str, ...], settings: DatasetConfig) -> list[str]:
    """Return the speakers meant; a speaker's own name goes before a corpus of that name."""
    known = {name: corpus.voices for name, corpus in settings.corpora.items()}
    speakers = {speaker for voices in known.values() for speaker in voices}
    meant: dict[str, None] = {}
    for name in (side,) if isinstance(side, str) else side:
        if name in speakers:
            meant[name] = None
        elif name in known:
            meant.update(dict.fromkeys(known[name]))
        else:
            raise _unknown(name, speakers, known)
    return list(meant)


def _unknown(name: str, speakers: set[str], corpora: dict[str, tuple[str, ...]]) -> BadSetting:
    everybody = sorted({*speakers, *corpora})
    close = nearest(name, everybody)
    shown = ", ".join(everybody[:8]) + (", ..." if len(everybody) > 8 else "")
    return BadSetting(
        f"pairs name speaker {name!r}, which no corpus has",
        (f"did you mean {' or '.join(close)}? " if close else "") + f"known speakers: {shown}",
    )
