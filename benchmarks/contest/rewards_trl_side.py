"""TRL's side of `benchmarks/rlhf.py`: its GRPO and RLOO trainers as they come, their steps timed by a callback.

python -m contest.rewards_trl_side JOB.json RESULT.json
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from burnish.models.load import resolve_folder
from burnish.models.settings import ModelSettings
from contest.clock import Clock
from contest.memory import peak_bytes
from contest.plan import ALPHA, RANK
from contest.rewards_work import BETA, LEARNING_RATE, questions


def near(completions: list[Any], **_: Any) -> list[float]:
    """The same reward as Burnish's side has."""
    return [-abs(len(completion[0]["content"]) - 100) / 100 for completion in completions]


def run_once(job: dict[str, Any]) -> dict[str, Any]:
    """Train; the first step is left out."""
    torch.manual_seed(job["seed"])
    rows = [{"prompt": [{"role": "user", "content": q}]} for q in questions(job["prompts"] * (job["steps"] + 1))]
    config, trainer = {"grpo": (GRPOConfig, GRPOTrainer), "rloo": (RLOOConfig, RLOOTrainer)}[job["method"]]
    folder = resolve_folder(ModelSettings(name=job["model"]))
    held = torch.bfloat16 if "narrow" in job["options"] else torch.float32
    clock = Clock()
    with tempfile.TemporaryDirectory() as output:
        arguments = config(
            output_dir=output,
            use_cpu=True,
            bf16=job["dtype"] == "bfloat16",
            gradient_checkpointing="checkpointing" in job["options"],
            per_device_train_batch_size=job["prompts"] * job["samples"],
            num_generations=job["samples"],
            max_completion_length=job["tokens"],
            beta=BETA,
            max_steps=job["steps"] + 1,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="constant",
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
            seed=job["seed"],
        )
        trained = trainer(
            model=AutoModelForCausalLM.from_pretrained(folder, dtype=held),
            processing_class=AutoTokenizer.from_pretrained(folder),
            reward_funcs=near,
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            peft_config=LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=ALPHA, target_modules="all-linear"),
            callbacks=[clock],
        )
        trained.train()
    seconds = clock.seconds
    answers = job["prompts"] * job["samples"]
    return {
        "seconds": seconds,
        "tokens": [length * answers for length in clock.lengths[1 : len(seconds) + 1]],
        "peak_bytes": peak_bytes(),
    }


if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps(run_once(job)), encoding="utf-8")
