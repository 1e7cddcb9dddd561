"""Training settings: bounds, and what "auto" becomes."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from burnish.train.settings import TrainSettings, resolve, resolve_length


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"max_steps": 0},
        {"learning_rate": 2},
        {"learning_rate": "fast"},
        {"max_length": 1},
        {"token_budget": 0},
        {"schedule": {"kind": "step"}},
        {"schedule": {"warmup_fraction": 1.0}},
        {"optimiser": {"max_grad_norm": 0}},
        {"method": "stf"},
        {"adapter": {"kind": "lora", "rnak": 8}},
        {"trackers": ["wand"]},
        {"batchsize": 4},
    ],
)
def test_a_wrong_setting_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrainSettings.model_validate(wrong)


def test_a_wrong_number_is_one_fault() -> None:
    with pytest.raises(ValidationError) as caught:
        TrainSettings.model_validate({"token_budget": 0, "learning_rate": "fast"})
    assert [error["loc"][0] for error in caught.value.errors()] == ["token_budget", "learning_rate"]


def test_nothing_stays_auto() -> None:
    resolved = resolve(TrainSettings(max_length="auto"), rows=100, form="adapter", context=512, device="cpu")
    assert "auto" not in resolved.model_dump_json().replace("all-linear", "")
    assert (resolved.max_length, resolved.max_steps, resolved.num_samples) == (512, 13, 100)


def test_a_whole_model_learns_more_slowly_than_an_adapter() -> None:
    def rate(form: str) -> float:
        return resolve(TrainSettings(), rows=8, form=form, context=None, device="cpu").learning_rate  # type: ignore[arg-type]

    assert rate("model") < rate("adapter")


def test_what_the_user_says_is_kept() -> None:
    settings = TrainSettings(max_length=64, token_budget=99, learning_rate=0.5, checkpoint_every=3, max_steps=5)
    resolved = resolve(settings, rows=8, form="adapter", context=512, device="cpu")
    assert (resolved.max_length, resolved.token_budget, resolved.learning_rate) == (64, 99, 0.5)
    assert (resolved.checkpoint_every, resolved.max_steps, resolved.num_samples) == (3, 5, 40)


def test_max_length_never_passes_the_models_context() -> None:
    assert resolve_length(TrainSettings(max_length=4096), 2048) == 2048
    assert resolve_length(TrainSettings(max_length=100), 2048) == 100
    assert resolve_length(TrainSettings(max_length="auto"), None) == 1024


@pytest.mark.parametrize(("epochs", "samples", "steps"), [(1.0, 10, 3), (0.5, 5, 2), (2.25, 23, 6)])
def test_epochs_may_be_fractions(epochs: float, samples: int, steps: int) -> None:
    resolved = resolve(TrainSettings(epochs=epochs, batch_size=4), rows=10, form="model", context=None, device="cpu")
    assert (resolved.num_samples, resolved.max_steps) == (samples, steps)


def test_resolved_settings_survive_json() -> None:
    settings = TrainSettings.model_validate({"trackers": ["tensorboard"]})
    resolved = resolve(settings, rows=10, form="model", context=None, device="cpu")
    assert type(resolved).model_validate_json(resolved.model_dump_json()) == resolved
