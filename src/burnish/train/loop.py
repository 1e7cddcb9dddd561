"""The one loop: rows in, packed micro-batches through the model, moved weights out.

A step takes the next rows; the method makes one batch or several of them, and each is one update of the weights. The
method says what the loss is, the adapter has said which weights move; the loop knows neither. Sums of loss and of
weight are accumulated over an update's micro-batches and divided once, so that how a batch is split changes nothing but
speed and memory.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

import torch
from torch import nn

from burnish.errors import TrainError
from burnish.logs import progress, warn
from burnish.models.device import (
    autocast,
    peak_memory_bytes,
    reset_peak_memory,
    seed_everything,
    synchronise,
)
from burnish.models.distributions import scored_distributions
from burnish.models.groups import PromptGroup
from burnish.models.logprobs import ScoredGroups, token_logprobs
from burnish.models.packing import Packed, arrange, lay_out
from burnish.models.reward_head import scored_completions
from burnish.models.seats import target_values
from burnish.train.batches import DataOrder, Rows, step_seed
from burnish.train.engine import Engine
from burnish.train.interrupt import interruptible
from burnish.train.method import Batch, Loss, Mean, Method
from burnish.train.metrics_log import MetricsLog
from burnish.train.optimiser import learning_rate, norm_and_scale, take_step
from burnish.train.reading import evaluating, memory_told
from burnish.train.resume import Checkpoints, Progress
from burnish.train.sampling import SamplingMethod
from burnish.train.settings import ResolvedTrainSettings
from burnish.train.tracking import Trackers

_LOOKS = 10  # a run, where the recipe doesn't say how often


@dataclass(frozen=True, eq=False)
class Work:
    """What is trained on what; none of it changes during a run but the weights and the optimiser's state."""

    engine: Engine
    weights: dict[str, nn.Parameter]
    optimiser: torch.optim.AdamW
    method: Method
    rows: Rows
    heldout: Rows
    order: DataOrder
    settings: ResolvedTrainSettings
    seed: int

    @property
    def module(self) -> nn.Module:
        """The model."""
        return self.engine.module

    def rows_of(self, step: int) -> list[PromptGroup]:
        """The rows of a step."""
        return [self.rows[row] for row in self.order.rows(step)]


@dataclass
class Sums:
    """What adds up over micro-batches, and over the updates of a step. `metrics` are a method's own."""

    total: float = 0.0
    weight: float = 0.0
    tokens: int = 0
    targets: int = 0
    metrics: dict[str, Mean] = field(default_factory=dict)

    def add(self, loss: Loss, packed: Packed) -> None:
        """Count one micro-batch."""
        self.total += float(loss.total.detach())
        self.weight += loss.weight
        self.tokens += len(packed.tokens_S)
        self.targets += len(packed.targets_T)
        self.note(loss.metrics)

    def include(self, other: Sums) -> None:
        """Count another update."""
        self.total += other.total
        self.weight += other.weight
        self.tokens += other.tokens
        self.targets += other.targets
        self.note(other.metrics)

    def note(self, metrics: Mapping[str, Mean]) -> None:
        """Add a method's metrics."""
        for name, value in metrics.items():
            so_far = self.metrics.get(name, Mean(0.0, 0.0))
            self.metrics[name] = Mean(so_far.total + value.total, so_far.count + value.count)

    @property
    def loss(self) -> float:
        """The mean loss."""
        return self.total / self.weight if self.weight else math.nan

    def shown(self, prefix: str = "") -> dict[str, float]:
        """The method's metrics as means; one that nothing was counted for is left out."""
        return {f"{prefix}{name}": mean.total / mean.count for name, mean in self.metrics.items() if mean.count}


def learn_reference(work: Work) -> None:
    """Have the reference's log-probabilities computed for what the run will visit and for the held-out rows, where the
    method knows beforehand. The weights must be those before training."""
    _learn(work, work.engine.learn_reference)


