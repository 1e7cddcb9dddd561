"""Several models on one copy of the weights: each gives its own numbers, and each is trained by one backward pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from burnish.errors import ModelError
from burnish.models import seats
from burnish.models.adapters.full import Full, FullSettings
from burnish.models.adapters.lora import LoRA, LoRASettings
from burnish.models.groups import Completion, PromptGroup
from burnish.models.load import load_model
from burnish.models.logprobs import token_logprobs
from burnish.models.packing import lay_out
from burnish.models.seats import ValueHead, target_values, value_head
from burnish.models.settings import ModelSettings

ROW = lay_out([PromptGroup((3, 4, 5), (Completion((6, 7), (1.0, 1.0)), Completion((8, 9, 10), (1.0, 0.0, 1.0))))])


@pytest.fixture
def seated(tiny_model_folder: Path) -> tuple[nn.Module, ValueHead]:
    """Policy and value on the tiny model, both moved away from their start."""
    loaded = load_model(ModelSettings(name=str(tiny_model_folder), device="cpu"))
    adapter = LoRA(LoRASettings(rank=4))
    module = adapter.apply(loaded, 1)
    adapter.add(module, seats.VALUE, 2)
    head = value_head(module)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in [*module.parameters(), *head.parameters()]:
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape, generator=random) * 0.1)
    return module.eval(), head


def test_every_seat_gives_its_own_numbers(seated: tuple[nn.Module, ValueHead], tiny_model_folder: Path) -> None:
    module, head = seated
    with torch.no_grad():
        policy = token_logprobs(module, ROW).logprobs_T
        with seats.reference(module):
            reference = token_logprobs(module, ROW).logprobs_T
        with seats.seated(module, seats.VALUE):
            through_value = token_logprobs(module, ROW).logprobs_T
        again = token_logprobs(module, ROW).logprobs_T
        base = load_model(ModelSettings(name=str(tiny_model_folder), device="cpu")).model
        untuned = token_logprobs(base, ROW).logprobs_T
    assert torch.equal(policy, again)
    torch.testing.assert_close(reference, untuned, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(policy, reference, atol=1e-3)
    assert not torch.allclose(policy, through_value, atol=1e-3)
    assert target_values(module, head, ROW).shape == policy.shape


def test_values_are_read_where_each_target_is_predicted(seated: tuple[nn.Module, ValueHead]) -> None:
    module, head = seated
    with torch.no_grad(), seats.seated(module, seats.VALUE):
        whole = module(input_ids=torch.tensor([[3, 4, 5, 8, 9, 10]]), output_hidden_states=True).hidden_states[-1][0]
        by_hand = head(whole[[2, 4]])
    with torch.no_grad():
        torch.testing.assert_close(target_values(module, head, ROW)[2:], by_hand, rtol=1e-5, atol=1e-6)


def test_one_backward_pass_trains_policy_value_and_head_and_nothing_else(seated: tuple[nn.Module, ValueHead]) -> None:
    module, head = seated
    with seats.reference(module), torch.no_grad():
        token_logprobs(module, ROW)
    (token_logprobs(module, ROW).logprobs_T.sum() + target_values(module, head, ROW).sum()).backward()  # type: ignore[no-untyped-call]
    trained = {name for name, weight in module.named_parameters() if weight.grad is not None}
    lora = {name for name, _ in module.named_parameters() if "lora_" in name}
    assert trained == lora
    assert any(".value." in name for name in lora)
    assert any(".default." in name for name in lora)
    assert all(weight.grad is not None for weight in head.parameters())


def test_switching_leaves_what_is_trained_as_it_was(seated: tuple[nn.Module, ValueHead]) -> None:
    module, _ = seated
    before = {name: weight.requires_grad for name, weight in module.named_parameters()}
    for switch in (seats.reference(module), seats.seated(module, seats.VALUE)):
        with switch:
            pass
        assert {name: weight.requires_grad for name, weight in module.named_parameters()} == before


def test_the_policy_alone_is_saved(
    seated: tuple[nn.Module, ValueHead], tiny_model_folder: Path, tmp_path: Path
) -> None:
    module, _ = seated
    loaded = load_model(ModelSettings(name=str(tiny_model_folder), device="cpu"))
    LoRA(LoRASettings(rank=4)).save(module, loaded, tmp_path / "adapter")
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_a_second_set_of_all_weights_is_refused(tiny_model_folder: Path) -> None:
    loaded = load_model(ModelSettings(name=str(tiny_model_folder), device="cpu"))
    with pytest.raises(ModelError, match="a value model beside the tuned one"):
        Full(FullSettings()).add(loaded.model, "value", 0)


def test_a_model_without_adapters_is_its_own_reference_only_at_first(tiny_model_folder: Path) -> None:
    loaded = load_model(ModelSettings(name=str(tiny_model_folder), device="cpu"))
    assert not seats.has_reference(loaded.model)
    with torch.no_grad():
        before = token_logprobs(loaded.model, ROW).logprobs_T
        with seats.reference(loaded.model):
            assert torch.equal(token_logprobs(loaded.model, ROW).logprobs_T, before)
