"""Made-up log-probabilities of a few completions of unlike lengths, as Burnish scores them and as TRL wants them."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from burnish.models.logprobs import ScoredGroups
from burnish.train.method import Loss

LENGTHS = (3, 5, 1, 4, 6, 2)


def trl(path: str) -> Any:
    """A class of TRL's, "module:Class", or skip the test where TRL isn't installed."""
    from importlib import import_module

    module, _, name = path.partition(":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return getattr(import_module(module), name)
        except ImportError as error:
            pytest.skip(f"TRL isn't installed, so its losses can't be compared with ({error})")


@dataclass(frozen=True)
class Example:
    """Log-probabilities of the targets of `LENGTHS` completions laid end to end: the policy's, which wants a gradient,
    and the reference's."""

    policy_T: torch.Tensor
    reference_T: torch.Tensor

    def scored(self, per_completion: dict[str, torch.Tensor] | None = None, group_size: int = 2) -> ScoredGroups:
        """As the engine gives them to a method."""
        count = len(LENGTHS)
        return ScoredGroups(
            logprobs_T=self.policy_T,
            weights_T=torch.ones(len(self.policy_T)),
            completion_T=torch.arange(count).repeat_interleave(torch.tensor(LENGTHS)),
            num_completions=count,
            group_of_completion_C=torch.arange(count) // group_size,
            per_target={"reference": self.reference_T},
            per_completion=per_completion or {},
        )

    def padded(self, numbers_T: torch.Tensor, order: Sequence[int]) -> torch.Tensor:
        """Numbers as TRL lays them: one row a completion, in this order, zeros after its end, after one place for the
        prompt."""
        pieces = torch.split(numbers_T, list(LENGTHS))
        longest = max(LENGTHS)
        return torch.stack([torch.nn.functional.pad(pieces[i], (0, longest - LENGTHS[i])) for i in order])

    def sums(self, numbers_T: torch.Tensor, order: Sequence[int]) -> torch.Tensor:
        """One sum a completion, in this order."""
        return self.padded(numbers_T, order).sum(1)


def example(seed: int = 0, spread: float = 1.0) -> Example:
    """Random log-probabilities, all below 0."""
    random = torch.Generator().manual_seed(seed)

    def draw() -> torch.Tensor:
        return -torch.rand(sum(LENGTHS), generator=random) * spread - 0.05

    return Example(draw().requires_grad_(), draw())


def mask(order: Sequence[int]) -> torch.Tensor:
    """Where completions are in rows of one prompt token each."""
    longest = max(LENGTHS)
    return torch.tensor([[0, *[1] * LENGTHS[i], *[0] * (longest - LENGTHS[i])] for i in order])


def stub(**attributes: Any) -> Any:
    """What TRL's loss code reads of its trainer, in one process on the CPU."""
    same = SimpleNamespace(device=torch.device("cpu"), gather_for_metrics=lambda x: x, gather=lambda x: x)
    return SimpleNamespace(
        accelerator=same,
        model=SimpleNamespace(training=True),
        aux_loss_enabled=False,
        precompute_ref_logps=True,
        _metrics=defaultdict(lambda: defaultdict(list)),
        _total_train_tokens=0,
        _tp_size=1,
        **attributes,
    )


def outputs(logprobs: torch.Tensor) -> Any:
    """What a model of TRL's returns, with nothing in what only its metrics read."""
    nothing = torch.zeros_like(logprobs)
    return SimpleNamespace(log_probs=logprobs, entropy=nothing, mean_logits=nothing, is_top1=nothing.bool())


def assert_equal(loss: Loss, theirs: torch.Tensor, policy_T: torch.Tensor, rtol: float = 1e-5) -> None:
    """Our mean loss and its gradient are theirs."""
    ours = loss.total / loss.weight
    torch.testing.assert_close(ours, theirs, rtol=rtol, atol=1e-7)
    (own_gradient,) = torch.autograd.grad(ours, policy_T)
    (their_gradient,) = torch.autograd.grad(theirs, policy_T)
    torch.testing.assert_close(own_gradient, their_gradient, rtol=rtol, atol=1e-7)
