"""Runs, epochs and results in words, for the terminal. Pure text, no printing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from corpuskit.tables import length, table
from trainer.catalogue import SEARCH, Line
from trainer.descent import Verdict
from trainer.history import Past
from trainer.remarks import Remark
from trainer.runs import VOCODER, Run
from trainer.wording.listening import heard, listened

if TYPE_CHECKING:
    from pathlib import Path

    from trainer.convert import Converted
    from trainer.loop import Ended
    from trainer.scores import Evaluation

__all__ = [
    "as_mapping",
    "began",
    "closing",
    "converted",
    "counted",
    "epoch_line",
    "evaluated",
    "line_as_mapping",
    "listing",
    "model_in_short",
    "past_shown",
    "remark_lines",
    "remarked",
    "shown",
]


def counted(count: int, what: str) -> str:
    """Say how many: "1 epoch", "2 epochs"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


# -------------------------------------------------------------------- training


def began(run: Run) -> Iterator[str]:
    """Say what is about to be trained, on what, from what."""
    record = run.record
    counts = record.dataset.pairs
    pairs = ", ".join(f"{counts[split]:,} {split}" for split in ("train", "dev", "eval"))
    yield f"run {run.tag}: dataset {record.dataset.name} ({pairs} pairs)"
    what = "vocoder hifigan" if record.kind == VOCODER else f"model {run.config.model.kind}"
    yield (
        f"{what}, {record.parameters / 1e6:.2f} M parameters, "
        f"{record.sessions[-1].device}, {record.precision}"
    )
    yield from _parent(run)
    if record.again_of is not None:
        yield f"again: the same training as run {record.again_of}"


def _parent(run: Run) -> Iterator[str]:
    parent, statistics = run.record.parent, run.record.statistics
    if parent is not None:
        yield (
            f"fine-tuned from run {parent.tag}, epoch {parent.epoch}: {parent.loaded} tensors "
            f"taken over, optimiser {parent.optimiser}"
            + (
                f"; {counted(len(parent.left), 'thing')} did not fit or are new:"
                if parent.left
                else ""
            )
        )
        yield from (f"  {line}" for line in parent.left)
    if run.record.mels is not None:
        mels = run.record.mels
        yield f"on the mels of run {mels.tag}, epoch {mels.epoch}, under teacher forcing"
    if statistics.choice == "none":
        return
    owner = "the dataset's own" if statistics.choice == "own" else "the parent's"
    yield f"normalised by {owner} statistics (of dataset {statistics.dataset})"


def epoch_line(row: Mapping[str, Any], epochs: int, *, best: bool) -> str:
    """Say how an epoch went."""
    train, dev = row["train"], row["dev"]
    if "postnet" in dev:
        told = f"train {train['total']:.4f}  dev {dev['total']:.4f}  postnet {dev['postnet']:.4f}"
    else:  # a vocoder's
        told = f"{_losses(train)}  dev mel {dev['mel']:.4f}"
    return (
        f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}  step {row['step']:,}  "
        f"lr {row['lr']:.2e}  {told}" + ("  best" if best else "")
    )


def _losses(losses: Mapping[str, float]) -> str:
    names = ("generator", "discriminators", "features", "mel")
    return "  ".join(f"{name} {losses[name]:.4f}" for name in names)


def closing(run: Run, ended: Ended, speech: float) -> str:
    """Close a training in one sentence; `speech` is one epoch's, in seconds."""
    state = ended.state
    best = (
        ""
        if state.best_loss is None
        else f", best dev loss {run.record.best_by} {state.best_loss:.4f} "
        f"at epoch {state.best_epoch}"
    )
    if ended.stopped:
        within = f" and {state.batch} batches of the next" if state.batch else ""
        return (
            f"Stopped run {run.tag} by {ended.stopped} after "
            f"{counted(state.epoch, 'epoch')}{within}{best}: "
            f"all is saved, `trainer resume {run.tag}` goes on."
        )
    pairs = run.record.dataset.pairs["train"]
    if ended.in_vain:
        best += f" (ended there: {counted(ended.in_vain, 'epoch')} without a lower one)"
    return (
        f"Trained run {run.tag}: {counted(state.epoch, 'epoch')}, {counted(state.step, 'step')} "
        f"over {counted(pairs, 'pair')} "
        f"({length(speech)} of speech){best}, in {length(run.record.seconds)}."
    )


# ------------------------------------------------------------------ list, show


