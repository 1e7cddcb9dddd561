"""TRL's side: its trainers as they come, their steps timed by a callback.

    python -m contest.trl_side JOB.json RESULT.json

Options: "checkpointing" leaves gradient checkpointing on, as TRL has it by default; "grouped" takes rows in batches of
like lengths; "padding_free" lays a batch out in one row; "precomputed" has DPO's reference computed beforehand, whose
time counts for the rows that are measured.

Precision is said outright: TRL's own default is bfloat16 autocast (`bf16` is True unless fp16 is), on a CPU as well.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, TrainerCallback
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from burnish.models.load import resolve_folder
from burnish.models.settings import ModelSettings
from contest.memory import peak_bytes
from contest.plan import ALPHA, LEARNING_RATE, MAX_LENGTH, RANK, Job, Measured, read_job, write
from contest.workload import Workload, read_workload


class Clock(TrainerCallback):
    """Notes when each step ended, and its loss."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.losses: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(time.perf_counter())

    def on_log(self, _args: Any, _state: Any, _control: Any, logs: dict[str, float], **_rest: Any) -> None:
        if "loss" in logs:
            self.losses.append(float(logs["loss"]))


def train_once(job: Job, work: Workload) -> Measured:
    """Train over the workload once. A step's seconds run from the end of the one before to its own end."""
    clock = Clock()
    order = work.grouped if "grouped" in job.options else range(len(work.rows))
    rows = [work.rows[index] for index in order]
    torch.manual_seed(job.seed)
    with tempfile.TemporaryDirectory() as folder:
        make = _dpo if job.kind == "dpo" else _sft
        trainer, seconds_before = make(job, rows, folder)
        trainer.add_callback(clock)
        trainer.train()
    first = job.warmup * job.batch
    measured = order[first:]
    share = len(measured) / len(rows)
    return Measured(
        amount=len(measured) if job.kind == "dpo" else sum(work.tokens[index] for index in measured),
        seconds=clock.ends[-1] - clock.ends[job.warmup - 1] + share * seconds_before,
        peak_bytes=peak_bytes(),
        losses=tuple(clock.losses),
    )


def _sft(job: Job, rows: list[dict[str, Any]], folder: str) -> tuple[SFTTrainer, float]:
    loose = "padding_free" in job.options
    # Rows are cut already; TRL refuses to lay out rows without padding while it is given a length to cut them to.
    config = SFTConfig(**_common(job, folder) | ({"max_length": None} if loose else {}), padding_free=loose)
    model, tokenizer = _load(job)
    data = Dataset.from_list([{name: row[name] for name in ("input_ids", "labels")} for row in rows])
    return SFTTrainer(model, config, train_dataset=data, processing_class=tokenizer, peft_config=_adapter(job)), 0.0


def _dpo(job: Job, rows: list[dict[str, Any]], folder: str) -> tuple[DPOTrainer, float]:
    """The trainer, and the seconds that computing the reference beforehand took."""
    seconds = 0.0

    class Timed(DPOTrainer):
        def _precompute_ref_logps(self, *args: Any, **named: Any) -> Any:
            nonlocal seconds
            began = time.perf_counter()
            data = super()._precompute_ref_logps(*args, **named)
            seconds += time.perf_counter() - began
            return data

    config = DPOConfig(**_common(job, folder), precompute_ref_log_probs="precomputed" in job.options)
    model, tokenizer = _load(job)
    data = Dataset.from_list([{name: row[name] for name in ("prompt", "chosen", "rejected")} for row in rows])
    trainer = Timed(model, args=config, train_dataset=data, processing_class=tokenizer, peft_config=_adapter(job))
    return trainer, seconds


def _common(job: Job, folder: str) -> dict[str, Any]:
    return {
        "output_dir": folder,
        "use_cpu": True,
        "bf16": job.dtype == "bfloat16",
        "gradient_checkpointing": "checkpointing" in job.options,
        "per_device_train_batch_size": job.batch,
        "train_sampling_strategy": "sequential",
        "num_train_epochs": 1,
        "max_length": MAX_LENGTH,
        "learning_rate": LEARNING_RATE[job.adapter],
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "seed": job.seed,
    }


def _adapter(job: Job) -> LoraConfig | None:
    if job.adapter == "full":
        return None
    return LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=ALPHA, target_modules="all-linear")


def _load(job: Job) -> tuple[Any, Any]:
    folder = resolve_folder(ModelSettings(name=job.model))
    options: dict[str, Any] = {"dtype": torch.float32}
    if job.adapter == "qlora":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, job.dtype),
        )
        options["device_map"] = {"": "cpu"}
    return AutoModelForCausalLM.from_pretrained(folder, **options), AutoTokenizer.from_pretrained(folder)


if __name__ == "__main__":
    job = read_job(sys.argv[1])
    write(Path(sys.argv[2]), train_once(job, read_workload(job.workload)))
