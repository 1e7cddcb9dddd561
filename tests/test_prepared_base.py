"""Whole runs of adapters whose base was prepared, in 4 bits and with tokens added: what is trained, measured, resumed
and released is one and the same model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from burnish import pipeline
from burnish.artefacts import Merge, TrainedModel
from burnish.models.chat_template import Encoder
from burnish.models.generate import GenerationSettings, generate
from burnish.models.load import load_model
from burnish.models.settings import ModelSettings
from burnish.recipe import Recipe, parse_recipe
from burnish.records import Message
from burnish.release.verify import verify

RECIPE = """\
name: prepared
model: {{name: {model}, device: cpu, dtype: float32, products: float32, add_tokens: ["<tool>"]}}
data: {{train: {rows}, heldout_fraction: 0.2}}
train: {{max_steps: {steps}, batch_size: 4, max_length: 96, learning_rate: 0.002, adapter: {adapter}}}
evaluate:
  task: null
  safety:
    max_new_tokens: 8
    suites:
      - {{path: "builtin:harmful_requests", kind: harmful, rows: 12}}
      - {{path: "builtin:over_refusal", kind: over_refusal, rows: 12}}
gate:
  {{harmful_compliance_margin: 0.99, lost_refusals_margin: 0.99, over_refusal_margin: 0.99, incoherence_margin: 0.99}}
release: {{form: merged, to: {target}}}
"""


def recipe(folder: Path, model: Path, adapter: str, steps: int) -> Recipe:
    rows = [{"prompt": f"What is {i} plus {i}?", "completion": f"<tool> add {i} {i}"} for i in range(40)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = RECIPE.format(
        model=model, rows=folder / "rows.jsonl", steps=steps, adapter=adapter, target=folder / "released"
    )
    return parse_recipe(made)


def go(folder: Path, wanted: Recipe) -> Path:
    """Carry the run out, resume it, and check what came out; returns the release."""
    outcome = pipeline.run(wanted, runs=folder / "runs")
    assert outcome.decision is not None
    assert outcome.decision.verdict == "PASS", outcome.decision.reason
    assert outcome.release is not None
    again = pipeline.run(wanted, runs=folder / "runs", resume=True)
    assert again.release == outcome.release
    released = Path(outcome.release.path)
    report = verify(released)
    assert report.ok, report.faults

    responses = pl.read_parquet(folder / "runs/prepared/evaluate/responses.parquet").filter(pl.col("arm") == "tuned")
    tokenizer: Any = AutoTokenizer.from_pretrained(released)
    assert len(tokenizer("<tool>", add_special_tokens=False)["input_ids"]) == 1
    model: Any = AutoModelForCausalLM.from_pretrained(released, dtype=torch.float32)
    encoder = Encoder(tokenizer, 96)
    asked = responses.head(8)
    prompts = [encoder.prompt([Message("user", prompt)]) for prompt in asked["prompt"]]
    replies = generate(model, tokenizer, prompts, GenerationSettings(max_new_tokens=8))
    assert [reply.text for reply in replies] == asked["reply"].to_list()
    return released


@pytest.mark.parametrize("vocabulary", ["added", "all"])
@pytest.mark.parametrize("kind", ["lora", "qlora"])
def test_what_was_measured_is_what_is_released(
    kind: str, vocabulary: str, tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    adapter = f"{{kind: {kind}, rank: 2, vocabulary: {vocabulary}}}"
    released = go(tmp_path, recipe(tmp_path, tiny_model_folder, adapter, steps=3))
    merge = Merge.model_validate_json((released / "evidence/merge.json").read_bytes())
    assert merge.base == ("dequantised" if kind == "qlora" else "as it was")
    assert merge.drift.mean < 1e-6
    trained = TrainedModel.model_validate_json((tmp_path / "runs/prepared/train/train.json").read_bytes())
    loaded = load_model(ModelSettings(name=str(tmp_path / "runs/prepared" / trained.path), device="cpu"))
    assert loaded.identity.digest == trained.digest


@pytest.mark.slow
def test_a_real_qlora_run_with_an_added_token(smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    released = go(tmp_path, recipe(tmp_path, smollm2, "{kind: qlora, rank: 8}", steps=12))
    model: Any = AutoModelForCausalLM.from_pretrained(released, dtype=torch.float32)
    tokenizer: Any = AutoTokenizer.from_pretrained(released)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is 3 plus 3?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    written = model.generate(**prompt, max_new_tokens=12, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert tokenizer.decode(written).startswith("<tool>")