def learn_teacher(work: Work) -> None:
    """The same with what the teacher says."""
    assert work.engine.teacher is not None, "the method's roles have no teacher"
    _learn(work, work.engine.teacher.learn)


def _learn(work: Work, learn: Callable[[Iterable[PromptGroup], int], None]) -> None:
    visited = chain.from_iterable(work.method.compared(work.rows_of(step)) for step in range(work.settings.max_steps))
    groups = chain(visited, work.method.compared([work.heldout[row] for row in range(len(work.heldout))]))
    first = next(groups, None)
    if first is not None:
        learn(chain([first], groups), work.settings.num_samples + len(work.heldout))


def run_steps(work: Work, start: Progress, checkpoints: Checkpoints, log: MetricsLog, trackers: Trackers) -> Progress:
    """Train from `start` to the last step, with a checkpoint every so often; returns how far it came.

    Raises: TrainError when a loss or gradient isn't finite, memory runs out or a checkpoint can't be written;
    KeyboardInterrupt after Ctrl-C, with a checkpoint of the last whole step.
    """
    settings = work.settings
    now = start
    follows = work.method.follow if isinstance(work.method, SamplingMethod) else None
    if follows:
        follows(start.metrics)
    reset_peak_memory(work.engine.device)
    work.module.train()
    with interruptible() as interrupt, progress("Training (steps)", settings.max_steps) as bar:
        bar.advance(now.step)
        while now.step < settings.max_steps:
            metrics, now = _step(work, now)
            log.write(metrics)
            trackers.log(metrics, now.step)
            bar.advance(1, _note(metrics))
            if follows and (reason := follows(metrics)):
                warn(f"training ended after step {now.step:,} of {settings.max_steps:,}: {reason}")
                return now.model_copy(update={"ended": reason})
            due = now.step % settings.checkpoint_every == 0 and now.step < settings.max_steps
            if due or interrupt.asked:
                log.sync()
                checkpoints.save(now, work.weights, work.optimiser)
            if interrupt.asked:
                raise KeyboardInterrupt
    return now


def accumulate(batch: Batch, token_budget: int, score: Callable[[Packed, Batch], Loss], *, backward: bool) -> Sums:
    """Score a batch in packed micro-batches of at most `token_budget` tokens, adding up losses and, where asked,
    gradients. `score` gets each micro-batch packed and as the part of the batch that it is."""
    sums = Sums()
    for row in arrange(batch.groups, token_budget):
        part = batch.part(row)
        packed = lay_out(part.groups)
        loss = score(packed, part)
        if backward:
            loss.total.backward()  # type: ignore[no-untyped-call]
        sums.add(loss, packed)
    sums.note(batch.metrics)
    return sums


def _step(work: Work, before: Progress) -> tuple[dict[str, float], Progress]:
    """One step: its metrics, and the progress after it."""
    began = time.perf_counter()
    settings, step = work.settings, before.step
    rate = learning_rate(step, settings.max_steps, settings.learning_rate, settings.schedule)
    seed_everything(step_seed(work.seed, step))
    rows = work.rows_of(step)
    sums, norm = Sums(), 0.0
    for batch in work.method.batches(rows, work.engine, step):
        work.optimiser.zero_grad(set_to_none=True)
        update = _scored(work, batch, backward=True)
        norm = max(norm, _update(work, update, rate, step + 1))
        sums.include(update)
    synchronise(work.engine.device)
    seconds = time.perf_counter() - began
    metrics = {
        "step": step + 1,
        "epoch": work.order.epoch(step + 1),
        "loss": sums.loss,
        "grad_norm": norm,
        "learning_rate": rate,
        "rows": len(rows),
        "tokens": sums.tokens,
        "trained_tokens": sums.targets,
        "tokens_per_second": sums.tokens / seconds,
        "seconds": seconds,
        "peak_memory_bytes": peak_memory_bytes(work.engine.device),
        **sums.shown(),
    }
    metrics |= _looked(work, step + 1)
    after = Progress(
        step=step + 1,
        tokens_seen=before.tokens_seen + sums.tokens,
        tokens_trained=before.tokens_trained + sums.targets,
        seconds=before.seconds + time.perf_counter() - began,
        first_loss=sums.loss if before.first_loss is None else before.first_loss,
        last_loss=sums.loss,
        metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
    )
    return metrics, after


