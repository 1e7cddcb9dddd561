"""The one loop: groups of rows in, packed micro-batches through the model, one optimiser step out.

The method says what the loss is, the adapter has said which weights move; the loop knows neither. Sums of loss and of
weight are accumulated over a step's micro-batches and divided once, so that how a step is split changes nothing but
speed and memory.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import nn

from burnish.errors import TrainError
from burnish.logs import progress
from burnish.models.device import (
    autocast,
    peak_memory_bytes,
    reset_peak_memory,
    seed_everything,
    synchronise,
)
from burnish.models.groups import PromptGroup
from burnish.models.logprobs import token_logprobs
from burnish.models.packing import Packed, pack
from burnish.train.batches import DataOrder, Rows, step_seed
from burnish.train.interrupt import interruptible
from burnish.train.method import Loss, Method
from burnish.train.metrics_log import MetricsLog
from burnish.train.optimiser import finish_gradient, learning_rate
from burnish.train.resume import Checkpoints, Progress
from burnish.train.settings import ResolvedTrainSettings
from burnish.train.tracking import Trackers


@dataclass(frozen=True, eq=False)
class Work:
    """What is trained on what; none of it changes during a run but the weights and the optimiser's state. `dtype` is
    the type of matrix products."""

    module: nn.Module
    weights: dict[str, nn.Parameter]
    optimiser: torch.optim.Optimizer
    device: torch.device
    dtype: torch.dtype
    method: Method
    rows: Rows
    heldout: Rows
    order: DataOrder
    settings: ResolvedTrainSettings
    seed: int


@dataclass
class Sums:
    """What adds up over micro-batches. `metrics` are a method's own."""

    total: float = 0.0
    weight: float = 0.0
    tokens: int = 0
    targets: int = 0
    metrics: dict[str, float] = field(default_factory=dict)

    def add(self, loss: Loss, packed: Packed) -> None:
        """Count one micro-batch."""
        self.total += float(loss.total.detach())
        self.weight += loss.weight
        self.tokens += len(packed.tokens_S)
        self.targets += len(packed.targets_T)
        for name, value in loss.metrics.items():
            self.metrics[name] = self.metrics.get(name, 0.0) + value

    @property
    def loss(self) -> float:
        """The mean loss."""
        return self.total / self.weight if self.weight else math.nan


def run_steps(work: Work, start: Progress, checkpoints: Checkpoints, log: MetricsLog, trackers: Trackers) -> Progress:
    """Train from `start` to the last step, with a checkpoint every so often; returns how far it came.

    Raises: TrainError when a loss or gradient isn't finite, memory runs out or a checkpoint can't be written;
    KeyboardInterrupt after Ctrl-C, with a checkpoint of the last whole step.
    """
    settings = work.settings
    now = start
    reset_peak_memory(work.device)
    work.module.train()
    with interruptible() as interrupt, progress("Training (steps)", settings.max_steps) as bar:
        bar.advance(now.step)
        while now.step < settings.max_steps:
            metrics, now = _step(work, now)
            log.write(metrics)
            trackers.log(metrics, now.step)
            bar.advance(1, f"loss {metrics['loss']:.3f}, {metrics['tokens_per_second']:,.0f} tokens/s")
            due = now.step % settings.checkpoint_every == 0 and now.step < settings.max_steps
            if due or interrupt.asked:
                log.sync()
                checkpoints.save(now, work.weights, work.optimiser)
            if interrupt.asked:
                raise KeyboardInterrupt
    return now


def accumulate(
    groups: Iterable[PromptGroup], token_budget: int, score: Callable[[Packed], Loss], *, backward: bool
) -> Sums:
    """Score groups in packed micro-batches of at most `token_budget` tokens, adding up losses and, where asked,
    gradients."""
    sums = Sums()
    for packed in pack(list(groups), token_budget):
        loss = score(packed)
        if backward:
            loss.total.backward()  # type: ignore[no-untyped-call]
        sums.add(loss, packed)
    return sums


def _step(work: Work, before: Progress) -> tuple[dict[str, float], Progress]:
    """One optimiser step: its metrics, and the progress after it."""
    began = time.perf_counter()
    settings, step = work.settings, before.step
    rate = learning_rate(step, settings.max_steps, settings.learning_rate, settings.schedule)
    seed_everything(step_seed(work.seed, step))
    work.optimiser.zero_grad(set_to_none=True)
    groups = [work.rows[row] for row in work.order.rows(step)]
    sums = _scored(work, groups, backward=True)
    norm = _update(work, sums, rate, step + 1)
    synchronise(work.device)
    seconds = time.perf_counter() - began
    metrics = {
        "step": step + 1,
        "epoch": work.order.epoch(step + 1),
        "loss": sums.loss,
        "grad_norm": norm,
        "learning_rate": rate,
        "rows": len(groups),
        "tokens": sums.tokens,
        "trained_tokens": sums.targets,
        "tokens_per_second": sums.tokens / seconds,
        "seconds": seconds,
        "peak_memory_bytes": peak_memory_bytes(work.device),
        **{name: value / sums.weight for name, value in sums.metrics.items()},
    }
    if settings.heldout_loss_every and (step + 1) % settings.heldout_loss_every == 0 and len(work.heldout):
        metrics["heldout_loss"] = heldout_loss(work)
    after = Progress(
        step=step + 1,
        tokens_seen=before.tokens_seen + sums.tokens,
        tokens_trained=before.tokens_trained + sums.targets,
        seconds=before.seconds + time.perf_counter() - began,
        first_loss=sums.loss if before.first_loss is None else before.first_loss,
        last_loss=sums.loss,
    )
    return metrics, after


def _update(work: Work, sums: Sums, rate: float, step: int) -> float:
    """Move the weights; returns the gradient's norm before clipping.

    Raises: TrainError, with the weights as they were, when loss or gradient isn't finite.
    """
    if not math.isfinite(sums.loss):
        raise _not_finite("the loss", sums.loss, step)
    norm = finish_gradient(work.weights.values(), sums.weight, work.settings.optimiser.max_grad_norm)
    if not math.isfinite(norm):
        raise _not_finite("the gradient's norm", norm, step)
    for group in work.optimiser.param_groups:
        group["lr"] = rate
    work.optimiser.step()
    return norm


@torch.no_grad()
def heldout_loss(work: Work) -> float:
    """The mean loss over the held-out rows."""
    work.module.eval()
    sums = _scored(work, (work.heldout[row] for row in range(len(work.heldout))), backward=False)
    work.module.train()
    return sums.loss


def _scored(work: Work, groups: Iterable[PromptGroup], *, backward: bool) -> Sums:
    def score(packed: Packed) -> Loss:
        with autocast(work.device, work.dtype):
            return work.method.loss(token_logprobs(work.module, packed))

    try:
        return accumulate(groups, work.settings.token_budget, score, backward=backward)
    except torch.OutOfMemoryError as error:
        raise TrainError(
            f"{work.device}: out of memory with up to {work.settings.token_budget:,} tokens at once; training stopped, "
            "earlier checkpoints are intact",
            hint="lower train.token_budget (the result stays the same), train.max_length, or use the adapter qlora",
        ) from error


def _not_finite(what: str, value: float, step: int) -> TrainError:
    return TrainError(
        f"step {step}: {what} is {value}, expected a finite number; training stopped, nothing was saved as a result",
        hint="lower train.learning_rate or raise train.schedule.warmup_fraction, and look at the rows for garbage",
    )
