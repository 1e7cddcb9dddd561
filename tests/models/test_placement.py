"""What can be known of other devices without one: where weights go, in which type, and that scoring never reads a
number back from the device. A tensor on "meta" has no numbers, so that reading one raises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from burnish.models import logprobs
from burnish.models.adapters.lora import LoRA, LoRASettings
from burnish.models.attention import IMPLEMENTATION
from burnish.models.groups import Completion, PromptGroup
from burnish.models.load import load_model
from burnish.models.logprobs import token_logprobs
from burnish.models.packing import lay_out
from burnish.models.settings import ModelSettings

ROW = lay_out(
    [
        PromptGroup((3, 4, 5), (Completion((6, 7, 8), (1.0, 0.0, 0.5)), Completion((9, 10), (1.0, 1.0)))),
        PromptGroup((11,), (Completion((12, 13), (0.0, 2.0)),)),
    ]
)


@pytest.mark.parametrize("vocabulary", [None, "added", "all"])
def test_scoring_and_its_backward_pass_read_nothing_back(
    vocabulary: Any, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ModelSettings(name=str(tiny_model_folder), device="cpu", dtype="bfloat16", add_tokens=("<tool>",))
    loaded = load_model(settings)
    module: Any = loaded.model.requires_grad_(True)
    if vocabulary:
        module = LoRA(LoRASettings(rank=2, vocabulary=vocabulary)).apply(loaded, seed=1)
    module = module.to("meta").train()
    loaded.model.set_attn_implementation(IMPLEMENTATION)
    monkeypatch.setitem(logprobs._ways, loaded.model, logprobs._Way(""))
    scored = token_logprobs(module, ROW)
    assert (scored.logprobs_T.device.type, scored.logprobs_T.dtype) == ("meta", torch.float32)
    assert {scored.weights_T.device.type, scored.completion_T.device.type} == {"meta"}
    (scored.logprobs_T * scored.weights_T).sum().backward()  # type: ignore[no-untyped-call]
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    assert trained
    assert all(weight.grad is not None and weight.grad.device.type == "meta" for weight in trained)
    with pytest.raises((RuntimeError, NotImplementedError)):
        float(scored.logprobs_T.sum())


class Reading:
    """Stands in for the library's reading of weights: remembers what it was asked, and where the model was sent."""

    def __init__(self, folder: Path) -> None:
        self.asked: dict[str, Any] = {}
        self.sent: list[torch.device] = []
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder)
        self.model.to = self.sent.append

    def __call__(self, path: str, **asked: Any) -> Any:
        self.asked = asked
        return self.model, {"missing_keys": []}


@pytest.fixture
def reading(tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Reading:
    """A machine with two GPUs that know bfloat16, of which this process has the second."""
    made = Reading(tiny_model_folder)
    monkeypatch.setattr("burnish.models.load.AutoModelForCausalLM.from_pretrained", made)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr("burnish.models.device.rank", lambda: 1)
    return made


def test_weights_go_to_this_process_gpu_in_bfloat16(reading: Reading, tiny_model_folder: Path) -> None:
    loaded = load_model(ModelSettings(name=str(tiny_model_folder)))
    assert (loaded.device, loaded.dtype) == (torch.device("cuda", 1), torch.bfloat16)
    assert reading.asked["dtype"] == torch.bfloat16
    assert "quantization_config" not in reading.asked
    assert reading.sent == [torch.device("cuda", 1)]


def test_four_bit_weights_are_made_on_the_gpu_and_not_moved(reading: Reading, tiny_model_folder: Path) -> None:
    load_model(ModelSettings(name=str(tiny_model_folder)), quantise=True)
    four_bits = reading.asked["quantization_config"]
    assert reading.asked["device_map"] == {"": torch.device("cuda", 1)}
    assert four_bits.load_in_4bit
    assert four_bits.bnb_4bit_use_double_quant
    assert (four_bits.bnb_4bit_quant_type, four_bits.bnb_4bit_compute_dtype) == ("nf4", torch.bfloat16)
    assert reading.sent == []
