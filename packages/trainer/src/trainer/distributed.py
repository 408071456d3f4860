"""Several processes that train one model, one a device, on one machine or many.

    torchrun --nproc-per-node 2 -m trainer run --spk N2C_4

Each computes its parts of every batch; gradients and losses are sums over all parts, so the
processes take the same steps and hold the same weights. Rank 0 alone reads, decides, writes and
prints: what the others need (settings, weights, packed pairs) it gives them. A process that ends
takes the others with it, in one message.
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

from corpuskit.errors import BadSetting, CorpuskitError
from trainer.device import pick
from trainer.errors import LostProcess
from trainer.signals import Stop

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ALONE", "World", "joined"]

T = TypeVar("T")

STEP = timedelta(minutes=10)  # a step, or an epoch's samples, that takes longer never ends
WORK = timedelta(hours=6)  # rank 0 reads a corpus, while the others wait for work


class World:
    """The processes of one training, as one of them sees them; the default is to be alone.

    Every method that takes part in an exchange must be called by all of them, in the same order.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        """Stand in the process group of this process, if `size` is more than 1."""
        self.rank = rank
        self.size = size
        self._waiting = size > 1  # the others, for work
        # what the host must know at once goes past the device
        self._host = _by_host(WORK) if size > 1 else None
        self._later = _by_host(STEP) if size > 1 else None

    @property
    def leads(self) -> bool:
        """Whether this is the process that reads, decides, writes and prints."""
        return self.rank == 0

    def own(self, parts: int, each: int) -> range:
        """Return which of a batch's `parts` are this process', at most `each`; maybe none."""
        return range(parts)[self.rank * each : (self.rank + 1) * each]

    def sum(self, values: Tensor) -> Tensor:
        """Return `values` summed over all processes, in place, the same bits in each."""
        if self.size > 1:
            import torch.distributed as dist

            with self._others():
                dist.all_reduce(values)
        return values

    def stops(self, stop: Stop, *, look: bool = True) -> bool:
        """Tell whether any process was asked to stop; all get to know at the same place.

        Several processes find out only where all of them `look`.
        """
        if self.size == 1:
            return stop.requested
        if not look:
            return False
        import torch
        import torch.distributed as dist

        asked = torch.tensor(int(stop.requested))
        with self._others():
            dist.all_reduce(asked, dist.ReduceOp.MAX, self._host)
        if asked:
            stop.request(next(filter(None, self.gather(stop.reason))))
        return bool(asked)

    def gather(self, value: T) -> list[T]:
        """Return every process' `value`, by rank."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        found: list[T | None] = [None] * self.size
        with self._others():
            dist.all_gather_object(found, value, self._host)
        return cast("list[T]", found)

    def give(self, value: T | None = None) -> T:
        """Return rank 0's `value`, its tensors on the same kind of device as there."""
        if self.size == 1:
            return cast("T", value)
        with self._others():
            found = self._sent(value) if self.leads else self._received()
        self._waiting, self._host = False, self._later
        return cast("T", found)

    def dismiss(self) -> bool:
        """Let those who still wait for work know that there is none; whether all got to know."""
        if self.leads and self._waiting:
            with suppress(LostProcess):
                self.give(None)
                return True
        return False

    def check_same(self, facts: Mapping[str, str]) -> None:
        """Make sure that what must be equal is.

        Raises
        ------
        CorpuskitError
            A process differs from rank 0; it is named.
        """
        first, *others = self.gather(dict(facts))
        for rank, theirs in enumerate(others, start=1):
            for name, value in theirs.items():
                if value != first.get(name):
                    raise CorpuskitError(
                        f"{name} is {first.get(name)} in process 0 and {value} in process {rank}",
                        "all processes of a training need the same",
                    )

    def _sent(self, value: T) -> T:
        import torch.distributed as dist

        file = io.BytesIO()
        pickler = _Pickler(file)
        pickler.dump(value)
        kinds = [(each.shape, each.dtype, each.device.type) for each in pickler.tensors]
        dist.broadcast_object_list([file.getvalue(), kinds], 0, self._host)
        for tensor in pickler.tensors:
            self._pass_on(tensor.contiguous())
        return value

    def _received(self) -> Any:
        import torch
        import torch.distributed as dist

        told: list[Any] = [None, None]
        dist.broadcast_object_list(told, 0, self._host)
        tensors = [torch.empty(size, dtype=kind, device=where) for size, kind, where in told[1]]
        for tensor in tensors:
            self._pass_on(tensor)
        return _Unpickler(io.BytesIO(told[0]), tensors).load()

    def _pass_on(self, tensor: Tensor) -> None:
        """Fill a contiguous tensor with rank 0's, byte by byte, whatever its type."""
        import torch
        import torch.distributed as dist

        if tensor.numel():
            group = self._host if tensor.device.type == "cpu" else None
            dist.broadcast(tensor.view(-1).view(torch.uint8), 0, group)

    @contextmanager
    def _others(self) -> Iterator[None]:
        """Say that another process is gone where an exchange fails."""
        import torch

        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise LostProcess(
                f"process {self.rank} of {self.size} (numbered from 0) lost another one: it "
                f"ended, was killed, or did not answer in time ({told})",
                "its own message tells why; `trainer resume` goes on from the last checkpoint",
            ) from None


def _by_host(patience: timedelta) -> Any:
    """Return a group that exchanges through the machines' memories, whatever the device."""
    import torch.distributed as dist

    return dist.new_group(backend="gloo", timeout=patience)


ALONE = World()


class _Pickler(pickle.Pickler):
    """Leaves tensors out, to be sent as they are."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.tensors: list[Tensor] = []

    def persistent_id(self, value: Any) -> int | None:
        from torch import Tensor

        if not isinstance(value, Tensor):
            return None
        self.tensors.append(value.detach())
        return len(self.tensors) - 1


class _Unpickler(pickle.Unpickler):
    """Puts the tensors back in."""

    def __init__(self, file: io.BytesIO, tensors: list[Tensor]) -> None:
        super().__init__(file)
        self._tensors = tensors

    def persistent_load(self, number: Any) -> Tensor:
        return self._tensors[int(number)]


@contextmanager
def joined(device: str) -> Iterator[World]:
    """Join the processes that torchrun started beside this one; without it, be alone.

    `device` is the option: each process on CUDA takes the device of its number on its machine.

    Raises
    ------
    BadSetting
        There are fewer CUDA devices than processes.
    LostProcess
        Not all came.
    """
    rank, size = (int(os.environ.get(name, "-1")) for name in ("RANK", "WORLD_SIZE"))
    if rank < 0 or size < 2:
        yield ALONE
        return
    import torch.distributed as dist

    backend = _take_device(device)
    try:
        dist.init_process_group(backend, timeout=STEP)
        world = World(rank, size)
    except RuntimeError as error:
        told = str(error).splitlines()[0]
        raise LostProcess(f"process {rank} of {size} could not join the others ({told})") from None
    try:
        yield world
    except BaseException:
        if world.dismiss():
            # nothing is under way; a thread of the group that outlived Python would abort it
            dist.destroy_process_group()
        raise
    dist.destroy_process_group()


def _take_device(option: str) -> str:
    """Take this process' CUDA device, where it computes on one; returns the means of exchange."""
    import torch

    if pick(option).type != "cuda":
        return "gloo"
    local, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= there:
        raise BadSetting(
            f"process {local} of this machine has no CUDA device of its own: there are {there}",
            f"torchrun --nproc-per-node {there}, or --device cpu",
        )
    torch.cuda.set_device(local)
    return "nccl"