LOSSES = ("postnet", "pitch", "energy", "duration")  # dev, at the best epoch
HEADER = (
    *("run", "dataset", "parent", "model", "batch", "status", "epochs", "best"),
    *(*LOSSES, "50 epochs", "heard", "verdict", "note"),
)
NOTE = 40  # characters of a note in a table


def listing(lines: Sequence[tuple[Line, int]], verdicts: Mapping[str, Verdict]) -> Iterator[str]:
    """Return the table of runs, each with its depth of descent."""
    rows = [_row(line, depth, verdicts.get(line.tag)) for line, depth in lines]
    yield from table(HEADER, rows)


def _row(line: Line, depth: int, verdict: Verdict | None) -> list[str]:
    return [
        f"{'  ' * depth}{line.tag}",
        line.dataset or "-",
        _origin(line),
        f"{'vocoder ' if line.kind == VOCODER else ''}{model_in_short(line.model)}"
        if line.model
        else "-",
        _batch(line),
        line.status,
        f"{line.epochs} a trial" if line.status == SEARCH else _two(line.epoch, "/", line.epochs),
        _best(line),
        *(_loss(line.best_losses.get(name)) for name in LOSSES),
        "-" if line.seconds_of_50 is None else length(line.seconds_of_50),
        heard(line.listening),
        _verdict(verdict),
        _short(line.remarks[-1].text if line.remarks else line.told),
    ]


def _best(line: Line) -> str:
    """Name the best epoch; with its loss where that has no column."""
    if line.best_epoch is None:
        return "-"
    plain = ("total", "mel") if line.kind == VOCODER else ("total",)
    others = [f"{name} {loss:.4f}" for name, loss in line.best_losses.items() if name in plain]
    shown = any(name in line.best_losses for name in LOSSES)
    return f"@{line.best_epoch}" if shown else f"{' '.join(others)} @{line.best_epoch}".strip()


