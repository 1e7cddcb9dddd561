"""The C kernels, compiled for this machine's processor at their first use and kept for the next.

Compiled rather than shipped, since what a processor can do is worth a factor of two to four; by the plain C compiler
rather than through torch.compile, since that takes 15 seconds at first, 3 from then on and 175 MB of memory for the
same chains, where this takes a few seconds once. Where there is no compiler, the callers work on plain torch. Knows
nothing of what the kernels compute.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch

from burnish.logs import say
from burnish.models.builtin import cache_folder
from burnish.models.device import cpu_features

_SOURCES = tuple(
    Path(__file__).with_name(name)
    for name in ("rows.c", "low_rank.c", "attention.c", "attention_pairs.c", "newest.c", "narrow.c", "wide.c")
)
_HEADERS = tuple(
    Path(__file__).with_name(name)
    for name in ("tiles.h", "segments.h", "amx.h", "bfloat16.h", "pairs.h", "chains.h", "newest.h")
)
# Reductions may be reordered, as torch's own are; NaN and infinity keep their meaning, and the processor's rounding and
# denormal modes stay as they are.
_FLAGS = (
    "-O3",
    "-march=native",
    "-std=c11",
    "-fopenmp",
    "-fPIC",
    "-shared",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fassociative-math",
    "-fno-signed-zeros",
    "-freciprocal-math",
    "-ffp-contract=fast",
)
_WIDE = "-mprefer-vector-width=512"
_COMPILE_SECONDS = 120


@cache
def kernels() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they can't be had: no compiler, or one that refuses."""
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        say("no C compiler (cc, gcc or clang) is installed: training and generation run slower, with the same results")
        return None
    try:
        return ctypes.CDLL(str(_compiled(compiler)))
    except (OSError, subprocess.SubprocessError) as error:
        say(f"the C kernels can't be used ({error}): training and generation run slower, with the same results")
        return None


def call(
    name: str, tensors: Sequence[torch.Tensor | None], reals: Sequence[float] = (), numbers: Sequence[int] = ()
) -> None:
    """Run a kernel, which must be there. All take addresses first, then float, then 64-bit whole numbers, and last how
    many threads to use."""
    function = getattr(kernels(), name)
    if function.argtypes is None:
        kinds = ((ctypes.c_void_p, tensors), (ctypes.c_float, reals), (ctypes.c_int64, numbers))
        function.argtypes = [*(kind for kind, each in kinds for _ in each), ctypes.c_int]
    addresses = [None if tensor is None else tensor.data_ptr() for tensor in tensors]
    function(*addresses, *reals, *numbers, torch.get_num_threads())


def apart(tensor: torch.Tensor) -> int:
    """How far a matrix' rows are apart, in numbers."""
    assert tensor.stride(1) == 1, "kernels read whole rows"
    return tensor.stride(0)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The same tensor, which must lie in one piece."""
    assert tensor.is_contiguous(), "kernels read contiguous memory"
    return tensor


def _compiled(compiler: str) -> Path:
    """The library's file, made if need be; it appears whole or not at all."""
    flags = (*_FLAGS, _WIDE) if cpu_features().get("avx512_f") else _FLAGS
    folder = cache_folder().parent / "kernels"
    target = folder / f"kernels-{_key(compiler, flags)}.so"
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".kernels-") as work:
        made = Path(work) / "kernels.so"
        subprocess.run(
            [compiler, *flags, *map(str, _SOURCES), "-o", str(made), "-lm"],
            check=True,
            capture_output=True,
            timeout=_COMPILE_SECONDS,
        )
        os.replace(made, target)
    return target


def _key(compiler: str, flags: tuple[str, ...]) -> str:
    """What the machine code depends on: source, flags, compiler and processor (a home may be shared by several)."""
    version = subprocess.run([compiler, "--version"], check=True, capture_output=True, timeout=_COMPILE_SECONDS).stdout
    processor = repr((platform.machine(), platform.processor(), sorted(cpu_features().items()))).encode()
    sources = [source.read_bytes() for source in (*_SOURCES, *_HEADERS)]
    return hashlib.sha256(b"\0".join([*sources, repr(flags).encode(), version, processor])).hexdigest()[:16]