def _looked(work: Work, step: int) -> Mapping[str, float]:
    """What held-out rows say after a step, where it is time to look: their loss, or the policy's own answers to
    them."""
    settings = work.settings
    if isinstance(work.method, SamplingMethod):
        every = settings.heldout_loss_every or max(1, settings.max_steps // _LOOKS)
        due = step % every == 0 or step == settings.max_steps
        return work.method.look(work.engine, step) if due else {}
    if settings.heldout_loss_every and step % settings.heldout_loss_every == 0 and len(work.heldout):
        held_out = heldout(work, step)
        return {"heldout_loss": held_out.loss, **held_out.shown("heldout_")}
    return {}


def _note(metrics: Mapping[str, float]) -> str:
    shown = f"reward {metrics['reward']:.3f}" if "reward" in metrics else f"loss {metrics['loss']:.3f}"
    return f"{shown}, {metrics['tokens_per_second']:,.0f} tokens/s"


def _update(work: Work, sums: Sums, rate: float, step: int) -> float:
    """Move the weights; returns the gradient's norm before clipping.

    Raises: TrainError, with the weights as they were, when loss or gradient isn't finite.
    """
    if not math.isfinite(sums.loss):
        raise _not_finite("the loss", sums.loss, step)
    norm, scale = norm_and_scale(work.weights.values(), sums.weight, work.settings.optimiser.max_grad_norm)
    if not math.isfinite(norm):
        raise _not_finite("the gradient's norm", norm, step)
    for group in work.optimiser.param_groups:
        group["lr"] = rate
    take_step(work.optimiser, scale)
    return norm


@torch.no_grad()
def heldout(work: Work, step: int) -> Sums:
    """Loss and metrics of the held-out rows, in the first batch that the method makes of them."""
    rows = [work.heldout[row] for row in range(len(work.heldout))]
    with evaluating(work.module):
        batch = next(iter(work.method.batches(rows, work.engine, step)))
        return _scored(work, batch, backward=False)


def _scored(work: Work, batch: Batch, *, backward: bool) -> Sums:
    engine = work.engine

    def score(packed: Packed, part: Batch) -> Loss:
        part = part.to(engine.device)
        with autocast(engine.device, engine.dtype):
            return work.method.loss(_with_numbers(engine, _read(engine, packed, part), packed, part))

    with memory_told(engine.device, work.settings.token_budget):
        return accumulate(batch, work.settings.token_budget, score, backward=backward)


def _read(engine: Engine, packed: Packed, part: Batch) -> ScoredGroups:
    if engine.score_head:
        return scored_completions(engine.module, engine.score_head, packed)
    if part.reading:
        return scored_distributions(engine.module, packed, part.reading, part.per_target)
    return token_logprobs(engine.module, packed)


def _with_numbers(engine: Engine, scored: ScoredGroups, packed: Packed, part: Batch) -> ScoredGroups:
    """The values, where there is a value head, and what the method laid beside its groups."""
    return replace(
        scored,
        values_T=target_values(engine.module, engine.value_head, packed) if engine.value_head else None,
        per_target=part.per_target,
        per_completion=part.per_completion,
    )


def _not_finite(what: str, value: float, step: int) -> TrainError:
    return TrainError(
        f"step {step}: {what} is {value}, expected a finite number; training stopped, nothing was saved as a result",
        hint="lower train.learning_rate or raise train.schedule.warmup_fraction, and look at the rows for garbage",
    )