def _loss(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _origin(line: Line) -> str:
    trial = f"({line.origin})" if line.origin else ""
    if line.parent_tag is None:
        return trial or "-"
    epoch = f"@{line.parent_epoch}" if line.parent_epoch is not None else ""
    return f"{line.parent_tag}{epoch} {trial}".rstrip()


def _two(first: int | None, between: str, second: int | None) -> str:
    if first is None and second is None:
        return "-"
    return between.join("?" if value is None else str(value) for value in (first, second))


def _batch(line: Line) -> str:
    if line.kind == VOCODER:
        return f"{line.batch_size} segments"
    return _two(line.batch_size, " x ", line.group_size)


def model_in_short(model: Mapping[str, Any]) -> str:
    """Name a model by what is not plain of it: "fs2vc", "fs2vc ar=phrase wgmm"."""
    words = [str(model["kind"])]
    if model.get("pitch_ar", "off") != "off":
        words.append("ar" if model["pitch_ar"] == "on" else f"ar={model['pitch_ar']}")
    if model.get("prosody", "none") != "none":
        words.append(str(model["prosody"]))
    if model.get("align", "dtw") != "dtw":
        words.append(str(model["align"]))
    return " ".join(words)


def _verdict(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    return f"{verdict.what} ({verdict.inherited_from})" if verdict.inherited_from else verdict.what


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= NOTE else f"{line[: NOTE - 1]}…"


def as_mapping(run: Run, verdict: Verdict | None = None) -> dict[str, Any]:
    """Return a run's record as plain JSON values, with status and verdict as they are now."""
    told = None if verdict is None else dataclasses.asdict(verdict)
    return {**dataclasses.asdict(run.record), "status": run.status, "verdict": told}


def line_as_mapping(line: Line, verdict: Verdict | None) -> dict[str, Any]:
    """Return what is known of a run of a diary as plain JSON values."""
    told = None if verdict is None else dataclasses.asdict(verdict)
    return {**dataclasses.asdict(line), "verdict": told}


def past_shown(past: Past, verdict: Verdict | None = None) -> Iterator[str]:
    """Describe a run that only a diary tells of."""
    run = past.run
    yield f"run {run.tag}: dataset {run.dataset or 'not told'}, from diary {past.diary}"
    if run.parent is not None:
        epoch = f" at epoch {run.parent_epoch}" if run.parent_epoch is not None else ""
        kept = {True: ", optimiser kept", False: ", optimiser reset", None: ""}
        yield f"fine-tuned from run {run.parent}{epoch}{kept[run.optimiser_kept]}"
    yield from _verdict_line(verdict)
    settings = {
        "batch_size": run.batch_size,
        "group_size": run.group_size,
        "warm_up": run.warm_up,
        "max_lr_scale": run.max_lr_scale,
    }
    told = [f"{key} = {value}" for key, value in settings.items() if value is not None]
    if told:
        yield f"settings told: {', '.join(told)}"
    if run.run_time:
        yield f"run time: {run.run_time}"
    yield "in the diary:"
    yield from (f"  {line}" for line in run.lines if line)
    yield from remark_lines([each for each in past.remarks if each.written])


def shown(
    run: Run,
    rows: Sequence[Mapping[str, Any]],
    checkpoints: Sequence[str],
    verdict: Verdict | None = None,
) -> Iterator[str]:
    """Describe one run."""
    record = run.record
    yield from began(run)
    yield f"status {run.status}" + (f": {record.problem}" if record.problem else "")
    yield from _verdict_line(verdict)
    yield f"identity {record.identity}"
    sessions = counted(len(record.sessions), "session")
    yield f"created {record.created}, {sessions}, {length(record.seconds)} of training"
    if record.origin:
        yield f"promoted from trial {record.origin}"
    if record.leaks.pairs:
        told = "counted in scores" if record.leaks.kept else "left out of scores"
        pairs = counted(len(record.leaks.pairs), "held-out pair")
        yield f"leaks: {pairs} the ancestors knew, {told}"
    if record.leaks.other_voice:
        yield f"heard before in other voices: {record.leaks.other_voice} held-out pairs"
    yield "settings:"
    yield from (f"  {key} = {value}" for key, value in _flat(record.parts["config"]).items())
    yield f"checkpoints: {', '.join(checkpoints)}"
    best = [row for row in rows if row["epoch"] == record.best_epoch]
    for row in {row["epoch"]: row for row in (*best, *rows[-3:])}.values():
        yield epoch_line(row, record.epochs, best=row["epoch"] == record.best_epoch)
    for name, result in record.results.items():
        yield f"evaluated {name}: {_figures(result)}"
    yield from listened(record.listening)
    yield from remark_lines(record.remarks)


def _verdict_line(verdict: Verdict | None) -> Iterator[str]:
    if verdict is not None:
        whose = f", given to run {verdict.inherited_from}" if verdict.inherited_from else ""
        yield f"verdict {verdict.what}{whose}: {verdict.text}"


def remark_lines(remarks: Sequence[Remark]) -> Iterator[str]:
    """Say what was noted, a line each."""
    for remark in remarks:
        told = f" ({remark.verdict})" if remark.verdict else ""
        yield f"note {remark.written[:10]}{told}: {remark.text}"


def _flat(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{table}.{key}": value
        for table, values in mapping.items()
        for key, value in values.items()
    }


def _figures(result: Mapping[str, Any]) -> str:
    """Say each figure as unconverted -> converted, under its definition's name."""
    before, after = result["unconverted"], result["converted"]
    return ", ".join(f"{name} {_number(before[name])} -> {_number(after[name])}" for name in after)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


# ----------------------------------------------------------- evaluate, convert


def evaluated(evaluation: Evaluation) -> str:
    """Close an evaluation in one sentence."""
    told = []
    for metric, words in (("mcd", "MCD {} -> {} dB"), ("log_f0_rmse", "log F0 RMSE {} -> {}")):
        means = [evaluation.figures[column][metric].mean for column in ("unconverted", "converted")]
        told.append(words.format(*("-" if mean is None else f"{mean:.3f}" for mean in means)))
    return (
        f"Evaluated run {evaluation.run} on "
        f"{counted(evaluation.measured, f'{evaluation.split} pair')} of "
        f"dataset {evaluation.dataset}: {', '.join(told)} (unconverted -> converted)."
    )


def converted(done: Sequence[tuple[Path, Converted]], out: Path, took: float) -> str:
    """Close conversions that took some seconds in all in one sentence."""
    first = done[0][1]
    seconds = sum(result.seconds for _, result in done)
    many = f"{counted(len(done), 'recording')} in {out}" if len(done) > 1 else str(done[0][0])
    return (
        f"Converted {first.source} -> {first.target}: {many}, {seconds:.2f} s of speech "
        f"in {took:.2f} s ({seconds / max(took, 1e-9):.1f}x real time), vocoder {first.vocoder}."
    )


def remarked(done: Sequence[tuple[Path, Converted]]) -> Iterator[str]:
    """Say what conversions suffered from: a line a remark, with the recordings it is of."""
    found: dict[str, list[Path]] = {}
    for path, result in done:
        for note in result.notes:
            found.setdefault(note, []).append(path)
    for note, paths in found.items():
        others = f" (and {counted(len(paths) - 1, 'other')})" if len(paths) > 1 else ""
        yield f"{paths[0]}{others} {note}"
