"""Praat TextGrids for correction by hand: one a recording, however many pairs it is in.

    SPEAKER/SENTENCE.TextGrid    tiers speech, phrases and cut; phones where labels are found
    automatic.json               which of them hold the thresholds' decisions, by digest

`corpuskit build --tiers` takes the folder back. What a version decided about a recording is
recomputed from its level curve (the version itself keeps frames, not samples) and held
against what the version says.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from corpuskit.corrections import AUTOMATIC, SUFFIX
from corpuskit.errors import BadLabels, BadVersion
from corpuskit.exports.request import Means, Note, Progress, in_threads, used_sides
from corpuskit.files import canonical, fill_file
from corpuskit.labels import LabelFinder, Phone, Place, check_against, read_labels
from corpuskit.objects import Store
from corpuskit.recordings import Facts, load_levels
from corpuskit.silence import Segmentation, analyse
from corpuskit.textgrids import written
from corpuskit.tiers import textgrid_of, tiers_digest
from corpuskit.versions import Recording, Side, Version

__all__ = ["segmentation_in", "write_textgrids"]


@dataclass(frozen=True, kw_only=True)
class _Done:
    """One recording's TextGrid was written."""

    recording: str
    digest: str
    problem: str  # of its labels


def write_textgrids(version: Version, out: Path, means: Means) -> Iterator[Progress | Note]:
    """Write a TextGrid for every recording of the chosen pairs."""
    sides = used_sides(version, means.pairs(version))
    labels = _Labels(version)
    automatic: dict[str, str] = {}
    task = functools.partial(_write_recording, version, out, labels)
    for done, each in in_threads(task, sides, means):
        if each.recording not in version.tiers:
            automatic[each.recording] = each.digest
        if each.problem:
            yield Note(text=f"no phone tier for {each.recording}: {each.problem}")
        yield Progress(stage="textgrids", done=done, total=len(sides))
    fill_file(out / AUTOMATIC, f"{canonical(automatic)}\n".encode())


def _write_recording(
    version: Version, out: Path, labels: _Labels, used: tuple[Side, Recording]
) -> _Done:
    side, recording = used
    segmentation = segmentation_in(version, recording, side)
    phones, problem = labels.of(recording)
    grid = textgrid_of(segmentation, recording.samples, recording.rate, phones)
    path = out / f"{recording.id}{SUFFIX}"
    path.parent.mkdir(parents=True, exist_ok=True)
    fill_file(path, written(grid))
    digest = tiers_digest(segmentation, recording.samples, recording.rate)
    return _Done(recording=recording.id, digest=digest, problem=problem)


def segmentation_in(version: Version, recording: Recording, side: Side) -> Segmentation:
    """Return what a version decided about a used recording, to the sample.

    Raises
    ------
    BadVersion
        The level curve is missing or damaged, or gives another outcome than the version's.

    """
    hand = version.tiers.get(recording.id)
    if hand is not None:
        return hand.segmentation
    facts = Facts(digest=recording.digest, rate=recording.rate, samples=recording.samples)
    remedy = f"`corpuskit build {version.name}` makes it again"
    try:
        curve = load_levels(Store(version.workspace), recording.levels, facts)
    except BadVersion as error:
        problem = f"dataset {version.name}, recording {recording.id}: {error.problem}"
        raise BadVersion(problem, remedy) from None
    decided = analyse(curve, version.settings.silence)
    if (decided.start, decided.stop) != tuple(side.samples):
        raise BadVersion(
            f"dataset {version.name}, recording {recording.id}: this release cuts it at samples "
            f"{decided.start} to {decided.stop}, the version at {side.samples[0]} to "
            f"{side.samples[1]}",
            "export it with the release that built it, or build it again under a new name",
        )
    return decided


class _Labels:
    """The phone labels of a version's recordings, where the corpora have some."""

    def __init__(self, version: Version) -> None:
        self._version = version
        places: dict[str, list[Place]] = defaultdict(list)
        for each in version.recordings:
            place = Place(recording=each.id, relative=each.path, speaker=each.speaker)
            places[each.corpus].append(place)
        self._finders = {
            name: LabelFinder(Path(corpus.labels) if corpus.labels else None, places[name])
            for name, corpus in version.settings.corpora.items()
        }

    def of(self, recording: Recording) -> tuple[tuple[Phone, ...], str]:
        """Return a recording's phones (none without labels) and what is wrong with its labels."""
        finder = self._finders[recording.corpus]
        path = finder.of(recording.id, self._version.source_path(recording))
        if path is None:
            return (), ""
        if recording.clip is not None:
            return (), f"it is a part of its file, and {path} labels the whole"
        if recording.note:
            return (), f"it is not the sentence its file is named after, for which {path} was made"
        try:
            phones = read_labels(path)
            check_against(phones, recording.samples / recording.rate, path)
        except BadLabels as error:
            return (), str(error)
        return phones, ""
