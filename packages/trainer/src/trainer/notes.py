"""What the user should know before a training begins, a sentence each."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpuskit.config import DatasetConfig, to_mapping
from trainer.identity import differences
from trainer.near import Wanted, near_runs, told
from trainer.runs import Run
from trainer.schedule import peak

if TYPE_CHECKING:
    from corpuskit.versions import Version
    from trainer.config import RunConfig
    from trainer.lineage import Leaks

__all__ = ["on_features", "on_leaks", "on_near_runs", "on_phrases", "on_schedule"]

FEW_BREAKS = 0.5  # share of pairs with a phrase break below which phrases teach little


def on_leaks(
    leaks: Leaks, version: Version, *, keep: bool, whose: str = "the parent or its ancestors"
) -> list[str]:
    """Name what the parent knows of the dev and eval splits."""
    notes = []
    if leaks.pairs:
        split = {pair.id: pair.split for pair in version.pairs}
        names = [split[pair] for pair in leaks.pairs]
        shown = ", ".join(leaks.sentences[:10]) + (", ..." if len(leaks.sentences) > 10 else "")
        notes.append(
            f"leak: {whose} were trained on {names.count('dev')} dev and "
            f"{names.count('eval')} eval pairs in the same voice ({shown}); "
            + ("they count in scores (--keep-leaks)" if keep else "left out of scores")
        )
    if leaks.other_voice:
        notes.append(
            f"{len(leaks.other_voice)} dev and eval pairs say sentences that {whose} "
            "heard in other voices; they count in scores"
        )
    return notes


def on_features(version: Version, parent: Run | None, whose: str = "the parent") -> list[str]:
    """Point out features that do not mean what the parent learnt."""
    if parent is None:
        return []

    def shared(settings: DatasetConfig) -> dict[str, Any]:
        mapping = to_mapping(settings)
        return {"audio": mapping["audio"], "features": mapping["features"]}

    changed = differences(shared(parent.settings), shared(version.settings))
    return [
        f"{key} is {ours}, but {whose}'s dataset had {theirs}: {whose}'s weights were "
        "learnt on other features"
        for key, (theirs, ours) in changed.items()
    ]


def on_schedule(config: RunConfig, pairs: int, first_step: int) -> list[str]:
    """Point out a training that ends before its learning rate has peaked."""
    steps = first_step + math.ceil(pairs / config.train.batch_size) * config.train.epochs
    rate, step = peak(config.optim.warm_up, config.optim.cap)
    if steps >= step:
        return []
    return [
        f"the training ends at step {steps:,}, before the learning rate peaks ({rate:.2e} at step "
        f"{step:,}): more epochs, or a smaller optim.warm_up (now {config.optim.warm_up:,})"
    ]


def on_phrases(config: RunConfig, version: Version) -> list[str]:
    """Point out a model of phrases on a dataset that hardly has any."""
    if config.model.prosody != "none":
        learnt = f'model.prosody = "{config.model.prosody}"'
    elif config.model.pitch_ar == "phrase":
        learnt = 'model.pitch_ar = "phrase"'
    else:
        return []
    pairs, silence = version.split("train"), version.settings.silence
    whole = sum(len(pair.target.phrases) < 2 for pair in pairs)
    if len(pairs) - whole >= FEW_BREAKS * len(pairs):
        return []
    return [
        f"{learnt} learns from phrases, but {whole} of {len(pairs)} train pairs are a single one "
        f"(silence.thresh {silence.thresh:g}, silence.min_silence_len {silence.min_silence_len}): "
        f"`corpuskit preview {version.name}` shows the thresholds that find pauses"
    ]


def on_near_runs(workspace: Path, wanted: Wanted) -> list[str]:
    """Point out runs that this nearly repeats."""
    return [told(each) for each in near_runs(workspace, wanted)]
