"""What is read of distributions in chunks equals what the model's own logits give, with its gradients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from burnish.models import distributions
from burnish.models.adapters.lora import LoRA, LoRASettings
from burnish.models.distributions import read_distributions, scored_distributions
from burnish.models.groups import Completion, PromptGroup
from burnish.models.load import load_model
from burnish.models.packing import lay_out
from burnish.models.settings import ModelSettings

GROUPS = [
    PromptGroup((5, 6, 7), (Completion((8, 9, 10, 11), (1.0, 0.0, 1.0, 0.5)), Completion((12,), (1.0,)))),
    PromptGroup((20, 21), (Completion((22, 23, 24), (1.0,) * 3),)),
]


def entropies(logprobs_NV: torch.Tensor, beside: Mapping[str, torch.Tensor]) -> torch.Tensor:
    return -(logprobs_NV.exp() * logprobs_NV).sum(-1) * beside["factor"]


@pytest.mark.parametrize("form", ["full", "lora"])
@pytest.mark.parametrize(("chunk", "rows"), [(1, 1), (3 * 384, 2), (10**9, 16)])
def test_it_equals_the_models_own_pass(
    form: str, chunk: int, rows: int, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributions, "_CHUNK_VALUES", chunk)
    monkeypatch.setattr(distributions, "_ROWS", rows)
    loaded = load_model(ModelSettings(name=str(tiny_model_folder), device="cpu"))
    module = LoRA(LoRASettings(rank=2)).apply(loaded, 0) if form == "lora" else loaded.model
    packed = lay_out(GROUPS)
    factor_T = torch.arange(1.0, 1.0 + len(packed.targets_T))
    scored = scored_distributions(module, packed, entropies, {"factor": factor_T})
    assert scored.read_T is not None
    (scored.read_T.sum() + scored.logprobs_T.sum()).backward()  # type: ignore[no-untyped-call]
    got = {name: weight.grad.clone() for name, weight in module.named_parameters() if weight.grad is not None}

    module.zero_grad()
    shares = []
    for group in GROUPS:
        for completion in group.completions:
            tokens = torch.tensor([[*group.prompt, *completion.tokens]])
            own = module(input_ids=tokens, use_cache=False).logits[0].log_softmax(-1)[len(group.prompt) - 1 : -1]
            shares.append(own[torch.tensor(completion.weights) > 0])
    own_TV = torch.cat(shares)
    own_T = own_TV.gather(1, packed.targets_T[:, None])[:, 0]
    read_T = entropies(own_TV, {"factor": factor_T})
    torch.testing.assert_close(scored.logprobs_T, own_T, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(scored.read_T, read_T, rtol=1e-5, atol=1e-5)
    (read_T.sum() + own_T.sum()).backward()
    assert got
    for name, weight in module.named_parameters():
        if weight.grad is not None:
            torch.testing.assert_close(got[name], weight.grad, rtol=1e-4, atol=1e-5)


class Matrices(TorchDispatchMode):
    """Counts new tensors of a shape."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self.shape, self.count = shape, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        fresh = isinstance(result, torch.Tensor) and result.shape == self.shape and not func.is_view
        self.count += fresh and not func._schema.is_mutable
        return result


def test_what_a_head_learns_is_added_up_in_one_place(tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(ModelSettings(name=str(tiny_model_folder), device="cpu")).model
    packed = lay_out(GROUPS)
    beside = {"factor": torch.ones(len(packed.targets_T))}
    monkeypatch.setattr(distributions, "_ROWS", 1)
    counts = []
    for chunk in (10**9, 1):
        monkeypatch.setattr(distributions, "_CHUNK_VALUES", chunk)
        scored = scored_distributions(model, packed, entropies, beside)
        assert scored.read_T is not None
        with Matrices(model.get_output_embeddings().weight.shape) as matrices:
            (scored.read_T.sum() + scored.logprobs_T.sum()).backward()  # type: ignore[no-untyped-call]
        counts.append(matrices.count)
    assert counts[0] == counts[1] > 0


def test_reading_alone_keeps_no_more_than_it_is_told_to(tiny_model_folder: Path) -> None:
    model = load_model(ModelSettings(name=str(tiny_model_folder), device="cpu")).model
    packed = lay_out(GROUPS)
    with torch.no_grad():
        top_TK = read_distributions(model, packed, lambda logprobs_NV: logprobs_NV.topk(5).values)
        whole_TV = read_distributions(model, packed, lambda logprobs_NV: logprobs_NV)
    assert top_TK.shape == (len(packed.targets_T), 5)
    assert torch.equal(top_TK, whole_TV.topk(5).values)
