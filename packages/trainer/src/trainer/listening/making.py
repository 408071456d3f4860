"""A listening test of some runs: which sentences, how each run says them, and the key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from corpuskit.audio import resample
from corpuskit.errors import BadAudio, BadSetting, CorpuskitError
from corpuskit.versions import Pair, Version, open_version
from trainer.convert import Converter
from trainer.errors import BadRun
from trainer.evaluate import check_same_frames
from trainer.heldout import drawn, held_out
from trainer.listening.design import PREFERENCE, SCORE, Key, Stimulus, Subject, designed, new_id
from trainer.listening.loudness import DEFINITION, levelled, loudness, low_passed
from trainer.originals import original
from trainer.runs import Run, open_run, utc_now
from trainer.vocoder_runs import run_of
from trainer.vocoders.speech import aloud

if TYPE_CHECKING:
    from trainer.checkpoint import Checkpoint

__all__ = ["ANCHOR", "PARTS", "Made", "Request", "make"]

Float64 = npt.NDArray[np.float64]
SPLIT = "eval"
ANCHOR = "the target's recording, low-passed at 3.5 kHz"
PARTS = {"preference": (PREFERENCE,), "score": (SCORE,), "both": (PREFERENCE, SCORE)}
ANSWER = 4.0  # seconds a listener takes to answer a question
AGAIN = 1.5  # times a sound is played on average


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for."""

    workspace: Path
    places: tuple[tuple[str, str], ...]  # run and checkpoint: best, last or an epoch
    sentences: int = 10
    seed: int = 0
    spk: str | None = None  # dataset version; that of the first run when None
    test: str = "both"  # of PARTS
    vocoders: tuple[str, ...] = ()  # one for all, or one for each run; each run's own when empty
    device: str = "auto"

    @property
    def heard(self) -> list[tuple[str, str, str | None]]:
        """What is compared: run, checkpoint, and vocoder where one is asked for."""
        few: Sequence[str | None] = self.vocoders or (None,)
        each = few if len(few) == len(self.places) else [few[0]] * len(self.places)
        return [(*place, vocoder) for place, vocoder in zip(self.places, each, strict=True)]


@dataclass(frozen=True, kw_only=True)
class Made:
    """A test, ready to be written."""

    key: Key
    sounds: Mapping[str, Float64]  # (n,) samples by the stimulus's id, all at `key.level`
    rate: int  # Hz
    asked: int  # sentences

    @property
    def seconds(self) -> float:
        """How long a listener will need, roughly."""
        total = 0.0
        for trial in self.key.trials.values():
            heard = sum(len(self.sounds[name]) for name in (trial.reference, *trial.stimuli))
            questions = 1 if trial.part == PREFERENCE else 2 * len(trial.stimuli)
            total += AGAIN * heard / self.rate + ANSWER * questions
        return total


Sounds = dict[tuple[str, int | None], Float64]  # of one sentence, by role and number of the run


@dataclass(frozen=True, kw_only=True)
class _Voices:
    """All that is needed to make the sounds of a sentence."""

    version: Version
    converters: Sequence[Converter]
    anchored: bool  # whether an anchor is wanted


def make(request: Request) -> Iterator[str | Made]:
    """Make a test; yields the name of each sentence that is in it, and the test at the end.

    The sentences are pairs of the eval split that no run nor an ancestor was trained on and every
    run can convert, drawn by a hash of their names and the seed. Where a run, or the recording,
    fails on one it is left out for all, with the reason in the key.

    Raises
    ------
    CorpuskitError
        No such run, checkpoint, dataset or vocoder; runs that do not fit the dataset or say the
        same twice; too few runs for what is asked; no sentence left.
    """
    _check(request)
    runs = [open_run(request.workspace, tag) for tag, _ in request.places]
    version = open_version(request.workspace, request.spk or runs[0].record.dataset.name)
    for run in runs:
        check_same_frames(
            run.settings, version.settings, f"dataset {version.name}", f"run {run.tag}"
        )
    checkpoints = [
        run.checkpoint(which) for run, (_, which) in zip(runs, request.places, strict=True)
    ]
    converters = [
        Converter.of(run, checkpoint, request.device, vocoder)
        for run, checkpoint, (*_, vocoder) in zip(runs, checkpoints, request.heard, strict=True)
    ]
    subjects = _subjects(runs, checkpoints, converters)
    parts = PARTS[request.test]
    voices = _Voices(version=version, converters=converters, anchored=SCORE in parts)
    speakers = [
        run_of(request.workspace, vocoder or run.config.train.vocoder)
        for run, (*_, vocoder) in zip(runs, request.heard, strict=True)
    ]
    pairs, left_out = held_out(version, runs, SPLIT, [run for run in speakers if run is not None])
    made: dict[str, Sounds] = {}
    for pair in drawn(pairs, request.seed):
        if len(made) == request.sentences:
            break
        try:
            made[pair.id] = _sounds(voices, pair)
        except CorpuskitError as error:
            left_out[pair.id] = str(error)
            continue
        yield pair.id
    _check_any(version, made, left_out)
    yield _test(request, version, subjects, made, left_out)


