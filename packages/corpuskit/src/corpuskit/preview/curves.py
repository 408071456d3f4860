"""Level curves of recordings: from the store where the workspace has them, else measured."""

from __future__ import annotations

import contextlib
from pathlib import Path

from corpuskit.errors import BadAudio, BadVersion, CorpuskitError
from corpuskit.layouts import Found
from corpuskit.levels import level_arrays
from corpuskit.objects import Store
from corpuskit.recordings import Facts, Index, load_levels, opened, stamp_of
from corpuskit.silence import LevelCurve, level_curve, levels_key

__all__ = ["open_curve"]


def open_curve(workspace: Path, index: Index, found: Found) -> tuple[Facts, LevelCurve | None]:
    """Return a recording's facts and level curve; no curve when it cannot be used.

    A curve that had to be measured is stored, so the next preview and build have it.
    """
    store = Store(workspace)
    facts = index.get(found.path, found.clip)
    if facts is not None and facts.problem:
        return facts, None
    if facts is not None:
        with contextlib.suppress(BadVersion):
            return facts, load_levels(store, levels_key(facts.digest).hex(), facts)
    stamp = stamp_of(found.path)
    facts, curve = _measured(found)
    if curve is not None:
        # A store that cannot be written costs only the time saved.
        with contextlib.suppress(CorpuskitError):
            store.put(levels_key(facts.digest), level_arrays(curve))
    index.put(found.path, stamp, facts, found.clip)
    return facts, curve


def _measured(found: Found) -> tuple[Facts, LevelCurve | None]:
    try:
        sound, facts = opened(found.path, found.clip)
    except BadAudio as error:
        return Facts(problem=error.problem), None
    return facts, level_curve(sound)
