"""The diary people keep by hand, written from the record: `trainer memo`.

The keys are those of the form it takes after, which `trainer.diary` reads: spk, pretrain, 実行時間
(run time), batch_size, group_size, warm_up_rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any

from corpuskit.config import DatasetConfig, natural
from corpuskit.diff import diff_settings
from corpuskit.tables import plain
from trainer.catalogue import Line
from trainer.config import idle, with_defaults
from trainer.diary import Diary, PastRun
from trainer.identity import differences
from trainer.remarks import Remark
from trainer.runs import VOCODER, Run
from trainer.wording.runs import model_in_short

__all__ = ["MadeVersion", "memo"]

MadeVersion = tuple[str, DatasetConfig, DatasetConfig | None]  # name, settings, the one's before


def memo(
    diaries: Sequence[Diary],
    versions: Sequence[MadeVersion],
    runs: Sequence[Run],
    searches: Sequence[Line] = (),
    remarks: Mapping[str, Sequence[Remark]] = MappingProxyType({}),
) -> Iterator[str]:
    """Write a diary: what older ones say, word for word, and after it what was recorded.

    `remarks` are what was noted since about runs of older diaries, by tag; they stand at the end
    of the run's entry.
    """
    if not diaries:
        yield from ("# memo", "")
    for diary in diaries:
        yield from diary.before
    yield "- spk"
    yield from _lines(dataset.lines for diary in diaries for dataset in diary.datasets)
    yield from _lines(_dataset(*version) for version in versions)
    yield "- tag"
    yield from _lines(
        _past(run, remarks.get(run.tag, ())) for diary in diaries for run in diary.runs
    )
    recorded = [(natural(run.tag), _run(run)) for run in runs]
    recorded += [(natural(line.tag), _search(line)) for line in searches]
    yield from _lines(lines for _, lines in sorted(recorded, key=lambda each: each[0]))
    for diary in diaries:
        yield from diary.after


_lines = chain.from_iterable


def _dataset(name: str, settings: DatasetConfig, before: DatasetConfig | None) -> Iterator[str]:
    yield f"    - {name}"
    yield f"        - silence_thresh_t: {settings.silence.thresh:g}"
    yield f"        - min_silence_len: {settings.silence.min_silence_len}"
    if before is not None:
        changed = diff_settings(before, settings)
        told = ", ".join(
            f"{each.key} {plain(each.before)} -> {plain(each.after)}" for each in changed
        )
        yield f"        - changed: {told or 'no setting'}"
    yield ""


def _past(run: PastRun, remarks: Sequence[Remark]) -> Iterator[str]:
    """Give the entry of a diary's run, with what was noted since and does not stand there yet."""
    end = max(place for place, line in enumerate(run.lines, 1) if line)
    yield from run.lines[:end]
    below = next((line for line in run.lines[1:] if line), " " * 8)
    indent = below[: len(below) - len(below.lstrip())]
    for told in (_remark(each.text, each.verdict) for each in remarks):
        if told not in run.notes:
            yield f"{indent}- {told}"
    yield from run.lines[end:]


def _run(run: Run) -> Iterator[str]:
    record = run.record
    config: Mapping[str, Any] = record.parts["config"]
    yield f"    - {run.tag}"
    told = [f"spk: {record.dataset.name}", f"pretrain: {_parent(run)}", f"実行時間: {_time(run)}"]
    told += [
        _vocoder(run, config) if record.kind == VOCODER else _conversion(run, config),
        f"{_what(run, config)}, {record.parameters / 1e6:.2f} M parameters, "
        f"seed {config['train']['seed']}, {record.precision}",
        *_others(run, config),
        *_whence(run),
        *_outcome(run),
        *(_remark(remark.text, remark.verdict) for remark in record.remarks),
    ]
    yield from (f"        - {line}" for line in told)
    yield ""


def _conversion(run: Run, config: Mapping[str, Any]) -> str:
    parent = run.record.parent
    return (
        f"batch_size:{config['train']['batch_size']}, group_size:{config['train']['group_size']}. "
        f"warm_up_rate: {config['optim']['warm_up']}, "
        f"max_lr_scale: {config['optim']['max_lr_scale']}, "
        f"reset_optim: {parent is None or parent.optimiser == 'reset'}"
    )


def _vocoder(run: Run, config: Mapping[str, Any]) -> str:
    train, optim, mels = config["train"], config["optim"], run.record.mels
    return f"batch_size:{train['batch_size']}, segment: {train['segment']}. lr: {optim['lr']:g}" + (
        f", mels: {mels.tag}({mels.epoch}epoch)" if mels else ""
    )


def _what(run: Run, config: Mapping[str, Any]) -> str:
    if run.record.kind == VOCODER:
        return "vocoder hifigan"
    return f"model {model_in_short(config['model'])}"


_TOLD = {  # settings that stand in the entry by themselves, or are the machine's
    *("train.batch_size", "train.group_size", "train.seed", "train.precision", "train.compile"),
    *("optim.warm_up", "optim.max_lr_scale"),
    *("model.kind", "model.pitch_ar", "model.prosody", "model.align"),
}


def _others(run: Run, config: Mapping[str, Any]) -> Iterator[str]:
    """Name the settings that act and are not the defaults: what the other lines do not tell."""
    if run.record.kind == VOCODER:
        return
    settings = with_defaults(config)
    changed = differences(with_defaults({"model": {}, "optim": {}, "train": {}}), settings)
    told = [
        f"{key} {plain(value)}"
        for key, (_, value) in changed.items()
        if key not in _TOLD | idle(settings)
    ]
    if told:
        yield f"with {', '.join(told)}"


def _whence(run: Run) -> Iterator[str]:
    """Say what it repeats, or was promoted from."""
    if run.record.again_of:
        yield f"the same training as {run.record.again_of}"
    if run.record.origin:
        yield f"promoted from {run.record.origin}"


def _search(line: Line) -> Iterator[str]:
    yield f"    - {line.tag}"
    epoch = f"({line.parent_epoch}epoch)" if line.parent_epoch is not None else ""
    yield f"        - spk: {line.dataset}"
    yield f"        - pretrain: {f'{line.parent_tag}{epoch}' if line.parent_tag else 'なし'}"
    yield f"        - optuna, {line.told}"
    yield from (f"        - {_remark(each.text, each.verdict)}" for each in line.remarks)
    yield ""


def _parent(run: Run) -> str:
    parent = run.record.parent
    return "なし" if parent is None else f"{parent.tag}({parent.epoch}epoch)"


def _time(run: Run) -> str:
    record = run.record
    return f"{record.seconds / 60:.3g}min/{record.epoch}epoch" if record.epoch else ""


def _outcome(run: Run) -> Iterator[str]:
    record = run.record
    if run.status != "finished":
        why = f" ({record.problem})" if record.problem else ""
        yield f"{run.status} after epoch {record.epoch} of {record.epochs}{why}"
    if record.best_loss is not None:
        yield f"best dev loss {record.best_by} {record.best_loss:.4f} @{record.best_epoch}"
    for name, result in record.results.items():
        figures = ", ".join(
            f"{metric} {result['unconverted'][metric]:.3g} -> {value:.3g}"
            for metric, value in result["converted"].items()
            if value is not None and result["unconverted"].get(metric) is not None
        )
        yield f"evaluated {name}, vocoder {result['vocoder']}: {figures}"


def _remark(text: str, verdict: str) -> str:
    line = " ".join(text.split())
    return f"{line} ({verdict})" if verdict else line
