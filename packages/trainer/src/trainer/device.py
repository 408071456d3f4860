"""Where and in which precision a run computes.

Imports torch inside the functions that need it, so that commands which only read runs
answer at once.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from corpuskit.errors import BadSetting

if TYPE_CHECKING:
    import torch

__all__ = [
    "OWN",
    "autocast",
    "deterministic",
    "libraries",
    "name_of",
    "pick",
    "pick_compile",
    "pick_memory",
    "pick_precision",
    "reseed",
    "scaler",
]

OWN = ("corpuskit", "trainer")  # what their code does to the numbers is in the code digest


def pick(option: str) -> torch.device:
    """Return the device of `--device auto|cpu|cuda`.

    Raises
    ------
    BadSetting
        Unknown, or CUDA is asked for and not there.
    """
    import torch

    available = torch.cuda.is_available()
    if option == "auto":
        return torch.device("cuda" if available else "cpu")
    if option == "cuda" and not available:
        raise BadSetting("--device cuda: torch sees no CUDA device", "use --device cpu")
    if option not in ("cpu", "cuda"):
        raise BadSetting(f"--device is {option!r}", "it can be auto, cpu or cuda")
    return torch.device(option)


def pick_precision(setting: str, device: torch.device) -> str:
    """Return bf16, fp16 or fp32; "auto" is bf16 on CUDA (fp16 before Ampere), fp32 on CPU.

    Raises
    ------
    BadSetting
        bf16 on a CUDA device that has no such arithmetic.
    """
    import torch

    if device.type != "cuda":
        return "fp32" if setting == "auto" else setting
    has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if setting == "bf16" and not has_bf16:
        raise BadSetting(
            f"--precision bf16: {name_of(device)} has no bf16 arithmetic", "use fp16 or fp32"
        )
    if setting == "auto":
        return "bf16" if has_bf16 else "fp16"
    return setting


def pick_compile(setting: str, device: torch.device) -> str:
    """Return graphs or off; "auto" is graphs on CUDA. Elsewhere there is nothing to record."""
    return "off" if device.type != "cuda" else {"auto": "graphs"}.get(setting, setting)


def pick_memory(setting: str, needed: int, device: torch.device) -> str:
    """Return where a training's frames stand, device or disk; "auto" looks at what is free.

    `needed` bytes may take half of the device's free memory, and of the machine's: weights,
    gradients and batches want the rest.
    """
    import torch

    if setting != "auto":
        return setting
    room = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if device.type == "cuda":
        room = min(room, torch.cuda.mem_get_info(device)[0])
    else:  # each process that trains on this machine holds its own
        room //= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return "disk" if 2 * needed > room else "device"


def name_of(device: torch.device) -> str:
    """Return the device's name as people know it, e.g. "NVIDIA H100" or "cpu x86_64, 2 threads"."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu {platform.machine()}, {torch.get_num_threads()} threads"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context of a forward pass in `precision`; nothing for fp32."""
    import torch

    if precision == "fp32":
        return nullcontext()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(device.type, dtype=dtype)


def scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """Return the gradient scaler: only fp16 needs one, elsewhere it does nothing."""
    import torch

    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def reseed(device: torch.device, key: tuple[int, ...]) -> None:
    """Let what `device` draws next depend on `key` alone, whatever was drawn before."""
    import numpy as np
    import torch

    (seed,) = np.random.SeedSequence(key).generate_state(1, np.uint64)
    generator = torch.default_generator
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        generator = torch.cuda.default_generators[index]
    generator.manual_seed(int(seed))


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Have torch choose deterministic kernels where it has any, and undo that afterwards.

    On the CPU every kernel used here is deterministic for a given number of threads. On
    CUDA the few that have no deterministic form warn instead of failing. What is computed in
    fp32 is fp32 all through: convolutions and recurrences would be cut to TF32's 10 bits there.
    """
    import torch

    memory: Any = torch.utils.deterministic
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    only_warned = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark, tf32 = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    filling = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    torch.backends.cudnn.benchmark = torch.backends.cudnn.allow_tf32 = False
    memory.fill_uninitialized_memory = False  # nothing here reads any
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=only_warned)
        torch.backends.cudnn.benchmark = benchmark
        torch.backends.cudnn.allow_tf32 = tf32
        memory.fill_uninitialized_memory = filling


def libraries() -> dict[str, str]:
    """Return the versions of what computes the numbers, and of the house's own packages."""
    from importlib.metadata import version

    return {"python": platform.python_version()} | {
        name: version(name) for name in ("numpy", "safetensors", "torch", *OWN)
    }
