"""Burnish's side: the stages' own functions on a run folder, steps read from its metrics.jsonl.

python -m contest.burnish_side JOB.json RESULT.json
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from burnish.data.settings import DataSettings
from burnish.data.stage import prepare
from burnish.models.chat_template import Encoder
from burnish.models.device import products
from burnish.models.generate import GenerationSettings, generate
from burnish.models.load import load_model
from burnish.models.memory import keep_freed_memory
from burnish.models.settings import ModelSettings
from burnish.run_folder import RunFolder
from burnish.train import stage
from burnish.train.batches import DataOrder
from burnish.train.loop import Work
from burnish.train.metrics_log import read_metrics
from burnish.train.settings import TrainSettings
from contest.memory import peak_bytes
from contest.plan import LEARNING_RATE, MAX_LENGTH, MAX_NEW_TOKENS, RANK, Job, Measured, read_job, write
from contest.workload import Workload, read_workload


def train_once(job: Job, work: Workload) -> Measured:
    """Prepare and train in a new run folder. A step's seconds are the loop's own: from before its rows are packed to
    after its weights have moved. What computing DPO's reference takes counts for the rows that are measured."""
    seconds_before = 0.0
    learn_reference = stage.learn_reference

    def timed(work: Work) -> None:
        nonlocal seconds_before
        began = time.perf_counter()
        learn_reference(work)
        seconds_before += time.perf_counter() - began

    stage.learn_reference = timed  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_rows(job, work, folder / "rows.jsonl")
        run = RunFolder(folder / "run")
        data = DataSettings.model_validate({"train": "rows.jsonl", "heldout_fraction": 0.0})
        dataset = prepare(data, run, folder, job.seed)
        model = ModelSettings.model_validate({"name": job.model, "dtype": "float32", "products": job.dtype})
        stage.train(_settings(job), model, dataset, (), run, job.seed, False)
        steps = read_metrics(run.file("train/metrics.jsonl"))
    first = job.warmup * job.batch
    return Measured(
        amount=len(work.tokens) - first if job.kind == "dpo" else sum(work.tokens[first:]),
        seconds=sum(step["seconds"] for step in steps[job.warmup :])
        + seconds_before * (len(work.tokens) - first) / len(work.tokens),
        peak_bytes=peak_bytes(),
        losses=tuple(step["loss"] for step in steps),
    )


def generate_once(job: Job, work: Workload) -> Measured:
    """Answer all prompts, after two short replies to warm up."""
    keep_freed_memory()
    loaded = load_model(ModelSettings.model_validate({"name": job.model, "dtype": "float32", "products": job.dtype}))
    Encoder(loaded.tokenizer, MAX_LENGTH)
    settings = GenerationSettings(max_new_tokens=MAX_NEW_TOKENS)
    with products(loaded.products):
        generate(loaded.model, loaded.tokenizer, work.prompts[:2], settings.model_copy(update={"max_new_tokens": 4}))
        began = time.perf_counter()
        replies = generate(loaded.model, loaded.tokenizer, work.prompts, settings)
        seconds = time.perf_counter() - began
    return Measured(sum(len(reply.tokens) for reply in replies), seconds, peak_bytes())


def _settings(job: Job) -> TrainSettings:
    return TrainSettings.model_validate(
        {
            "method": "dpo" if job.kind == "dpo" else "sft",
            "adapter": "full" if job.adapter == "full" else {"kind": job.adapter, "rank": RANK},
            "batch_size": job.batch,
            "max_length": MAX_LENGTH,
            "learning_rate": LEARNING_RATE[job.adapter],
            "schedule": {"kind": "constant", "warmup_fraction": 0.0},
            "checkpoint_every": 1_000_000,
        }
    )


def _write_rows(job: Job, work: Workload, path: Path) -> None:
    """The rows, placed so that the order of the first epoch takes them as the workload lists them."""
    names = ("prompt", "chosen", "rejected") if job.kind == "dpo" else ("messages",)
    order = DataOrder(len(work.rows), len(work.rows), len(work.rows), job.seed).rows(0)
    placed = [""] * len(order)
    for row, place in zip(work.rows, order, strict=True):
        placed[place] = json.dumps({name: row[name] for name in names})
    path.write_text("\n".join(placed) + "\n", encoding="utf-8")


if __name__ == "__main__":
    job = read_job(sys.argv[1])
    work = read_workload(job.workload)
    write(Path(sys.argv[2]), generate_once(job, work) if job.kind == "generation" else train_once(job, work))
