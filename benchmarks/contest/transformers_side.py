"""transformers' own generation: batches of prompts sorted by length, padded on the left, greedy.

    python -m contest.transformers_side JOB.json RESULT.json

The one option is the batch size. Replies end at the same tokens as Burnish's; tokens are counted up to the one that
ends a reply.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch

from burnish.models.generate import stop_tokens
from burnish.models.load import load_model
from burnish.models.settings import ModelSettings
from contest.memory import peak_bytes
from contest.plan import MAX_NEW_TOKENS, Job, Measured, read_job, write
from contest.workload import Workload, read_workload


def generate_once(job: Job, work: Workload) -> Measured:
    """Answer all prompts, after two short replies to warm up."""
    loaded = load_model(ModelSettings.model_validate({"name": job.model, "dtype": job.dtype}))
    stop = sorted(stop_tokens(loaded.model, loaded.tokenizer))
    prompts = sorted(work.prompts, key=len, reverse=True)
    size = int(job.options[0])
    _reply(loaded.model, prompts[:2], stop, 4)
    began = time.perf_counter()
    tokens = sum(
        _reply(loaded.model, prompts[start : start + size], stop, MAX_NEW_TOKENS)
        for start in range(0, len(prompts), size)
    )
    return Measured(tokens, time.perf_counter() - began, peak_bytes())


@torch.inference_mode()
def _reply(model: Any, prompts: list[tuple[int, ...]], stop: list[int], limit: int) -> int:
    """How many tokens were written."""
    longest = max(map(len, prompts))
    tokens = torch.tensor([[stop[0]] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    rows = model.generate(
        tokens,
        attention_mask=mask,
        max_new_tokens=limit,
        do_sample=False,
        temperature=None,
        top_p=None,
        top_k=None,
        eos_token_id=stop,
        pad_token_id=stop[0],
    )[:, longest:].tolist()
    ends = (next((index + 1 for index, token in enumerate(row) if token in stop), len(row)) for row in rows)
    return sum(ends)


if __name__ == "__main__":
    job = read_job(sys.argv[1])
    write(Path(sys.argv[2]), generate_once(job, read_workload(job.workload)))
