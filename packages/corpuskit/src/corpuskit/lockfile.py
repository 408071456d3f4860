"""A version in one small file for version control, and what a build elsewhere differs in.

A lock holds the settings without folders, the digests of what went in, the libraries and the
fingerprint; one recording a line, so that a text diff is readable. A build that is held to a
lock makes that fingerprint, or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from corpuskit.config import (
    DatasetConfig,
    TiersConfig,
    from_mapping,
    load_dataset,
    to_mapping,
    with_settings,
)
from corpuskit.diff import diff_settings
from corpuskit.errors import BadSetting, BadVersion, Refused
from corpuskit.files import read_json
from corpuskit.tables import plain
from corpuskit.tiers import HandTiers
from corpuskit.versions import SCHEMA, Recording, Version

__all__ = ["Lock", "differences", "lock_of", "locked_settings", "read_lock"]

_SCHEMA = 1
_DIGITS = 24  # of a digest: they name what differs, the fingerprint decides
_FOLDERS = re.compile(r"corpora\.[^.]+\.(root|labels|speakers(\..+)?)|tiers\.folder")


@dataclass(frozen=True, kw_only=True)
class Lock:
    """What a lock file says."""

    lock: int  # schema of this file
    schema: int  # of the version
    dataset: str
    fingerprint: str
    settings: DatasetConfig  # corpora without the folders of a machine
    libraries: dict[str, str]
    f0_ranges: dict[str, tuple[float, float]]  # Hz, by speaker, where the corpus tells it
    pairs: int
    recordings: tuple[str, ...]  # "DIGEST ID" of each used recording, sorted by id
    tiers: tuple[str, ...]  # the same of what was corrected by hand


def lock_of(version: Version) -> Lock:
    """Return the lock of a version."""
    return Lock(
        lock=_SCHEMA,
        schema=SCHEMA,
        dataset=version.name,
        fingerprint=version.fingerprint,
        settings=_without_folders(version.settings),
        libraries=dict(version.libraries),
        f0_ranges=_ranges(version.recordings),
        pairs=len(version.pairs),
        recordings=_lines(version.recordings),
        tiers=_tier_lines(version.tiers.values()),
    )


def _without_folders(settings: DatasetConfig) -> DatasetConfig:
    corpora = {
        name: replace(corpus, root="", labels="") for name, corpus in settings.corpora.items()
    }
    return replace(settings, corpora=corpora, tiers=TiersConfig())


def _ranges(recordings: Iterable[Recording]) -> dict[str, tuple[float, float]]:
    used = (r for r in recordings if r.state == "used")
    return {r.speaker: r.f0_range for r in used if r.f0_range is not None}


def _lines(recordings: Iterable[Recording]) -> tuple[str, ...]:
    return tuple(f"{r.digest[:_DIGITS]} {r.id}" for r in recordings if r.state == "used")


def _tier_lines(tiers: Iterable[HandTiers]) -> tuple[str, ...]:
    return tuple(f"{hand.digest[:_DIGITS]} {hand.recording}" for hand in tiers)


def read_lock(path: Path) -> Lock:
    """Read a lock file.

    Raises
    ------
    BadSetting
        It cannot be read, or is none.
    BadVersion
        It locks a version of another schema.

    """
    try:
        content = read_json(path)
    except OSError as error:
        raise BadSetting(f"cannot read {path}: {error.strerror}", "check the path") from None
    except (ValueError, RecursionError):
        raise BadSetting(f"{path} is not JSON", "write it again: corpuskit lock NAME") from None
    if not isinstance(content, dict) or content.get("lock") != _SCHEMA:
        raise BadSetting(f"{path} is no lock file of this release", "see corpuskit lock --help")
    if content.get("schema") != SCHEMA:
        raise BadVersion(
            f"{path} locks a version of schema {content.get('schema')}, "
            f"this release builds {SCHEMA}",
            "build with the release that wrote it, or build and lock anew",
        )
    try:
        return from_mapping(Lock, content, str(path))
    except BadSetting as error:
        raise BadSetting(error.problem, "write it again: corpuskit lock NAME") from None


def locked_settings(lock: Lock, config: Path | None, overrides: Sequence[str]) -> DatasetConfig:
    """Return a lock's settings with the folders of this machine.

    Folders come from "corpora.NAME.root=DIR" in `overrides`, else from the definition `config`.

    Raises
    ------
    BadSetting
        A corpus has no folder here.
    Refused
        An override is more than a folder.

    """
    for override in overrides:
        if not _FOLDERS.fullmatch(override.partition("=")[0].strip()):
            raise Refused(
                f"{override.partition('=')[0]} cannot be set with --locked, which gives it",
                "set folders only (--set corpora.NAME.root=DIR), or build without --locked",
            )
    mapping: dict[str, Any] = to_mapping(lock.settings)
    if config is not None:
        _take_folders(mapping, to_mapping(load_dataset(config, overrides)))
    mapping = with_settings(mapping, overrides)
    for name, corpus in mapping["corpora"].items():
        if not corpus.get("root"):
            raise BadSetting(
                f"the lock of dataset {lock.dataset} does not say where corpus {name} lies here",
                f"give its folder: --set corpora.{name}.root=DIR, or a definition with --config",
            )
        for key in ("root", "labels"):
            if corpus.get(key):
                corpus[key] = str(Path(corpus[key]).expanduser().resolve())
    return from_mapping(DatasetConfig, mapping, f"the lock of dataset {lock.dataset}")


def _take_folders(mapping: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    for name, corpus in mapping["corpora"].items():
        known = here["corpora"].get(name, {})
        corpus.update({key: known[key] for key in ("root", "labels") if key in known})
        folders = known.get("speakers")
        if isinstance(folders, dict) and set(folders) == set(corpus["speakers"]):
            corpus["speakers"] = folders
    mapping["tiers"].update(here["tiers"])


def differences(
    lock: Lock,
    settings: DatasetConfig,
    recordings: Sequence[Recording],
    pairs: int,
    tiers: Sequence[HandTiers],
    libraries: Mapping[str, str],
) -> Iterator[str]:
    """Say field by field how the makings of a build differ from a lock's."""
    for change in diff_settings(lock.settings, settings):
        yield f"setting {change.key}: {plain(change.before)} locked, {plain(change.after)} here"
    yield from _listed("recordings", lock.recordings, _lines(recordings), recordings)
    ranges = _ranges(recordings)
    for speaker in sorted(lock.f0_ranges.keys() | ranges.keys()):
        then, now = lock.f0_ranges.get(speaker), ranges.get(speaker)
        if then != now:
            yield f"F0 range of {speaker}: {plain(then)} Hz locked, {plain(now)} Hz here"
    yield from _listed("tiers by hand", lock.tiers, _tier_lines(tiers), ())
    if lock.pairs != pairs:
        yield f"pairs: {lock.pairs:,} locked, {pairs:,} here"
    for name in sorted(lock.libraries.keys() | libraries.keys()):
        then_, now_ = lock.libraries.get(name), libraries.get(name)
        if then_ != now_:
            yield f"library {name}: {plain(then_)} locked, {plain(now_)} here"


def _listed(
    what: str, locked: Sequence[str], here: Sequence[str], recordings: Sequence[Recording]
) -> Iterator[str]:
    then, now = _by_id(locked), _by_id(here)
    reasons = {r.id: r.reason for r in recordings if r.state != "used"}
    missing = [
        f"{name} ({reasons[name]})" if name in reasons else name
        for name in then.keys() - now.keys()
    ]
    other = [name for name in then.keys() & now.keys() if then[name] != now[name]]
    for kind, names in (
        ("missing here", missing),
        ("not locked", list(now.keys() - then.keys())),
        ("other content here", other),
    ):
        if names:
            more = f" and {len(names) - 10:,} more" if len(names) > 10 else ""
            yield f"{what}, {kind}: {len(names):,}: {', '.join(sorted(names)[:10])}{more}"


def _by_id(lines: Iterable[str]) -> dict[str, str]:
    parts = (line.partition(" ") for line in lines)
    return {name: digest for digest, _, name in parts}
