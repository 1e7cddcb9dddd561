"""How the C library treats freed memory: kept for the next step, rather than given back to the kernel and faulted in
again. Training allocates the same large tensors at every step, so this is worth a tenth of its time on a CPU."""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_NEVER = 2**31 - 1


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
