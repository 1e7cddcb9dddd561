"""The most resident memory that this process has used."""

from __future__ import annotations

import resource
import sys


def peak_bytes() -> int:
    """Bytes, since the process began."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
