"""Memory between torch and the system. What is freed is kept for the next step, rather than given back to the kernel
and faulted in again: training allocates the same large tensors at every step, so this is worth a tenth of its time on a
CPU. Weights that lie in a mapped file take room only while they are read."""

from __future__ import annotations

import ctypes
import mmap
import platform
from pathlib import Path

import torch

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_NEVER = 2**31 - 1
_MADV_PAGEOUT = 21
_MAPS = Path("/proc/self/maps")


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed, for the rest of the process. Returns whether it did: False on other systems.

    Source: mallopt(3). Setting either threshold also switches their automatic adjustment off.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_THRESHOLD, _NEVER)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))


def give_back_freed_memory() -> bool:
    """Return what is freed to the system after all, once: between kinds of work whose tensors differ in size (drawing
    answers, learning from them), whose heap would else grow by the holes that each leaves for the other. Returns
    whether anything was: False on other systems than those of glibc.

    Source: malloc_trim(3).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    return bool(ctypes.CDLL(None).malloc_trim(0))


def set_aside(tensor: torch.Tensor) -> bool:
    """Give back the memory of a tensor that lies in a mapped file, which is read again when it is next needed. Returns
    whether it was: False for memory of the process' own, and on other systems than Linux.

    Source: madvise(2), MADV_PAGEOUT.
    """
    first = tensor.data_ptr()
    if tensor.device.type != "cpu" or not _lies_in_a_file(first):
        return False
    begin = -(-first // mmap.PAGESIZE) * mmap.PAGESIZE
    length = first + tensor.nbytes - begin
    return length > 0 and ctypes.CDLL(None).madvise(ctypes.c_void_p(begin), ctypes.c_size_t(length), _MADV_PAGEOUT) == 0


def _lies_in_a_file(address: int) -> bool:
    if not _MAPS.exists():
        return False
    with _MAPS.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            span, _, _, _, inode, *_ = line.split(maxsplit=5)
            begin, end = (int(side, 16) for side in span.split("-"))
            if begin <= address < end:
                return inode != "0"
    return False
