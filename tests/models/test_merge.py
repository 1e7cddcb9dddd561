from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from burnish.errors import ModelError
from burnish.models.adapters.qlora import QLoRA, QLoRASettings
from burnish.models.drift import EXCHANGES, drift, log_shares, rows_of
from burnish.models.load import identify, load_model
from burnish.models.merge import merge_to_folder, stored_dtype
from burnish.models.settings import DRIFT_TOLERANCE, ModelSettings

TOKENS = torch.tensor([[1, 40, 41, 42, 43, 2]])


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=TOKENS).logits.float()
    return found


def write_adapter(base: Path, folder: Path, seed: int = 3) -> torch.Tensor:
    """Write an adapter that changes the model, and return the logits with it."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base)
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear", init_lora_weights=False)
    module = get_peft_model(model, config)
    module.peft_config["default"].base_model_name_or_path = str(base)
    module.save_pretrained(str(folder))
    return logits(module)


def test_a_merged_folder_says_what_base_and_adapter_say(tiny_model_folder: Path, tmp_path: Path) -> None:
    expected = write_adapter(tiny_model_folder, tmp_path / "adapter")
    base = ModelSettings(name=str(tiny_model_folder))
    merge_to_folder(base, tmp_path / "adapter", tmp_path / "out" / "merged", expected=identify(base))
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "merged")
    assert torch.allclose(logits(merged), expected, atol=1e-5)
    assert not torch.allclose(logits(AutoModelForCausalLM.from_pretrained(tiny_model_folder)), expected, atol=1e-2)
    assert AutoTokenizer.from_pretrained(tmp_path / "out" / "merged").chat_template
    assert merged.generation_config.eos_token_id == 2
    assert not (tmp_path / "out" / "merged" / "adapter_config.json").exists()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["merged"]


def test_an_adapter_folder_loads_as_its_base_with_the_adapter_merged(tiny_model_folder: Path, tmp_path: Path) -> None:
    expected = write_adapter(tiny_model_folder, tmp_path / "adapter")
    loaded = load_model(ModelSettings(name=str(tmp_path / "adapter"), device="cpu"))
    assert torch.allclose(logits(loaded.model), expected, atol=1e-5)
    assert loaded.identity.base == identify(ModelSettings(name=str(tiny_model_folder)))
    assert loaded.identity.digest != loaded.identity.base.digest
    assert not any("lora" in name for name, _ in loaded.model.named_parameters())
    assert loaded.tokenizer.chat_template


def test_an_adapter_of_an_adapter_loads_and_a_circle_is_refused(tiny_model_folder: Path, tmp_path: Path) -> None:
    write_adapter(tiny_model_folder, tmp_path / "first")
    write_adapter(tiny_model_folder, tmp_path / "second", seed=4)
    config_path = tmp_path / "second" / "adapter_config.json"
    config = json.loads(config_path.read_text())
    config_path.write_text(json.dumps(config | {"base_model_name_or_path": str(tmp_path / "first")}))
    first = load_model(ModelSettings(name=str(tmp_path / "first"), device="cpu"))
    expected = logits(PeftModel.from_pretrained(first.model, str(tmp_path / "second")))
    second = load_model(ModelSettings(name=str(tmp_path / "second"), device="cpu"))
    assert torch.allclose(logits(second.model), expected, atol=1e-5)
    config_path.write_text(json.dumps(config | {"base_model_name_or_path": str(tmp_path / "second")}))
    with pytest.raises(ModelError, match="circle"):
        identify(ModelSettings(name=str(tmp_path / "second")))


def test_the_merged_model_keeps_the_type_of_the_bases_files(tiny_model_folder: Path, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.bfloat16)
    model.save_pretrained(tmp_path / "base")
    AutoTokenizer.from_pretrained(tiny_model_folder).save_pretrained(tmp_path / "base")
    write_adapter(tmp_path / "base", tmp_path / "adapter")
    base = ModelSettings(name=str(tmp_path / "base"))
    assert stored_dtype(identify(base)) == "bfloat16"
    assert stored_dtype(identify(ModelSettings(name=str(tmp_path / "adapter")))) == "bfloat16"
    merge_to_folder(base, tmp_path / "adapter", tmp_path / "merged")
    assert stored_dtype(identify(ModelSettings(name=str(tmp_path / "merged")))) == "bfloat16"
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["dtype"] == "bfloat16"


def test_another_base_or_a_folder_in_the_way_is_refused_and_nothing_written(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    write_adapter(tiny_model_folder, tmp_path / "adapter")
    base = ModelSettings(name=str(tiny_model_folder))
    other = identify(base).model_copy(update={"digest": "0" * 64})
    with pytest.raises(ModelError, match="digest"):
        merge_to_folder(base, tmp_path / "adapter", tmp_path / "merged", expected=other)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter"]
    (tmp_path / "merged").mkdir()
    with pytest.raises(ModelError, match="already exists"):
        merge_to_folder(base, tmp_path / "adapter", tmp_path / "merged")


def test_rounding_is_measured_and_refused_above_a_tolerance(tiny_model_folder: Path, tmp_path: Path) -> None:
    AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.bfloat16).save_pretrained(tmp_path / "base")
    AutoTokenizer.from_pretrained(tiny_model_folder).save_pretrained(tmp_path / "base")
    write_adapter(tmp_path / "base", tmp_path / "adapter")
    base = ModelSettings(name=str(tmp_path / "base"))
    merge = merge_to_folder(base, tmp_path / "adapter", tmp_path / "merged")
    assert (merge.base, merge.stored) == ("as it was", "bfloat16")
    assert 1e-9 < merge.drift.mean < 1e-3
    with pytest.raises(ModelError, match="stored as bfloat16") as caught:
        merge_to_folder(base, tmp_path / "adapter", tmp_path / "again", tolerance=merge.drift.mean / 2)
    assert "release.form: adapter" in caught.value.hint
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter", "base", "merged"]


@pytest.mark.slow
def test_the_default_tolerance_tells_rounding_from_another_base(smollm2: Path, tmp_path: Path) -> None:
    settings = ModelSettings(name=str(smollm2), device="cpu")
    adapter = QLoRA(QLoRASettings(rank=4))
    loaded = load_model(settings, quantise=True)
    module = adapter.apply(loaded, seed=1)
    rows = rows_of(loaded.tokenizer, EXCHANGES)
    optimiser = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=1e-3)
    for row in rows:
        optimiser.zero_grad()
        module(input_ids=row.tokens[None], labels=row.tokens[None]).loss.backward()
        optimiser.step()
    adapter.save(module.eval(), loaded, tmp_path / "adapter")
    trained = log_shares(module, rows)
    merge = merge_to_folder(settings, tmp_path / "adapter", tmp_path / "merged", expected=identify(settings))
    assert merge.drift.mean < DRIFT_TOLERANCE / 1000
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert drift(trained, log_shares(merged, rows)).mean < DRIFT_TOLERANCE / 1000
    assert drift(trained, log_shares(merged.bfloat16().float(), rows)).mean < DRIFT_TOLERANCE / 10
    whole = PeftModel.from_pretrained(load_model(settings).model, str(tmp_path / "adapter"))
    assert drift(trained, log_shares(whole, rows)).mean > DRIFT_TOLERANCE * 5
