"""What a recipe says about training: what is optimised, which weights, for how long, how fast. Imports no torch."""

from __future__ import annotations

import math
from typing import Annotated, Literal, TypeAlias

from pydantic import Discriminator, Field, PositiveInt, Tag

from burnish.artefacts import RecordKind
from burnish.catalogue import AdapterSettings, MethodSettings, TrackerSettings
from burnish.settings import Settings

# Tagged, so that a wrong value gets one message, of the form that was meant, and not one for each form.
_NUMBER_OR_AUTO = Discriminator(lambda value: "auto" if value == "auto" else "number")
_Auto: TypeAlias = Annotated[Literal["auto"], Tag("auto")]
_Count: TypeAlias = Annotated[int, Field(ge=1), Tag("number")]
_Length: TypeAlias = Annotated[int, Field(ge=2), Tag("number")]
_Rate: TypeAlias = Annotated[float, Field(gt=0.0, le=1.0), Tag("number")]
FITTING_METHOD: dict[RecordKind, str] = {"conversation": "sft", "preference": "dpo", "labelled": "kto"}
LEARNING_RATE = {"adapter": 2e-4, "model": 2e-5}
TOKEN_BUDGET = {"cpu": {"float32": 1024, "bfloat16": 2048}}
ACCELERATOR_TOKEN_BUDGET = 8192


class ScheduleSettings(Settings):
    """How the learning rate moves: a linear rise over the first `warmup_fraction` of the steps, then down to
    `final_fraction` of its peak in the form of `kind` (constant: it stays at the peak)."""

    kind: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_fraction: float = Field(default=0.05, ge=0.0, lt=1.0)
    final_fraction: float = Field(default=0.0, ge=0.0, le=1.0)


class OptimiserSettings(Settings):
    """AdamW. `max_grad_norm` is where the gradient's norm is clipped; weight decay leaves norms and biases alone."""

    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = Field(default=1e-8, gt=0.0, le=1e-2)
    weight_decay: float = Field(default=0.0, ge=0.0, le=1.0)
    max_grad_norm: float = Field(default=1.0, gt=0.0)


class TrainSettings(Settings):
    """One training run.

    `epochs` is how often every row is seen (fractions allowed), unless `max_steps` is set, which then decides alone.
    `batch_size` counts rows of one optimiser step; `token_budget` the most tokens that go through the model at once,
    which changes speed and memory but not the result. `max_length` cuts rows, in tokens. `checkpoint_every` and
    `heldout_loss_every` count steps; the held-out loss is taken over the first `heldout_rows` held-out rows.

    Where "auto" stands, `resolve` puts a value before training starts.
    """

    method: MethodSettings = "sft"  # type: ignore[assignment]  # a name is made into settings by its validator
    adapter: AdapterSettings = "lora"  # type: ignore[assignment]
    epochs: float = Field(default=1.0, gt=0.0, le=10_000.0)
    max_steps: PositiveInt | None = None
    batch_size: int = Field(default=8, ge=1, le=65_536)
    token_budget: Annotated[_Count | _Auto, _NUMBER_OR_AUTO] = "auto"
    max_length: Annotated[_Length | _Auto, _NUMBER_OR_AUTO] = 1024
    learning_rate: Annotated[_Rate | _Auto, _NUMBER_OR_AUTO] = "auto"
    schedule: ScheduleSettings = ScheduleSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    checkpoint_every: Annotated[_Count | _Auto, _NUMBER_OR_AUTO] = "auto"
    keep_checkpoints: int = Field(default=2, ge=1, le=1000)
    heldout_loss_every: PositiveInt | None = None
    heldout_rows: PositiveInt = 64
    trackers: tuple[TrackerSettings, ...] = ()


class ResolvedTrainSettings(TrainSettings):
    """Settings with no "auto" left. `num_samples` is how many rows are seen in all, `max_steps` in how many steps."""

    max_steps: PositiveInt
    token_budget: int = Field(ge=1)
    max_length: int = Field(ge=2)
    learning_rate: float = Field(gt=0.0)
    checkpoint_every: int = Field(ge=1)
    num_samples: PositiveInt


def resolve_length(settings: TrainSettings, context: int | None) -> int:
    """The most tokens of a row: `max_length`, but never more than the model's `context` (None: not known, in which
    case "auto" is 1024)."""
    if settings.max_length == "auto":
        return context or 1024
    return min(settings.max_length, context) if context else settings.max_length


def resolve(
    settings: TrainSettings,
    *,
    rows: int,
    form: Literal["adapter", "model"],
    context: int | None,
    device: str,
    products: str = "float32",
    rate_share: float = 1.0,
) -> ResolvedTrainSettings:
    """Put a value wherever "auto" stands.

    `rows` are left after filtering; `form` is what the adapter saves (whole models take a tenth of an adapter's
    learning rate); `context` is the model's own limit in tokens, or None; `device` is a type such as "cpu",
    `products` the precision of matrix products there; `rate_share` is the method's share of the learning rate. A
    checkpoint is due ten times a run by default, but no oftener than every 10 steps and no seldomer than every 200.
    """
    budget, rate, every = settings.token_budget, settings.learning_rate, settings.checkpoint_every
    samples = settings.max_steps * settings.batch_size if settings.max_steps else math.ceil(rows * settings.epochs)
    steps = settings.max_steps or math.ceil(samples / settings.batch_size)
    return ResolvedTrainSettings.model_validate(
        settings.model_dump()
        | {
            "max_steps": steps,
            "num_samples": samples,
            "max_length": resolve_length(settings, context),
            "token_budget": _token_budget(device, products) if budget == "auto" else budget,
            "learning_rate": LEARNING_RATE[form] * rate_share if rate == "auto" else rate,
            "checkpoint_every": min(max(10, steps // 10), 200) if every == "auto" else every,
        }
    )


def _token_budget(device: str, products: str) -> int:
    return TOKEN_BUDGET[device][products] if device in TOKEN_BUDGET else ACCELERATOR_TOKEN_BUDGET
