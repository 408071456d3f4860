"""A training step recorded once and replayed: a CUDA graph for every shape of batch.

A step launches thousands of small kernels, and at usual sizes the host needs longer to launch them
than the device to run them. A graph launches all of them at once. It is the very same kernels on
the very same numbers, so what is learnt does not change.

    step = Replays(learner.compute, tensors=..., record=cuda_recorder(device))
    took = step(batch)        # a shape's first batch as it is, the second is recorded, then replays

Whatever goes wrong with recording is told, and steps go on without it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from trainer.batches import Batch

__all__ = ["Recorder", "Replays", "Took", "cuda_recorder", "shape_of"]

MOST = 192  # graphs held; a training meets some dozens of shapes (PackedSet.gather, rounded)
SAME = 1e-3  # relative: kernels may add in another order when run again, and bf16 shows it


@dataclass(frozen=True, kw_only=True)
class Took:
    """What a step gives back, all on the device."""

    loss: Tensor  # ()
    norm: Tensor  # () of the gradient, before clipping
    terms: dict[str, tuple[Tensor, Tensor]]  # sums and counts


Step = Callable[[Batch], Took]


class Recorder(Protocol):
    """Runs steps where they can be recorded, and records them."""

    def run(self, step: Callable[[], Took]) -> Took:
        """Run a step as it is."""
        ...

    def record(self, step: Callable[[], Took]) -> tuple[Callable[[], None], Took]:
        """Record a step without running it: how to replay it, and where its results will be.

        Raises
        ------
        RuntimeError
            The step cannot be recorded.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class _Graph:
    """A recorded step: fill `batch`, replay, read `took`."""

    batch: Batch
    replay: Callable[[], None]
    took: Took

    def __call__(self, batch: Batch) -> Took:
        torch._foreach_copy_(_tensors(self.batch), _tensors(batch))
        self.replay()
        return self.took


class Replays:
    """Runs steps, replaying those whose shape was recorded."""

    def __init__(self, step: Step, state: Callable[[], Sequence[Tensor]], recorder: Recorder):
        """Prepare to run `step`, which changes nothing but the tensors `state` gives."""
        self._step = step
        self._state = state
        self._recorder = recorder
        self._seen: set[Hashable] = set()
        self._graphs: dict[Hashable, _Graph] = {}
        self.problem = ""  # why nothing is recorded any more

    def __call__(self, batch: Batch) -> Took:
        """Take a step; what it gives holds until the next one."""
        shape = shape_of(batch)
        if shape in self._graphs:
            return self._graphs[shape](batch)
        if shape not in self._seen or self.problem or len(self._graphs) >= MOST:
            # a shape's first step readies what may not be made while recording
            self._seen.add(shape)
            return self._recorder.run(lambda: self._step(batch))
        return self._recorded(shape, batch)

    def _recorded(self, shape: Hashable, batch: Batch) -> Took:
        """Record the step for this shape and replay it; go on without where that fails."""
        own: dict[str, Any] = {name: value.clone() for name, value in _named(batch).items()}
        static = replace(batch, **own)
        trial = None if self._graphs else self._tried(batch)
        try:
            replay, took = self._recorder.record(lambda: self._step(static))
        except RuntimeError as error:
            return self._without(f"a step cannot be recorded ({_first_line(error)})", batch)
        graph = _Graph(batch=static, replay=replay, took=took)
        before = self._before(batch) if trial else None
        found = graph(batch)
        if trial and before and not _same(trial, found):
            before()
            return self._without("a replayed step gives another loss than the step itself", batch)
        self._graphs[shape] = graph
        return found

    def _tried(self, batch: Batch) -> Took:
        """Take a step and take it back: what the first replay must give."""
        before = self._before(batch)
        took = self._recorder.run(lambda: self._step(batch))
        found = Took(loss=took.loss.clone(), norm=took.norm.clone(), terms={})
        before()
        return found

    def _before(self, batch: Batch) -> Callable[[], None]:
        """Remember weights, optimiser and random numbers; returns what puts them back."""
        state = self._state()
        values = [each.detach().clone() for each in state]
        device = batch.mel.device
        random = torch.get_rng_state()
        drawn = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

        @torch.no_grad()
        def put_back() -> None:
            for tensor, value in zip(state, values, strict=True):
                tensor.copy_(value)
            torch.set_rng_state(random)
            if drawn is not None:
                torch.cuda.set_rng_state(drawn, device)

        return put_back

    def _without(self, problem: str, batch: Batch) -> Took:
        self._graphs.clear()
        self.problem = f"CUDA graphs are off: {problem}; training goes on, more slowly"
        return self._recorder.run(lambda: self._step(batch))


def shape_of(batch: Batch) -> Hashable:
    """Return what two batches must have in common for one recording to serve both."""
    sizes = (batch.room, batch.target_room, batch.phrase_room)
    longest = (batch.phrase_longest, batch.target_phrase_longest)
    return (*(tuple(each.shape) for each in _tensors(batch)), *sizes, *longest)


def _named(batch: Batch) -> dict[str, Tensor]:
    values = {each.name: getattr(batch, each.name) for each in fields(batch)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def _tensors(batch: Batch) -> list[Tensor]:
    return list(_named(batch).values())


def _same(one: Took, other: Took) -> bool:
    """Tell whether two steps gave the same; waits for the device."""
    ours, theirs = (torch.stack([each.loss, each.norm]).float() for each in (one, other))
    return bool(torch.isclose(ours, theirs, rtol=SAME, atol=0, equal_nan=True).all())


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class _Cuda:
    """Records on a stream of its own, all graphs in one pool of memory."""

    def __init__(self, device: torch.device) -> None:
        self._stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def run(self, step: Callable[[], Took]) -> Took:
        outside = torch.cuda.current_stream()
        self._stream.wait_stream(outside)
        with torch.cuda.stream(self._stream):
            took = step()
        outside.wait_stream(self._stream)
        return took

    def record(self, step: Callable[[], Took]) -> tuple[Callable[[], None], Took]:
        # not torch.cuda.graph, which collects garbage and empties the cache for every graph
        graph = torch.cuda.CUDAGraph()
        outside = torch.cuda.current_stream()
        self._stream.wait_stream(outside)
        with torch.cuda.stream(self._stream), _no_garbage_collected():
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                took = step()
            except BaseException:
                with suppress(RuntimeError):
                    graph.capture_end()
                raise
            graph.capture_end()
        outside.wait_stream(self._stream)
        return graph.replay, took


@contextmanager
def _no_garbage_collected() -> Iterator[None]:
    """Let nothing of the device be freed meanwhile, which a recording does not bear."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def cuda_recorder(device: torch.device) -> Recorder:
    """Return what records steps on a CUDA device."""
    return _Cuda(device)
