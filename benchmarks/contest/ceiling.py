"""How fast this machine multiplies matrices: the best rate over products that a model of this size is made of.

    python -m contest.ceiling JOB.json RESULT.json

The result's amount is floating-point operations; its rate is operations a second.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from contest.plan import Job, Measured, read_job, write

_ROWS = (1024, 2048)
_SECONDS = 0.5


def measure(job: Job) -> Measured:
    """The fastest single product of any shape, each tried for half a second."""
    from transformers import AutoConfig

    from burnish.models.load import resolve_folder
    from burnish.models.settings import ModelSettings

    config = AutoConfig.from_pretrained(resolve_folder(ModelSettings(name=job.model))).get_text_config()
    hidden, inner = config.hidden_size, config.intermediate_size
    shapes = [(rows, a, b) for rows in _ROWS for a, b in ((hidden, hidden), (hidden, inner), (inner, hidden))]
    return max((_fastest(*shape, getattr(torch, job.dtype)) for shape in shapes), key=lambda found: found.rate)


def _fastest(rows: int, inner: int, columns: int, dtype: torch.dtype) -> Measured:
    left = torch.randn(rows, inner, dtype=dtype)
    right = torch.randn(columns, inner, dtype=dtype)
    out = torch.empty(rows, columns, dtype=dtype)
    best, until = float("inf"), time.perf_counter() + _SECONDS
    while (began := time.perf_counter()) < until:
        torch.mm(left, right.T, out=out)
        best = min(best, time.perf_counter() - began)
    return Measured(2.0 * rows * inner * columns, best)


if __name__ == "__main__":
    write(Path(sys.argv[2]), measure(read_job(sys.argv[1])))
