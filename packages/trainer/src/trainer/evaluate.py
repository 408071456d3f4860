"""Score a run on held-out pairs: converted and unconverted, side by side.

Every pair of the eval split is converted from the frames the dataset stored (the very ones
training saw), turned into sound, and compared with the target's recording. Beside it stand
what the untouched source scores and what the target's own mel scores through the same
vocoder. Every pair ends measured or left out with a reason.

Nothing here imports torch at module level: the processes that measure do without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from corpuskit.audio import write_wav
from corpuskit.config import to_mapping
from corpuskit.errors import BadAudio, BadSetting, CorpuskitError
from corpuskit.files import write_json
from trainer.lineage import find_leaks, read_heard
from trainer.metrics import DEFINITIONS, analyse, compare
from trainer.originals import Original, original
from trainer.scores import Evaluation, Utterance, as_mapping, as_result, summarise
from trainer.vocoder_runs import run_of
from trainer.vocoders.speech import Speech, Vocoder, aloud

if TYPE_CHECKING:
    from corpuskit.config import DatasetConfig
    from corpuskit.versions import Pair, Version
    from trainer.convert import Converter
    from trainer.runs import Run

__all__ = ["check_same_frames", "evaluate"]

SPLIT = "eval"


def evaluate(
    workspace: Path,
    tag: str,
    *,
    spk: str | None = None,
    checkpoint: str = "best",
    device: str = "auto",
    vocoder: str | None = None,
    keep_leaks: bool = False,
    jobs: int = 1,
) -> Iterator[Utterance | Evaluation]:
    """Score a run; yields each utterance as it is measured and the evaluation at the end.

    The evaluation is written to runs/TAG/evaluations/, the converted utterances to
    runs/TAG/samples/eval/, and the means to the run's record.

    Parameters
    ----------
    spk : dataset version to take the eval split of; the run's own when left out
    checkpoint : "best", "last" or an epoch
    vocoder : what makes sound; the run's own setting when left out
    keep_leaks : score pairs the run, a vocoder trained here, or ancestors learnt from, too
    jobs : processes that measure

    Raises
    ------
    CorpuskitError
        No such run, checkpoint, vocoder or dataset; one that does not fit the run; no pair to
        score; recordings that are gone or were changed since the build.
    """
    from corpuskit.versions import open_version
    from trainer.convert import Converter
    from trainer.runs import add_result, open_run

    run = open_run(workspace, tag)
    version = open_version(workspace, spk or run.record.dataset.name)
    check_same_frames(run.settings, version.settings, f"dataset {version.name}", f"run {tag}")
    chosen = run.checkpoint(checkpoint)
    converter = Converter.of(run, chosen, device, vocoder)

    pairs = version.split(SPLIT)
    left_out = _unknown_directions(converter, pairs)
    if not keep_leaks:
        left_out |= _leaks(run, pairs, "the run")
        speaker = run_of(workspace, vocoder or run.config.train.vocoder)
        if speaker is not None:
            left_out |= _leaks(speaker, pairs, "the vocoder")
    scored = [pair for pair in pairs if pair.id not in left_out]
    _check_any(version, pairs, scored, left_out)

    name = f"{version.name}-{chosen.folder.name}-{converter.vocoder.name}"
    sounds = run.folder / "samples" / SPLIT / name
    tasks = list(_tasks(version, scored, converter, sounds))
    utterances = []
    for utterance in _measured(tasks, jobs):
        utterances.append(utterance)
        yield utterance
    utterances += [
        Utterance(pair=pair, distances={}, reason=reason) for pair, reason in left_out.items()
    ]

    evaluation = Evaluation(
        run=tag,
        checkpoint=chosen.folder.name,
        checkpoint_digest=chosen.state().digests["weights.safetensors"],
        dataset=version.name,
        fingerprint=version.fingerprint,
        split=SPLIT,
        vocoder=converter.vocoder.name,
        figures=summarise(utterances),
        utterances=tuple(sorted(utterances, key=lambda utterance: utterance.pair)),
        definitions=DEFINITIONS,
        file=run.folder / "evaluations" / f"{name}.json",
        sounds=sounds,
    )
    write_json(evaluation.file, as_mapping(evaluation))
    add_result(workspace, tag, name, as_result(evaluation))
    yield evaluation


# ------------------------------------------------------------- what is scored


def check_same_frames(ours: DatasetConfig, theirs: DatasetConfig, name: str, label: str) -> None:
    """Make sure that a frame of the dataset is what a frame is to the run.

    Raises
    ------
    BadSetting
        It is not; the setting is named.
    """

    def frames(settings: DatasetConfig) -> dict[str, Any]:
        return {
            "audio.rate": settings.audio.rate,
            "align.reduction": settings.align.reduction,
            **{f"features.{key}": value for key, value in to_mapping(settings.features).items()},
        }

    wanted, found = frames(ours), frames(theirs)
    for key, value in wanted.items():
        if found[key] != value:
            raise BadSetting(
                f"{name} does not fit {label}: {key} is {found[key]}, not {value}",
                "evaluate on a version built with the run's features",
            )


def _leaks(run: Run, pairs: Sequence[Pair], what: str) -> dict[str, str]:
    leaks = find_leaks(read_heard(run.folder), pairs)
    return dict.fromkeys(leaks.pairs, f"leak: {what} or an ancestor was trained on this sentence")


def _unknown_directions(converter: Converter, pairs: Sequence[Pair]) -> dict[str, str]:
    directions = {(pair.source.speaker, pair.target.speaker) for pair in pairs}
    problems = {}
    for source, target in sorted(directions):
        try:
            converter.direction(source, target)
        except CorpuskitError:
            problems[source, target] = f"the run was not trained to convert {source} to {target}"
    return {
        pair.id: problems[pair.source.speaker, pair.target.speaker]
        for pair in pairs
        if (pair.source.speaker, pair.target.speaker) in problems
    }


def _check_any(
    version: Version, pairs: Sequence[Pair], scored: Sequence[Pair], left_out: Mapping[str, str]
) -> None:
    if not pairs:
        raise BadSetting(
            f"dataset {version.name} has no eval pairs", "build a version with --set split.eval=N"
        )
    if not scored:
        reasons = "; ".join(sorted(set(left_out.values())))
        raise BadSetting(
            f"no eval pair of dataset {version.name} can be scored ({reasons})",
            "choose another --spk, or --keep-leaks to score trained sentences all the same",
        )


# ------------------------------------------------------------------ measuring


@dataclass(frozen=True, kw_only=True)
class _Task:
    """All that a process needs to measure one pair; no model."""

    pair: str
    source: Original
    target: Original
    converted: Speech
    target_frames: Speech  # of the target's own recording
    vocoder: Vocoder
    rate: int  # Hz, of the vocoder's samples
    sound: Path  # where the converted utterance goes


def _tasks(
    version: Version, pairs: Sequence[Pair], converter: Converter, sounds: Path
) -> Iterator[_Task]:
    recordings = {recording.id: recording for recording in version.recordings}
    for pair in pairs:
        source, target = pair.source, pair.target
        given = (version.features(source), source.silences)
        (made,) = converter.made([given], source.speaker, target.speaker)
        own = version.features(target)
        yield _Task(
            pair=pair.id,
            source=original(version, recordings[source.recording], source),
            target=original(version, recordings[target.recording], target),
            converted=made.speech,
            target_frames=Speech(mel=own.mel, f0=own.f0),
            vocoder=converter.vocoder,
            rate=version.settings.audio.rate,
            sound=sounds / f"{source.speaker}-{target.speaker}-{pair.sentence}.wav",
        )


def _measured(tasks: Sequence[_Task], jobs: int) -> Iterator[Utterance]:
    """Measure in order, in `jobs` processes."""
    from joblib import Parallel, delayed

    results = Parallel(n_jobs=jobs, return_as="generator")(delayed(_measure)(t) for t in tasks)
    yield from results


def _measure(task: _Task) -> Utterance:
    """Turn mels into sound and measure all columns; writes the converted utterance."""
    converted = aloud(task.vocoder, task.converted)
    write_wav(task.sound, converted, task.rate)
    sounds: dict[str, tuple[npt.NDArray[Any], int]] = {
        "unconverted": task.source.read(),
        "converted": (converted, task.rate),
        "copy_synthesis": (aloud(task.vocoder, task.target_frames), task.rate),
    }
    reference = analyse(*task.target.read())
    distances = {}
    for column, sound in sounds.items():
        try:
            distances[column] = compare(analyse(*sound), reference)
        except BadAudio as error:
            reason = f"{column} {error.problem}"
            return Utterance(pair=task.pair, distances={}, reason=reason)
    return Utterance(pair=task.pair, distances=distances)
