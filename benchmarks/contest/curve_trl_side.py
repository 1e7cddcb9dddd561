"""TRL's side of `benchmarks/rlhf_curves.py`: GRPO on the same prompts with the same reward, by the same settings.

python -m contest.curve_trl_side JOB.json RESULT.json
"""

from __future__ import annotations

import json
import runpy
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

from burnish.models.load import resolve_folder
from burnish.recipe import load_recipe
from contest.clock import Clock
from contest.plan import ALPHA, RANK


def run_once(job: dict[str, Any]) -> dict[str, Any]:
    """Train; the loss is a mean over tokens, and ratios are clipped at 0.2 both ways, as on Burnish's side."""
    torch.manual_seed(job["seed"])
    example = Path(job["example"])
    whole = load_recipe(example / "sums.yaml")
    recipe = whole.train
    right = runpy.run_path(str(example / "sums.py"))["right"]
    lines = (example / "sums_train.jsonl").read_text(encoding="utf-8").splitlines()
    chats = [json.loads(line)["messages"] for line in lines]
    rows = Dataset.from_list([{"prompt": chat[:-1], "reply": chat[-1]["content"]} for chat in chats])

    def reward(completions: list[Any], reply: list[str], **_: Any) -> list[float]:
        return [right(one[0]["content"], wanted) for one, wanted in zip(completions, reply, strict=True)]

    folder = resolve_folder(whole.model)
    clock = Clock()
    began = time.process_time()
    with tempfile.TemporaryDirectory() as output:
        settings: Any = recipe.method
        GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
            processing_class=AutoTokenizer.from_pretrained(folder),
            reward_funcs=reward,
            args=GRPOConfig(
                output_dir=output,
                use_cpu=True,
                bf16=job["dtype"] == "bfloat16",
                gradient_checkpointing=False,
                per_device_train_batch_size=settings.samples,  # a group at a time, in less memory
                gradient_accumulation_steps=recipe.batch_size,
                num_generations=settings.samples,
                max_completion_length=settings.max_new_tokens,
                beta=settings.beta,
                loss_type="dapo",
                max_steps=job["steps"],
                learning_rate=recipe.learning_rate,
                lr_scheduler_type=recipe.schedule.kind,
                weight_decay=recipe.optimiser.weight_decay,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                dataloader_pin_memory=False,
                seed=job["seed"],
            ),
            train_dataset=rows,
            peft_config=LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=ALPHA, target_modules="all-linear"),
            callbacks=[clock],
        ).train()
    return {"rewards": clock.rewards, "processor_seconds": time.process_time() - began}


if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps(run_once(job)), encoding="utf-8")
