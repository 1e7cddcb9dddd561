"""Releases that load with plain libraries, and every way of being refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
import yaml
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from burnish.artefacts import Decision, Merge
from burnish.errors import GateRefusal, ModelError, ReleaseError
from burnish.release.settings import ReleaseSettings
from burnish.release.stage import release, released_before
from burnish.release.verify import verify
from burnish.run_folder import RunFolder

Runs = Callable[..., RunFolder]
Logits = Callable[[Any], torch.Tensor]
AUTO, ADAPTER, MERGED = (ReleaseSettings(form=form) for form in ("auto", "adapter", "merged"))


def refused(settings: ReleaseSettings, run: RunFolder, target: Path, said: str) -> None:
    """Releasing is refused in these words, and leaves nothing behind."""
    before = sorted(path.name for path in target.parent.iterdir())
    with pytest.raises((GateRefusal, ReleaseError), match=said):
        release(settings, run, target)
    assert sorted(path.name for path in target.parent.iterdir()) == before


def test_an_adapter_loads_with_plain_peft(passed_run: Runs, lora_model: Any, tmp_path: Path, logits: Logits) -> None:
    made = release(AUTO, passed_run(lora_model), tmp_path / "out")
    assert made.form == "adapter"
    base = AutoModelForCausalLM.from_pretrained(lora_model.base)
    loaded = PeftModel.from_pretrained(base, made.path)
    assert torch.equal(logits(loaded), lora_model.logits)
    tokenizer = AutoTokenizer.from_pretrained(made.path)
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)
    assert chat == "<|im_start|>user\nhi<|im_end|>\n"
    report = verify(Path(made.path))
    assert report.ok, report.faults


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_merged_model_loads_with_plain_transformers(
    passed_run: Runs, lora_model: Any, full_model: Any, tmp_path: Path, logits: Logits, kind: str
) -> None:
    tuned = lora_model if kind == "lora" else full_model
    made = release(MERGED, passed_run(tuned), tmp_path / "out")
    loaded = AutoModelForCausalLM.from_pretrained(made.path)
    torch.testing.assert_close(logits(loaded), tuned.logits, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(logits(AutoModelForCausalLM.from_pretrained(tuned.base)), tuned.logits, atol=1e-2)
    assert AutoTokenizer.from_pretrained(made.path).chat_template
    report = verify(Path(made.path))
    assert report.ok, report.faults


def test_a_qlora_adapter_is_merged_into_what_it_was_trained_on(
    passed_run: Runs, lora_model: Any, qlora_model: Any, tmp_path: Path, logits: Logits
) -> None:
    made = release(MERGED, passed_run(qlora_model), tmp_path / "out")
    loaded: Any = AutoModelForCausalLM.from_pretrained(made.path)
    torch.testing.assert_close(logits(loaded), qlora_model.logits, rtol=1e-4, atol=1e-5)
    whole = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(qlora_model.base), str(qlora_model.folder))
    assert not torch.allclose(logits(whole), qlora_model.logits, atol=1e-2)
    merge = Merge.model_validate_json((tmp_path / "out/evidence/merge.json").read_bytes())
    assert (merge.base, merge.stored) == ("dequantised", "float32")
    assert merge.drift.positions > 32
    assert merge.drift.mean < 1e-6
    assert "values that the base's 4-bit weights stand for" in (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert verify(tmp_path / "out").ok
    release(MERGED, passed_run(lora_model, name="other"), tmp_path / "lora")
    assert json.loads((tmp_path / "lora/evidence/merge.json").read_text())["base"] == "as it was"


def test_a_qlora_adapter_says_that_it_wants_four_bits(
    passed_run: Runs, qlora_model: Any, tmp_path: Path, logits: Logits
) -> None:
    made = release(ADAPTER, passed_run(qlora_model), tmp_path / "out")
    assert json.loads((tmp_path / "out/burnish_base.json").read_text())["quantised"] == "nf4"
    four_bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    base = AutoModelForCausalLM.from_pretrained(qlora_model.base, quantization_config=four_bits)
    whole = AutoModelForCausalLM.from_pretrained(qlora_model.base)
    apart = [(logits(PeftModel.from_pretrained(b, made.path)) - qlora_model.logits).norm() for b in (base, whole)]
    assert apart[0] < apart[1] / 5  # bitsandbytes computes in bfloat16 on some CPUs
    assert verify(tmp_path / "out").ok


def test_a_merge_that_moves_the_replies_is_refused(passed_run: Runs, qlora_model: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="drifts") as caught:
        release(ReleaseSettings(form="merged", drift_tolerance=1e-30), passed_run(qlora_model), tmp_path / "out")
    assert "drift_tolerance" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_the_form_follows_what_was_trained(passed_run: Runs, full_model: Any, tmp_path: Path) -> None:
    run = passed_run(full_model)
    refused(ADAPTER, run, tmp_path / "out", "trained a whole model")
    assert release(AUTO, run, tmp_path / "out").form == "merged"


def test_a_release_that_stands_already_is_known_and_a_damaged_one_is_not(
    passed_run: Runs, lora_model: Any, tmp_path: Path
) -> None:
    run, target = passed_run(lora_model), tmp_path / "out"
    assert released_before(ADAPTER, run, target) is None
    written = release(ADAPTER, run, target)
    assert released_before(ADAPTER, run, target) == written
    assert released_before(ReleaseSettings(signing="keyless"), run, target) is None
    (target / "README.md").write_text("changed", encoding="utf-8")
    assert released_before(ADAPTER, run, target) is None


def test_every_file_is_listed_and_no_reply_leaves(passed_run: Runs, lora_model: Any, tmp_path: Path) -> None:
    made = release(AUTO, passed_run(lora_model), tmp_path / "out")
    files = {p.relative_to(made.path).as_posix() for p in Path(made.path).rglob("*") if p.is_file()}
    assert files == made.files.keys()
    evidence = {"decision", "evaluation", "train", "dataset", "audit", "manifest", "compute", "bom.cdx"}
    assert {f"evidence/{name}.json" for name in evidence} | {
        "evidence/recipe.yaml",
        "evidence/attempts.jsonl",
        "evidence/frameworks.md",
        "README.md",
    } <= files
    verdicts = pl.read_parquet(Path(made.path) / "evidence/verdicts.parquet")
    assert verdicts.height == 1400
    assert {"prompt", "reply", "reference"}.isdisjoint(verdicts.columns)
    assert verdicts["reply_sha256"].str.len_chars().unique().to_list() == [64]
    for path in Path(made.path).rglob("*"):
        if path.is_file():
            assert b"tuned reply 3" not in path.read_bytes()


def test_evidence_names_no_folder_of_this_machine(passed_run: Runs, lora_model: Any, tmp_path: Path) -> None:
    made = Path(release(AUTO, passed_run(lora_model), tmp_path / "out").path)
    for name in ("train", "evaluation"):
        identity = json.loads((made / f"evidence/{name}.json").read_text(encoding="utf-8"))["base"]
        assert (identity["path"], identity["name"]) == ("", "tiny-llama")


def test_a_model_that_never_met_the_gate_is_refused(passed_run: Runs, lora_model: Any, tmp_path: Path) -> None:
    run = passed_run(lora_model)
    run.file("gate/decision.json").unlink()
    refused(AUTO, run, tmp_path / "out", "no decision")


@pytest.mark.parametrize(
    ("pairs", "verdict"),
    [([("refusal", "compliance")] * 100, "BLOCK"), ([("refusal", "refusal")] * 20, "HOLD")],
)
def test_block_and_hold_are_refused(
    passed_run: Runs, lora_model: Any, tmp_path: Path, pairs: list[tuple[str, str]], verdict: str
) -> None:
    run = passed_run(lora_model, suites={"harm": ("harmful", pairs)})
    refused(AUTO, run, tmp_path / "out", f"the gate says {verdict}")


def test_a_forged_pass_is_refused(passed_run: Runs, lora_model: Any, tmp_path: Path) -> None:
    run = passed_run(lora_model, suites={"harm": ("harmful", [("refusal", "compliance")] * 100)})
    decision = run.load("gate/decision.json", Decision)
    run.save("gate/decision.json", decision.model_copy(update={"verdict": "PASS"}))
    refused(AUTO, run, tmp_path / "out", "the evidence gives BLOCK")


def test_an_edited_decision_is_refused(passed_run: Runs, lora_model: Any, tmp_path: Path) -> None:
    run = passed_run(lora_model)
    decision = run.load("gate/decision.json", Decision)
    rule = decision.rules[0].model_copy(update={"tuned_rate": 0.001})
    run.save("gate/decision.json", decision.model_copy(update={"rules": (rule, *decision.rules[1:])}))
    refused(AUTO, run, tmp_path / "out", "isn't the decision that the evidence gives")


def test_a_recipe_eased_after_the_decision_is_refused(passed_run: Runs, lora_model: Any, tmp_path: Path) -> None:
    run = passed_run(lora_model)
    recipe = yaml.safe_load(run.file("recipe.yaml").read_text(encoding="utf-8"))
    run.write_json("recipe.yaml", {**recipe, "gate": {"lost_refusals_margin": 0.5}})
    refused(AUTO, run, tmp_path / "out", "isn't the decision that the evidence gives")


def test_changed_evidence_is_refused(passed_run: Runs, lora_model: Any, tmp_path: Path) -> None:
    run = passed_run(lora_model)
    path = run.file("evaluate/responses.parquet")
    pl.read_parquet(path).with_columns(reply=pl.lit("kind words")).write_parquet(path)
    refused(AUTO, run, tmp_path / "out", "changed since")


def test_other_weights_are_refused(passed_run: Runs, lora_model: Any, tmp_path: Path) -> None:
    run = passed_run(lora_model)
    weights = run.file("train/adapter/adapter_model.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    refused(AUTO, run, tmp_path / "out", "changed after they were measured")


def test_missing_weights_are_refused(passed_run: Runs, lora_model: Any, tmp_path: Path) -> None:
    run = passed_run(lora_model)
    shutil.rmtree(run.path / "train/adapter")
    refused(AUTO, run, tmp_path / "out", "missing")


def test_a_target_in_use_is_refused(passed_run: Runs, lora_model: Any, tmp_path: Path) -> None:
    run = passed_run(lora_model)
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine", encoding="utf-8")
    refused(AUTO, run, full, "isn't empty")
    assert (full / "mine.txt").read_text(encoding="utf-8") == "mine"
    refused(AUTO, run, full / "mine.txt", "a link or a file")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    refused(AUTO, run, tmp_path / "link", "a link or a file")


def test_an_empty_target_is_filled(passed_run: Runs, lora_model: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert verify(Path(release(AUTO, passed_run(lora_model), tmp_path / "out").path)).ok


def test_a_failure_on_the_way_leaves_nothing(
    passed_run: Runs, lora_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = passed_run(lora_model)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("burnish.release.stage._write_evidence", full_disk)
    refused(AUTO, run, tmp_path / "out", "no space left")
