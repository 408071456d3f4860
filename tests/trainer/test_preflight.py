"""What cannot be learnt from is named, pair by pair, before anything is made."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from corpuskit.features import Features
from corpuskit.versions import Pair, Version, open_version
from trainer.data import Frames
from trainer.errors import BadData
from trainer.plan import load, plan
from trainer.preflight import Drift, faults
from training import asked, go, started

R = 3


@pytest.fixture(scope="module")
def version(n2c_workspace: Path) -> Version:
    return open_version(n2c_workspace, "N2C")


def told(version: Version, **changes: object) -> list[str]:
    """The faults of the first pair with some of its parts changed."""
    pair = version.pairs[0]
    parts = {
        "pair": pair,
        "source": version.features(pair.source),
        "target": version.features(pair.target),
        "durations": version.durations(pair),
    }
    for name, change in changes.items():
        assert callable(change)
        parts[name] = change(parts[name])
    return faults(**parts, reduction=R)  # type: ignore[arg-type]


def with_value(name: str, value: float) -> Callable[[Features], Features]:
    def change(features: Features) -> Features:
        array = np.array(getattr(features, name))
        array[5] = value
        return dataclasses.replace(features, **{name: array})

    return change


def flat(name: str, value: float) -> Callable[[Features], Features]:
    return lambda f: dataclasses.replace(f, **{name: np.full_like(getattr(f, name), value)})


def phrases(role: str, lengths: tuple[int, ...]) -> Callable[[Pair], Pair]:
    return lambda pair: dataclasses.replace(
        pair, **{role: dataclasses.replace(getattr(pair, role), phrases=lengths)}
    )


def test_whole_pairs_have_no_faults(version: Version) -> None:
    for pair in version.pairs:
        sides = version.features(pair.source), version.features(pair.target)
        assert faults(pair, *sides, version.durations(pair), R) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"source": with_value("mel", np.nan)}, "source's mel holds values that are no numbers"),
        ({"target": with_value("energy", np.inf)}, "target's energy holds values that are no"),
        ({"target": flat("f0", 0.0)}, "target's F0 is zero throughout"),
        ({"source": flat("mel", -11.5)}, "source's mel never changes"),
        ({"target": lambda f: f.cut(0, 2)}, "target has 2 frames, a reduced frame needs 3"),
        ({"durations": lambda d: d[:-1]}, "reduced source frames"),
        ({"durations": lambda d: d + np.eye(1, len(d), dtype=d.dtype)[0]}, "durations sum to"),
        ({"durations": lambda d: d - 1000}, "a duration is negative"),
        ({"pair": phrases("target", (0, 9))}, "target has an empty phrase"),
        ({"pair": phrases("source", ())}, "source has an empty phrase"),
        ({"pair": phrases("source", (1, 1))}, "source's phrases sum to 2, not to"),
    ],
)
def test_a_fault_is_told(version: Version, changes: dict[str, object], fault: str) -> None:
    assert any(fault in text for text in told(version, **changes))


def test_all_faulty_pairs_are_named_and_no_run_is_made(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The diary: "pitch was all zero", found after the training."""
    real = Version.features
    silent = {"C/" + pair.sentence for pair in open_version(workspace, "N2C").split("train")[:2]}

    def features(self: Version, side: object) -> Features:
        found = real(self, side)  # type: ignore[arg-type]
        if side.recording in silent:  # type: ignore[attr-defined]
            return dataclasses.replace(found, f0=np.zeros_like(found.f0))
        return found

    monkeypatch.setattr(Version, "features", features)
    with pytest.raises(BadData) as raised:
        load(plan(asked(workspace)))

    said = str(raised.value)
    assert said.startswith("nothing can be learnt from 2 pairs of dataset N2C: target's F0 is zero")
    for name in silent:
        assert f"N>{name}" in said
    assert not (workspace / "runs").exists()


def test_loaded_pairs_are_the_ones_a_session_loads_itself(workspace: Path) -> None:
    from trainer.checkpoint import last
    from trainer.session import session
    from trainer.signals import Stop
    from training import CPU

    request = asked(workspace, tag="one", again=True)
    made = plan(request)
    one = started(workspace, tag="one", again=True)
    for _ in session(one, made.version, CPU, Stop(), load(made)):
        pass
    other = go(started(workspace, tag="other", again=True))

    states = [last(run.checkpoints).state() for run in (one, other)]
    assert states[0].digests["weights.safetensors"] == states[1].digests["weights.safetensors"]


# ------------------------------------------------------------------------- statistics


def frames(mean: float, spread: float, bands: int = 4, count: int = 4000) -> Frames:
    draw = np.random.default_rng(1)
    mel = draw.normal(0, 1, (count, bands))
    mel[:, 2] = draw.normal(mean, spread, count)
    one = draw.normal(mean, spread, count)
    return Frames(
        mel=mel.astype(np.float32),
        pitch=one.astype(np.float32),
        energy=draw.normal(0, 1, count).astype(np.float32),
    )


@pytest.mark.parametrize(("mean", "spread"), list(itertools.product((0, 2.5, -2.5), (0.4, 1, 2.5))))
def test_statistics_that_fit_are_not_remarked_on(mean: float, spread: float) -> None:
    drift = Drift()
    drift.add("target", vars(frames(mean, spread)))

    assert drift.notes() == []


def test_means_and_spreads_far_off_are_told_with_the_worst_band() -> None:
    drift = Drift()
    for part in np.array_split(np.arange(4000), 3):  # counted recording by recording
        whole = frames(-5.0, 1.0)
        cut = {name: getattr(whole, name)[part] for name in ("mel", "pitch", "energy")}
        drift.add("source", cut)
    narrow = Drift()
    narrow.add("target", vars(frames(0.0, 0.1)))

    mel, pitch = drift.notes()
    assert mel.startswith("source mel, band 3: the training pairs lie -5.0 deviations")
    assert pitch.startswith("source pitch: the training pairs lie -5.0 deviations")
    assert narrow.notes()[0].startswith("target pitch: the training pairs vary 0.098 times as")
