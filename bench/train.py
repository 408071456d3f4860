"""Time training steps: the loop people write against ours, on the same pairs, batches and sizes.

Each training runs in a process of its own, one after the other: the plain loop of `plain.py`
(fp32, DataLoader workers, padding, eager, Python loops over frames and phrases), then the product's
own loop. Pairs are random numbers of realistic lengths (log-normal around --seconds); no
audio is needed. Frames are single frames of both sides, without padding; "padding" is the share of
rows computed on that are none (in ours the gaps between utterances). Model FLOPs are those
real frames need (multiply and add: 2), three times the forward pass, whatever a loop spends;
utilisation holds them against the fastest matrix product measured here in the loop's precision.

    just bench-train                                    the full model; 2 cores: a few minutes
    python bench/train.py --model tiny --steps 16
    python bench/train.py --device cuda --batch 32 --pairs 1000 --warm-up 200 --steps 400

On CUDA each shape's first two batches are slow, because its steps are recorded: warm up for some
epochs. Where the steps measured are more than an epoch, its end is in the time: a twentieth of the
pairs are scored, and a checkpoint is written.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

VARIANTS = {
    "fs2vc": (),
    "pitch_ar": ("model.pitch_ar=on",),
    "wgmm": ("model.prosody=wgmm",),
    "search": ("model.align=search",),
}
LOOPS = ("plain", "ours")
FRAME_RATE, SPREAD = 22050 / 256, 0.3  # frames a second; deviation of log length
EPOCHS, CORPUS = 50, 1000
RATIOS = {"pitch_ar": 1.3, "wgmm": 1.6}  # aims, training steps against the plain model's
TIMES = {"fs2vc": 10, "pitch_ar": 20}  # aims on one H100, against the plain loop
TIMES_CPU = 1.5  # the same on two cores, of all variants
SCORED = 20  # of so many pairs one is scored at an epoch's end


def main() -> None:
    """Print the table, or do one training of it."""
    given = _arguments()
    if given.child:
        print(json.dumps(_measured(given, *given.child.split(":"))))
        return
    rows = {}
    print(_heading(given), flush=True)
    for variant in given.variants:
        for loop in given.loops:
            rows[variant, loop] = row = _run(variant, loop)
            print(_line(variant, loop, row), flush=True)
    print(*_conclusions(rows), sep="\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="fs2vc", help="name or file of the sizes")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--loops", nargs="+", choices=LOOPS, default=list(LOOPS))
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--precision", default="auto", help="of ours; the plain loop has fp32")
    parser.add_argument("--steps", type=int, default=8, help="measured, after as many unmeasured")
    parser.add_argument("--warm-up", type=int, default=4, help="steps that are not measured")
    parser.add_argument("--batch", type=int, default=8, help="pairs a step")
    parser.add_argument("--group", type=int, default=4, help="batches sorted together")
    parser.add_argument("--pairs", type=int, default=0, help="[default: what the steps take]")
    parser.add_argument("--seconds", type=float, default=4.0, help="of an utterance, on average")
    parser.add_argument("--threads", type=int, default=0, help="of torch on the CPU")
    parser.add_argument("--cpu-time", action="store_true", help="seconds of CPU, on a busy machine")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="of ours")
    parser.add_argument("--profile", action="store_true", help="tell what the time is spent on")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run(variant: str, loop: str) -> dict[str, float]:
    command = [sys.executable, __file__, *sys.argv[1:], "--child", f"{variant}:{loop}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{variant}, {loop}: exit {done.returncode}")
    *shown, last = done.stdout.splitlines()
    print(*shown, sep="\n", end="\n" if shown else "")
    return dict(json.loads(last))


def _heading(given: argparse.Namespace) -> str:
    import torch

    from trainer.device import name_of, pick

    torch.set_num_threads(given.threads or torch.get_num_threads())
    return (
        f"{given.model} on {name_of(pick(given.device))}; {given.batch} pairs a step, groups of "
        f"{given.group}, utterances of {given.seconds:g} s; {given.steps} steps measured\n"
        f"{'':<10}{'loop':<7}{'steps/s':>9}{'frames/s':>10}{'padding':>9}{'peak MB':>9}"
        f"{'GFLOP/step':>12}{'utilised':>10}  of (GFLOP/s)     {EPOCHS} epochs of {CORPUS} pairs"
    )


def _line(variant: str, loop: str, row: dict[str, Any]) -> str:
    return (
        f"{variant:<10}{loop:<7}{row['steps']:>9.3f}{row['frames']:>10.0f}{row['padding']:>9.1%}"
        f"{row['memory']:>9.0f}{row['flops'] / 1e9:>12.0f}{row['utilised']:>10.1%}"
        f"  {row['peak'] / 1e9:,.0f} ({row['precision']})".ljust(94)
        + f"{row['epochs']:>9.0f} s, extrapolated from frames/s"
    )


def _conclusions(rows: dict[tuple[str, str], dict[str, float]]) -> Iterator[str]:
    for variant in VARIANTS:
        if (variant, "plain") in rows and (variant, "ours") in rows:
            times = rows[variant, "ours"]["frames"] / rows[variant, "plain"]["frames"]
            on_cpu = rows[variant, "ours"]["device"] == "cpu"
            aim = TIMES_CPU if on_cpu else TIMES.get(variant)
            told = f"   aim: at least {aim}" if aim else ""
            yield f"{variant:<9} ours / plain loop              {times:6.2f} x{told}"
    for variant, aim in RATIOS.items():
        if (variant, "ours") in rows and ("fs2vc", "ours") in rows:
            times = rows["fs2vc", "ours"]["frames"] / rows[variant, "ours"]["frames"]
            yield f"{variant:<9} step / fs2vc step, ours        {times:6.2f} x   aim: at most {aim}"


# ------------------------------------------------------------------ one training, one process


def _measured(given: argparse.Namespace, variant: str, loop: str) -> dict[str, Any]:
    import torch

    from trainer.batches import PackedSet, epoch_order, padding_share
    from trainer.config import find_model, resolve
    from trainer.device import pick, pick_precision
    from trainer.model import gap_of

    torch.set_num_threads(given.threads or torch.get_num_threads())
    tables, where = find_model(given.model)
    settings = [f"train.batch_size={given.batch}", f"train.group_size={given.group}"]
    extra = given.set if loop == "ours" else []
    config = resolve(tables, [*settings, *VARIANTS[variant], *extra], where)
    device = pick(given.device)
    precision = "fp32" if loop == "plain" else pick_precision(given.precision, device)
    peak = _peak(device, precision, given)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    wanted = given.warm_up + given.steps
    pairs = _pairs(given.pairs or wanted * given.batch, given.seconds, config.model.reduction)
    packed = PackedSet.build(pairs, config.model.reduction)
    seed = config.train.seed
    order = [
        batch
        for epoch in range(1, 2 + wanted * given.batch // len(pairs))
        for batch in epoch_order(packed.lengths, given.batch, given.group, seed, epoch)
    ][:wanted]
    chosen = order[given.warm_up :]
    flops = _flops(config, packed, chosen) / len(chosen)
    del packed
    if loop == "plain":
        from plain import steps

        stream: Iterator[Any] = steps(config, pairs, order, device.type)
    else:
        stream = _ours(config, pairs, device, precision)
    memory, seconds = _timed(stream, given, device)
    sides = [_lengths(pairs, side) for side in ("source", "target")]
    padding = [padding_share(side, chosen) for side in sides]
    real = sum(each.real for each in padding)
    gaps = 2 * gap_of(config.model) * sum(map(len, chosen))
    computed = sum(each.padded for each in padding) if loop == "plain" else real + gaps
    frames = config.model.reduction * real / seconds
    corpus = 2 * CORPUS * given.seconds * FRAME_RATE
    return {
        "steps": len(chosen) / seconds,
        "frames": frames,
        "padding": 1 - real / computed,
        "memory": memory,
        "flops": flops,
        "utilised": flops * len(chosen) / seconds / peak,
        "peak": peak,
        "precision": precision,
        "device": device.type,
        "epochs": EPOCHS * corpus / frames,
        "threads": torch.get_num_threads(),
    }


def _timed(stream: Iterator[Any], given: argparse.Namespace, device: Any) -> tuple[float, float]:
    """Return (peak MB, seconds) of the measured steps."""
    import torch

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    for _ in range(given.warm_up):
        next(stream)
    wait()
    clock = time.process_time if given.cpu_time else time.perf_counter
    with torch.profiler.profile(record_shapes=True) if given.profile else nullcontext() as profile:
        began = clock()
        for _ in range(given.steps):
            next(stream)
        wait()
        seconds = clock() - began
    if profile is not None:
        spent = profile.key_averages(group_by_input_shape=True)
        print(spent.table(sort_by=f"self_{device.type}_time_total", row_limit=60), file=sys.stderr)
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6, seconds
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, seconds


def _ours(config: Any, pairs: Sequence[Any], device: Any, precision: str) -> Iterator[Any]:
    """Train in the product's loop, from a new run's first checkpoint; yields at every step."""
    import torch

    from trainer import checkpoint, runs
    from trainer.batches import PackedSet
    from trainer.data import SplitData, Splits
    from trainer.loop import Progress, train
    from trainer.model import FS2VC
    from trainer.signals import Stop

    r = config.model.reduction
    splits = [pairs, pairs[: max(1, len(pairs) // SCORED)]]
    train_split, dev = (
        SplitData(pairs=(), packed=PackedSet.build(each, r, device)) for each in splits
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        torch.manual_seed(config.train.seed)
        model = FS2VC(config.model, 2)
        checkpoint.save(folder / "checkpoints", checkpoint.State(epoch=0), model.state_dict(), {})
        del model
        run = SimpleNamespace(
            config=config,
            record=SimpleNamespace(epochs=10**4, precision=precision, kind=runs.CONVERSION),
            folder=folder,
            checkpoints=folder / "checkpoints",
            speakers=("A", "B"),
            tag="bench",
        )
        run.cadence = runs.Run.cadence.fget(run)  # type: ignore[attr-defined]
        for event in train(run, Splits(train=train_split, dev=dev), device, Stop()):  # type: ignore[arg-type]
            if isinstance(event, Progress):
                yield event


def _pairs(count: int, seconds: float, reduction: int) -> list[Any]:
    """Return pairs of random numbers; a source is a tenth longer or shorter than its target."""
    from trainer.batches import PairArrays

    draw = np.random.default_rng(1)
    mean = seconds * FRAME_RATE
    target = mean * np.exp(SPREAD * draw.standard_normal(count) - SPREAD**2 / 2)
    source = target * np.exp(0.1 * draw.standard_normal(count))
    made = []
    for s, t in zip(source, target, strict=True):
        arrays: dict[str, Any] = {}
        whole = [max(4, int(n) // reduction) for n in (s, t)]
        for side, n in zip(("source", "target"), whole, strict=True):
            length = n * reduction
            arrays[f"{side}_mel"] = draw.standard_normal((length, 80), dtype=np.float32)
            arrays[f"{side}_pitch"] = draw.standard_normal(length, dtype=np.float32)
            arrays[f"{side}_energy"] = draw.standard_normal(length, dtype=np.float32)
        phrases = max(1, round(t / FRAME_RATE))  # about one a second
        for side, n in zip(("source", "target"), whole, strict=True):
            cuts = np.linspace(0, n, min(phrases, *whole) + 1).astype(int)
            arrays[f"{side}_phrases"] = tuple(np.diff(cuts).tolist())
        durations = np.diff(np.linspace(0, whole[1], whole[0] + 1).round().astype(np.int64))
        made.append(PairArrays(durations=durations, source_speaker=0, target_speaker=1, **arrays))
    return made


def _lengths(pairs: Sequence[Any], side: str) -> Any:
    key = f"{side}_phrases"
    return np.array([sum(getattr(pair, key)) for pair in pairs])


# ------------------------------------------------------------------------------ arithmetic


def _peak(device: Any, precision: str, given: argparse.Namespace) -> float:
    """Return the fastest matrix product found here, FLOP/s."""
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    size = 1536 if device.type == "cpu" else 8192
    one, other = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best = math.inf
    clock = time.process_time if given.cpu_time else time.perf_counter
    for _ in range(12):
        began = clock()
        one @ other
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, clock() - began)
    return 2 * size**3 / best


def _flops(config: Any, packed: Any, order: Sequence[Sequence[int]]) -> float:
    """Return what training on the real frames of these batches takes.

    A layer's weights meet each row once; attention is 4 T^2 channels an utterance and block.
    """
    import torch
    from torch import nn

    from trainer.model import FS2VC

    model = FS2VC(config.model, 2).train()
    counted = [0.0]

    def hook(module: nn.Module, _given: tuple[Any, ...], found: Any) -> None:
        out = found[0] if isinstance(found, tuple) else found
        positions = out.numel() / out.shape[1 if isinstance(module, nn.Conv2d) else -1]
        size = sum(p.numel() for p in module.parameters() if p.dim() > 1)
        counted[0] += 2 * size * positions

    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.LSTM, nn.GRU)):
            module.register_forward_hook(hook)
    sample = packed.gather(order[0])
    with torch.no_grad():
        model(sample)
    c = config.model
    gaps = model.gap * len(order[0])
    real = (sample.total or 0) + (sample.target_total or 0)
    per_row = counted[0] / (real + 2 * gaps)
    every = [index for batch in order for index in batch]
    s, t = packed.source_lengths[every], packed.target_lengths[every]
    attention = (
        4 * c.attention_dim * float((c.encoder_layers * s**2 + c.decoder_layers * t**2).sum())
    )
    return 3 * (per_row * float(s.sum() + t.sum()) + attention)


if __name__ == "__main__":
    main()