# -------------------------------------------------------------------------- checks


def _check(request: Request) -> None:
    if not request.places:
        raise BadSetting("no run to listen to", "trainer listen N2C_4 N2C_5 --html DIR")
    if len(request.vocoders) not in (0, 1, len(request.places)):
        raise BadSetting(
            f"{len(request.vocoders)} vocoders for {len(request.places)} runs",
            "give one for all, or one for each in the same order",
        )
    if len(set(request.heard)) < len(request.places):
        raise BadSetting(
            "a run stands twice", "name different runs, epochs (N2C_4@10 N2C_4@20) or vocoders"
        )
    if PREFERENCE in PARTS[request.test] and len(request.places) < 2:
        raise BadSetting("a preference needs two runs", "name another run, or ask for --test score")


def _subjects(
    runs: Sequence[Run], checkpoints: Sequence[Checkpoint], converters: Sequence[Converter]
) -> tuple[Subject, ...]:
    found = tuple(
        Subject(
            run=run.tag,
            checkpoint=place.folder.name,
            digest=place.state().digests["weights.safetensors"],
            vocoder=converter.vocoder.name,
        )
        for run, place, converter in zip(runs, checkpoints, converters, strict=True)
    )
    for place, subject in enumerate(found):
        for other in found[:place]:
            if (subject.digest, subject.vocoder) == (other.digest, other.vocoder):
                raise BadSetting(
                    f"{other.label} and {subject.label} are the same weights and sound the same",
                    "name checkpoints that differ",
                )
    return found


def _check_any(version: Version, made: Mapping[str, Sounds], left_out: Mapping[str, str]) -> None:
    if made:
        return
    if not left_out:
        raise BadSetting(
            f"dataset {version.name} has no eval pairs", "build a version with --set split.eval=N"
        )
    reasons = "; ".join(sorted(set(left_out.values())))
    raise BadSetting(
        f"no eval pair of dataset {version.name} can be heard from all of them ({reasons})",
        "choose another --spk, or other runs",
    )


# -------------------------------------------------------------------------- sounds


def _sounds(voices: _Voices, pair: Pair) -> Sounds:
    """Return the recording, each run's conversion and the anchor, none of them silent."""
    version = voices.version
    rate = version.settings.audio.rate
    recording = next(each for each in version.recordings if each.id == pair.target.recording)
    natural = resample(*original(version, recording, pair.target).read(), rate)
    sounds: Sounds = {("reference", None): natural}
    for number, converter in enumerate(voices.converters):
        sounds["run", number] = _converted(version, converter, pair)
    if voices.anchored:
        sounds["hidden", None] = natural
        sounds["anchor", None] = low_passed(natural, rate)
    for (role, whose), samples in sounds.items():
        try:
            loudness(samples, rate)  # what is silent cannot be brought to a level
        except BadAudio as error:
            name = role if whose is None else voices.converters[whose].label
            raise BadAudio(f"{name} {error.problem} on {pair.id}") from None
    return sounds


def _converted(version: Version, converter: Converter, pair: Pair) -> Float64:
    source, target = pair.source, pair.target
    between = converter.direction(source.speaker, target.speaker)
    given = (version.features(source), tuple(source.silences))
    (made,) = converter.made([given], *between)
    if len(made.speech) < 2:
        raise BadRun(f"{converter.label} makes no speech of {pair.id}")
    return np.asarray(aloud(converter.vocoder, made.speech), dtype=np.float64)


def _test(
    request: Request,
    version: Version,
    subjects: tuple[Subject, ...],
    made: Mapping[str, Sounds],
    left_out: Mapping[str, str],
) -> Made:
    """Draw the design, and bring all its sounds to one level."""
    chance = SystemRandom()
    stimuli, trials = designed(len(subjects), list(made), PARTS[request.test], chance)
    rate = version.settings.audio.rate
    even = levelled({name: _sound_of(made, each) for name, each in stimuli.items()}, rate)
    key = Key(
        test=new_id(chance),
        created=utc_now(),
        dataset=version.name,
        fingerprint=version.fingerprint,
        split=SPLIT,
        seed=request.seed,
        level=round(even.level, 2),
        loudness=DEFINITION,
        anchor=ANCHOR,
        subjects=subjects,
        stimuli=stimuli,
        trials=trials,
        left_out=dict(left_out),
    )
    return Made(key=key, sounds=even.sounds, rate=rate, asked=request.sentences)


def _sound_of(made: Mapping[str, Sounds], stimulus: Stimulus) -> Float64:
    return made[stimulus.sentence][stimulus.role, stimulus.subject]
