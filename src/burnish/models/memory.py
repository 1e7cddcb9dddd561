"""Memory between torch and the system. What is freed is kept for the next step, rather than given back to the kernel
and faulted in again: training allocates the same large tensors at every step, so this is worth a tenth of its time on a
CPU. Weights that lie in a mapped file take room only while they are read."""

from __future__ import annotations

import ctypes
import mmap
import platform
from pathlib import Path

import numpy as np
import torch

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_NEVER = 2**31 - 1
_MADV_DONTNEED = 4
_PAGES = Path("/proc/self/pagemap")
_PAGE_THERE, _PAGE_OF_FILE = np.uint64(3 << 62), np.uint64(1 << 61)


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

    Source: madvise(2), MADV_DONTNEED: pages of a file are read from it again. One that was written to is no longer a
    page of the file, and would be lost; where there is such a page, all stay.
    """
    first = tensor.data_ptr()
    begin, end = -(-first // mmap.PAGESIZE), (first + tensor.nbytes) // mmap.PAGESIZE
    if tensor.device.type != "cpu" or begin >= end or not _are_of_a_file(begin, end):
        return False
    where, length = ctypes.c_void_p(begin * mmap.PAGESIZE), ctypes.c_size_t((end - begin) * mmap.PAGESIZE)
    return bool(ctypes.CDLL(None).madvise(where, length, _MADV_DONTNEED) == 0)


def _are_of_a_file(begin: int, end: int) -> bool:
    """Whether, of these pages of the process, some are there and all that are, are as the file has them.

    Source: Linux, Documentation/admin-guide/mm/pagemap.rst: bit 63 says that a page is in memory, 62 that it is swapped
    out, 61 that it is a file's (or shared with other processes, which doesn't lose it either).
    """
    try:
        with _PAGES.open("rb") as pages:
            pages.seek(8 * begin)
            entries = np.frombuffer(pages.read(8 * (end - begin)), dtype=np.uint64)
    except OSError:  # another system, or one that doesn't let a process know
        return False
    there = entries[(entries & _PAGE_THERE) != 0]
    return len(there) > 0 and bool(((there & _PAGE_OF_FILE) != 0).all())
