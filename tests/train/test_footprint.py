"""Memory is predicted from what a few short rows keep, and a run that won't fit is refused with what to change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from burnish.artefacts import TrainedModel
from burnish.errors import TrainError
from burnish.models.adapters.full import Full, FullSettings
from burnish.models.adapters.lora import LoRA, LoRASettings
from burnish.models.device import products
from burnish.models.load import LoadedModel, load_model
from burnish.models.settings import ModelSettings
from burnish.train import footprint as module
from burnish.train import stage
from burnish.train.footprint import Footprint, check_fits, largest_row, predict
from burnish.train.optimiser import trained_weights
from burnish.train.settings import ResolvedTrainSettings, TrainSettings, resolve
from burnish.train.teacher import Teacher

CPU = torch.device("cpu")
GB = 10**9


def settings(**changed: Any) -> ResolvedTrainSettings:
    given = TrainSettings.model_validate({"max_steps": 1, **changed})
    return resolve(given, rows=100, form="adapter", context=8192, device="cpu")


@pytest.fixture
def loaded(tiny_model_folder: Path) -> LoadedModel:
    return load_model(ModelSettings(name=str(tiny_model_folder)))


def predicted(model: Any, tokens: int, longest: int = 64) -> Footprint:
    return predict(model, trained_weights(model).values(), CPU, torch.float32, tokens, longest)


def test_activations_are_what_a_row_of_that_length_keeps(loaded: LoadedModel) -> None:
    model = LoRA(LoRASettings()).apply(loaded, 0)
    found = predicted(model, 300)
    kept = module._kept_by(model, 300, CPU, torch.float32)
    assert found.activations == pytest.approx(module._HEAP["cpu"] * kept, rel=0.02)
    assert predicted(model, 600).activations == pytest.approx(2 * found.activations, rel=0.02)


def test_scores_that_are_kept_grow_with_the_longest_group(loaded: LoadedModel, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "_kept_by", lambda _module, n, _device, _dtype: 1000 + 10 * n + 3 * n * n)
    found = predicted(Full(FullSettings()).apply(loaded, 0), 2000, longest=100)
    assert found.activations == pytest.approx(module._HEAP["cpu"] * (1000 + 10 * 2000 + 3 * 100 * 2000), rel=1e-3)


def test_gradients_and_moments_are_of_what_is_trained(loaded: LoadedModel) -> None:
    model = Full(FullSettings()).apply(loaded, 0)
    assert predicted(model, 64).states == 3 * 4 * sum(weight.numel() for weight in model.parameters())
    adapted = LoRA(LoRASettings(rank=2)).apply(loaded, 0)
    trained = sum(weight.numel() for name, weight in adapted.named_parameters() if "lora" in name)
    assert predicted(adapted, 64).states == 3 * 4 * trained


def test_looking_ahead_leaves_the_model_as_it_was(loaded: LoadedModel) -> None:
    model = LoRA(LoRASettings(dropout=0.5)).apply(loaded, 0)
    model.eval()
    predicted(model, 64)
    assert not model.training
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize(
    ("budget", "batch", "longest", "expected"), [(1024, 8, 200, 1024), (1024, 2, 200, 400), (1024, 8, 3000, 3000)]
)
def test_the_largest_row(budget: int, batch: int, longest: int, expected: int) -> None:
    assert largest_row(settings(token_budget=budget, batch_size=batch), longest) == expected


def footprint(states: float, per_token: float, tokens: int = 1000) -> Footprint:
    return Footprint(1 * GB, int(states * GB), int(per_token * tokens * GB), 0, tokens, per_token * GB)


@pytest.mark.parametrize(
    ("needed", "adapter", "longest", "free", "hint"),
    [
        (footprint(0.5, 0.01), "lora", 200, 5.0, "set train.token_budget: 450 (the result stays the same)"),
        (footprint(0.5, 0.01), "lora", 900, 5.0, "set train.max_length: 450 (longer rows are cut)"),
        (footprint(6.0, 0.001), "full", 200, 5.0, "use the adapter lora or qlora"),
        (footprint(6.0, 0.001), "lora", 200, 5.0, "use the adapter qlora"),
        (footprint(6.0, 0.001), "qlora", 200, 5.0, "use a smaller model"),
    ],
)
def test_what_will_not_fit_is_refused_with_what_to_change(
    needed: Footprint, adapter: str, longest: int, free: float, hint: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(module, "free_memory_bytes", lambda _device: int(free * GB))
    with pytest.raises(
        TrainError, match=r"more than now, expected at most the 5\.0 GB that are free; nothing was"
    ) as e:
        check_fits(needed, settings(adapter=adapter), longest, CPU)
    assert hint in e.value.hint


@pytest.mark.parametrize("free", [None, 11 * GB])
def test_what_fits_or_cannot_be_known_goes_on(free: int | None, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "free_memory_bytes", lambda _device: free)
    check_fits(footprint(0.5, 0.01), settings(), 200, CPU)


def test_the_stage_refuses_before_the_first_step(
    tuned: Callable[..., TrainedModel], run: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(module, "free_memory_bytes", lambda _device: 1000)
    with pytest.raises(TrainError, match="nothing was trained"):
        tuned(max_steps=1)
    assert not run.file("train/metrics.jsonl").exists()


def test_the_stage_tells_what_was_predicted_and_used(tuned: Callable[..., TrainedModel], capsys: Any) -> None:
    tuned(max_steps=1)
    assert "GB were predicted" in " ".join(capsys.readouterr().err.split())


def test_what_weights_are_rounded_to_is_counted_where_products_are_rounded(
    loaded: LoadedModel, monkeypatch: Any
) -> None:
    monkeypatch.setattr(module, "_kept_by", lambda _module, n, _device, _dtype: 1000 * n)
    model = Full(FullSettings()).apply(loaded, 0)
    exact = predicted(model, 64)
    with products("bfloat16"):
        rounded = predicted(model, 64)
    trained = sum(weight.numel() for weight in model.parameters())
    assert rounded.passing - exact.passing == pytest.approx(module._HEAP["cpu"] * 2 * trained, abs=2)


def test_the_teacher_is_in_memory_before_anything_is_predicted(
    tuned: Callable[..., TrainedModel], tiny_model_folder: Path, monkeypatch: Any
) -> None:
    """Its weights lie in a mapped file, and are in no count of what is in use until they are read."""
    order: list[str] = []

    def noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any) -> Any:
            order.append(name)
            return function(*given)

        return called

    monkeypatch.setattr(Teacher, "wake", noted("teacher", Teacher.wake))
    monkeypatch.setattr(stage, "predict", noted("predicted", predict))
    method = {"kind": "distill", "by": "logits", "teacher": {"name": str(tiny_model_folder)}}
    tuned(max_steps=1, method=method, adapter="full")
    assert order == ["teacher", "predicted"]
