"""What a method makes of the whole distribution over the vocabulary at each target, without ever holding all of them.

Logits of some targets at a time are turned into log-probabilities and handed to the method's reading, which keeps a few
numbers of each; the backward pass makes them again. So memory grows with what is kept and not with the vocabulary.

Axes: T targets, N targets of one chunk, D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from burnish.models.anatomy import Parts, parts
from burnish.models.head import final_logits
from burnish.models.logprobs import ScoredGroups, target_states
from burnish.models.packing import Packed

_CHUNK_VALUES = 4 * 2**20

Reading: TypeAlias = Callable[[torch.Tensor, Mapping[str, torch.Tensor]], torch.Tensor]
"""From log-probabilities (N, V), fp32, and the numbers that lie beside these targets by name (N, ...), to what is kept
of them, (N, ...)."""


def scored_distributions(
    model: nn.Module, packed: Packed, reading: Reading, beside: Mapping[str, torch.Tensor]
) -> ScoredGroups:
    """Score the targets of one packed row as `token_logprobs` does, and have their distributions read. `beside` are
    numbers of its targets by name (T, ...), on the model's device. Gradients flow through both."""
    states_TD = target_states(model, packed)
    row = packed.to(states_TD.device)
    found = parts(model)

    def read(states_ND: torch.Tensor, targets_N: torch.Tensor, *numbers: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logprobs_NV = final_logits(found, states_ND).log_softmax(-1)
        named = dict(zip(beside, numbers, strict=True))
        return logprobs_NV.gather(1, targets_N[:, None])[:, 0], reading(logprobs_NV, named)

    logprobs_T, read_T = _in_chunks(read, found, states_TD, row.targets_T, *beside.values())
    return ScoredGroups(
        logprobs_T=logprobs_T,
        weights_T=row.weights_T,
        completion_T=row.completion_T,
        num_completions=row.num_completions,
        group_of_completion_C=row.group_of_completion_C,
        read_T=read_T,
    )


def read_distributions(
    model: nn.Module, packed: Packed, reading: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """What is kept of the targets' log-probabilities (N, V) alone: (T, ...)."""
    found = parts(model)

    def read(states_ND: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (reading(final_logits(found, states_ND).log_softmax(-1)),)

    return _in_chunks(read, found, target_states(model, packed))[0]


def _in_chunks(
    read: Callable[..., tuple[torch.Tensor, ...]], found: Parts, *numbers: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """The results of `read` for so many targets at a time, joined."""
    size = max(1, _CHUNK_VALUES // vocabulary_of(found))
    pieces = zip(*(torch.split(each, size) for each in numbers), strict=True)
    if torch.is_grad_enabled():
        parts_read = [checkpoint(read, *piece, use_reentrant=False) for piece in pieces]
    else:
        parts_read = [read(*piece) for piece in pieces]
    return tuple(torch.cat(results) for results in zip(*parts_read, strict=True))


def vocabulary_of(found: Parts) -> int:
    """How many tokens the output head knows, those without a meaning counted too."""
    return int(found.base.config.get_text_config().vocab_size)
