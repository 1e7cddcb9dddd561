"""Which rows are held out of training: decided by each row's content alone.

A row's side never changes when rows are added, removed or reordered, nor with the seed; equal rows share a side.
"""

from __future__ import annotations

import hashlib

_SCALE = 1 << 64


def is_held_out(digest: str, fraction: float) -> bool:
    """Whether the row of that content digest is held out, for a share `fraction` (0 to 1) of all contents. A larger
    share holds out the same rows and more."""
    position = int.from_bytes(hashlib.sha256(f"heldout {digest}".encode()).digest()[:8], "big")
    return position < fraction * _SCALE
