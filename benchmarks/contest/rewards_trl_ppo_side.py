"""TRL's PPO for `benchmarks/rlhf.py`: policy by adapter, and models of their own for reward and value.

python -m contest.rewards_trl_ppo_side JOB.json RESULT.json

TRL had PPO up to 1.12, as `trl.experimental.ppo`; such a one must come first on the path, since the one that the other
methods are measured with has it no more. Every step is on the same prompts, each as often as answers are drawn
to it. The value model is trained whole, as in TRL's own example, or by an adapter.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, inject_adapter_in_model
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl.experimental.ppo import PPOConfig, PPOTrainer

from burnish.models.load import resolve_folder
from burnish.models.settings import ModelSettings
from contest.clock import Clock
from contest.memory import peak_bytes
from contest.plan import ALPHA, RANK
from contest.rewards_work import BETA, LEARNING_RATE, PASSES, questions

_PADDING = "<|endoftext|>"  # the model's own is its end of turn, which stands in prompts, and would be masked there


def run_once(job: dict[str, Any]) -> dict[str, Any]:
    """Train; the first step is left out."""
    torch.manual_seed(job["seed"])
    folder = resolve_folder(ModelSettings(name=job["model"]))
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", pad_token=_PADDING)
    asked = [tokenizer.apply_chat_template(_chat(q), add_generation_prompt=True) for q in questions(job["prompts"])]
    rows = Dataset.from_list([{"input_ids": _ids(one)} for one in asked for _ in range(job["samples"])])
    held = torch.bfloat16 if "narrow" in job["options"] else torch.float32
    value = _scoring(folder, held)
    clock = Clock()
    with tempfile.TemporaryDirectory() as output:
        arguments = PPOConfig(
            output_dir=output,
            use_cpu=True,
            bf16=job["dtype"] == "bfloat16",
            per_device_train_batch_size=len(rows),
            gradient_accumulation_steps=1,
            total_episodes=len(rows) * (job["steps"] + 1),
            num_ppo_epochs=PASSES,
            response_length=job["tokens"],
            stop_token="eos",
            temperature=1.0,
            kl_coef=BETA,
            num_sample_generations=0,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="constant",
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
            seed=job["seed"],
        )
        trained = PPOTrainer(
            args=arguments,
            processing_class=tokenizer,
            model=AutoModelForCausalLM.from_pretrained(folder, dtype=held),
            ref_model=None,
            reward_model=_scoring(folder, held),
            value_model=value if "whole value" in job["options"] else _by_adapter(value),
            train_dataset=rows,
            eval_dataset=rows,
            peft_config=_lora("CAUSAL_LM"),
            callbacks=[clock],
        )
        trained.train()
    return {"seconds": clock.seconds, "tokens": [], "peak_bytes": peak_bytes()}


def _chat(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


def _ids(encoded: Any) -> list[int]:
    return list(encoded["input_ids"] if hasattr(encoded, "keys") else encoded)


def _lora(task: str | None) -> LoraConfig:
    return LoraConfig(task_type=task, r=RANK, lora_alpha=ALPHA, target_modules="all-linear")


def _scoring(folder: Path, held: torch.dtype) -> Any:
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=held)


def _by_adapter(model: Any) -> Any:
    """The same model with trained adapters in its decoder and its head trained, nothing else."""
    for weight in model.parameters():
        weight.requires_grad_(False)
    inject_adapter_in_model(_lora(None), model.model)
    model.score.weight.requires_grad_(True)
    return model


if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps(run_once(job)), encoding="utf-8")
