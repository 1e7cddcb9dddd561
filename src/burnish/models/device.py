"""Where tensors live: the only module that knows one kind of device from another.

Picks device and compute type, measures memory, seeds, and says which of several processes this one is. Knows nothing of
models.
"""

from __future__ import annotations

import os
import random
import resource
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import psutil
import torch
import torch.distributed

from burnish.errors import ModelError
from burnish.models.settings import Dtype, ModelSettings, Products

_BFLOAT16_UNITS = ("amx_bf16", "avx512_bf16")  # of processors, as torch names them
DTYPES: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def pick_device(wanted: str = "auto") -> torch.device:
    """The device to work on; "auto" is this process's CUDA device where there is one, else the CPU.

    Raises: ModelError when a device is named that isn't there.
    """
    if wanted == "auto":
        if not torch.cuda.is_available():
            return torch.device("cpu")
        return torch.device("cuda", rank() % torch.cuda.device_count())
    device = torch.device(wanted)
    if not _present(device):
        raise ModelError(
            f"model.device: got {wanted!r}, which this machine or this build of torch doesn't have; nothing was loaded",
            hint="set model.device: auto",
        )
    return device


def pick_dtype(wanted: Dtype, device: torch.device) -> torch.dtype:
    """The type that weights are loaded in; "auto" is float32 on the CPU (where bfloat16 products can run at half its
    speed), bfloat16 on a CUDA device that has it in hardware, else float16 there."""
    if wanted != "auto":
        return DTYPES[wanted]
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """A context in which matrix products run in `dtype`; nothing changes for float32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)


def pick_products(wanted: Products, device: torch.device) -> Literal["float32", "bfloat16"]:
    """The precision of float32 weights' matrix products; "auto" is bfloat16 (inputs rounded, sums in float32) on a CPU
    with units for it, else float32.

    On two cores of a Xeon with AMX, 1024x576 by 576x1536 ran at 1,500-1,700 GFLOP/s against 400-430 in float32; on two
    of an EPYC with AVX512_BF16 2048x576 by 576x3072 at 420 against 180. Processors that only emulate bfloat16 are
    slower with it. `python benchmarks/engine.py` prints both.
    """
    if wanted != "auto":
        return wanted
    has_units = any(cpu_features().get(name) for name in _BFLOAT16_UNITS)
    return "bfloat16" if device.type == "cpu" and has_units else "float32"


def arithmetic(settings: ModelSettings) -> str:
    """The type that a model's numbers are held in and, where it is another, that they are multiplied in."""
    device = pick_device(settings.device)
    held = str(pick_dtype(settings.dtype, device)).removeprefix("torch.")
    multiplied = pick_products(settings.products, device) if held == "float32" else held
    return held if multiplied == held else f"{held}, {multiplied} products"


def cpu_features() -> dict[str, Any]:
    """What this machine's processor can do, by name; empty where torch can't tell."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    return dict(ask()) if ask else {}


@contextmanager
def products(precision: Literal["float32", "bfloat16"]) -> Iterator[None]:
    """Inside, matrix products of float32 tensors on the CPU run in this precision, backward passes too."""
    matmul: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16" if precision == "bfloat16" else "ieee"
    try:
        yield
    finally:
        matmul.fp32_precision = before


def multiplies_in_bfloat16() -> bool:
    """Whether `products` says so now."""
    matmul: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    return bool(matmul.fp32_precision == "bf16")


def move(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on `device`; the copy overlaps with other work where the device can."""
    return tensor.to(device, non_blocking=device.type == "cuda")


def seed_everything(seed: int) -> None:
    """Seed Python's and torch's generators, on every device."""
    random.seed(seed)
    torch.manual_seed(seed)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given, so that a clock tells the truth."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory used so far, in bytes: allocated by torch on CUDA since `reset_peak_memory`, elsewhere the
    process's resident set since it started."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def num_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def used_memory_bytes(device: torch.device) -> int:
    """Memory in use now, in bytes: allocated by torch on CUDA, elsewhere the process's resident set."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    return int(psutil.Process().memory_info().rss)


def free_memory_bytes(device: torch.device) -> int | None:
    """Memory that could still be had, in bytes: on CUDA of the device, on the CPU what the machine can give without
    swapping and the control group lets this process have; None where it isn't known."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    if device.type != "cpu":
        return None
    free = int(psutil.virtual_memory().available)
    left = _left_in_control_group(Path("/sys/fs/cgroup"))
    return free if left is None else min(free, left)


def reset_peak_memory(device: torch.device) -> None:
    """Begin measuring anew, where the device can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def rank() -> int:
    """Which of several processes this one is, from 0; 0 when there is one."""
    return torch.distributed.get_rank() if _distributed() else 0


def world_size() -> int:
    """How many processes work together."""
    return torch.distributed.get_world_size() if _distributed() else 1


def _left_in_control_group(root: Path) -> int | None:
    """What a memory limit leaves, in bytes, page cache that could be dropped counted as left; None without a limit.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst, "Memory Interface Files".
    """
    try:
        limit = (root / "memory.max").read_text(encoding="ascii").strip()
        used = int((root / "memory.current").read_text(encoding="ascii"))
        cached = dict(line.split() for line in (root / "memory.stat").read_text(encoding="ascii").splitlines())
        return None if limit == "max" else int(limit) - used + int(cached.get("inactive_file", 0))
    except (OSError, ValueError):
        return None


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _present(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    if device.type == "mps":
        return torch.backends.mps.is_available()
    if device.type == "xpu":
        return torch.xpu.is_available()
    return True
