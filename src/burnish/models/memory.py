"""Memory between torch and the system. What is freed is kept for the next step, rather than given back to the kernel
and faulted in again: training allocates the same large tensors at every step, so this is worth a tenth of its time on a
CPU. Weights that lie in a mapped file take room only while they are read."""

from __future__ import annotations

import ctypes
import mmap
import platform
from bisect import bisect
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_NEVER = 2**31 - 1
_MADV_DONTNEED = 4
_SMALL, _PART = 2**17, 2**24  # bytes
_MAPS, _PAGES = Path("/proc/self/maps"), Path("/proc/self/pagemap")
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
    whether it was: False for memory of the process' own, and on other systems than Linux."""
    return tensor.device.type == "cpu" and _set_aside(tensor.data_ptr(), tensor.nbytes)


def set_files_aside(module: nn.Module) -> int:
    """The same for every file that a tensor of the module lies in, whole, where the module reads little of it from now
    on, having copies of what it needs: the memory of what lies beside that is given back too. Small tensors get memory
    of their own first, since the system maps a file in pieces of up to two megabytes, and reading each layer's norm
    would bring back the layers. Returns how many mappings were set aside."""
    tensors = [each for each in (*module.parameters(), *module.buffers()) if each.device.type == "cpu" and each.nbytes]
    files = _holding(tensors)
    for tensor in tensors:
        if tensor.nbytes <= _SMALL and any(begin <= tensor.data_ptr() < end for begin, end in files):
            tensor.data = tensor.data.clone()
    return sum(_set_aside(begin, end - begin) for begin, end in files)


def _holding(tensors: Sequence[torch.Tensor]) -> list[tuple[int, int]]:
    """The mapped files that some of the tensors lie in."""
    firsts = sorted(tensor.data_ptr() for tensor in tensors)
    return [(begin, end) for begin, end in _mapped_files() if bisect(firsts, begin) < bisect(firsts, end)]


def _mapped_files() -> list[tuple[int, int]]:
    """Where files are mapped in this process: first byte and end of each.

    Source: proc_pid_maps(5): address range, permissions, offset, device, inode (0 where there is no file), path.
    """
    try:
        lines = [line.split(maxsplit=5) for line in _MAPS.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:  # another system
        return []
    ranges = [line[0].split("-") for line in lines if line[4] != "0"]
    return [(int(begin, 16), int(end, 16)) for begin, end in ranges]


def look_up(weight_VD: torch.Tensor, rows_N: torch.Tensor) -> torch.Tensor:
    """Rows of a matrix, (N, D), of which next to nothing is in memory before or after, where it lies in a mapped file:
    a few hundred rows from all over it would bring back all.

    Raises: IndexError for a row that isn't there.
    """
    if len(rows_N) and not 0 <= int(rows_N.min()) <= int(rows_N.max()) < len(weight_VD):
        raise IndexError(f"rows {int(rows_N.min())} to {int(rows_N.max())} of a matrix of {len(weight_VD)}")
    found_ND = weight_VD.new_empty(len(rows_N), weight_VD.shape[1])
    step = max(1, _PART // (weight_VD.shape[1] * weight_VD.element_size()))
    for begin in range(0, len(weight_VD), step):
        part_VD = weight_VD[begin : begin + step]
        here_N = (rows_N >= begin) & (rows_N < begin + step)
        if here_N.any():
            found_ND[here_N] = part_VD[rows_N[here_N] - begin]
            set_aside(part_VD)
    return found_ND


def _set_aside(first: int, size: int) -> bool:
    """The whole pages among `size` bytes from the address `first`.

    Source: madvise(2), MADV_DONTNEED: pages of a file are read from it again. One that was written to is no longer a
    page of the file, and would be lost; where there is such a page, all stay.
    """
    begin, end = -(-first // mmap.PAGESIZE), (first + size) // mmap.PAGESIZE
    if begin >= end or not _are_of_a_file(begin, end):
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
