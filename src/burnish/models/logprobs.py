"""Log-probabilities of a packed row's targets, under any decoder of transformers, with adapters or without.

The decoder runs over the packed row, the output head over target positions only and in chunks, so that tokens times
vocabulary is never held at once. An architecture that can't be packed takes the padded path: the model's own forward
pass over one right-padded row per completion; the same numbers, more work.

Axes: S tokens of the packed row, T targets, D hidden size, V vocabulary, C completions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from burnish import logs
from burnish.models.anatomy import Parts, declares_window, device_of, parts, unknown_layers, unwrapped
from burnish.models.attention import (
    IMPLEMENTATION,
    Layout,
    PackedLayout,
    Terms,
    UnsupportedAttention,
    unused_mask,
)
from burnish.models.groups import Completion, PromptGroup
from burnish.models.head import head_logprobs
from burnish.models.packing import Packed, lay_out

_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-6}
_ROUGH_TOLERANCE = 0.15
_packs: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class ScoredGroups:
    """`logprobs_T` (fp32, with a gradient where the model has one) and `weights_T` (fp32, never 0) of the targets of
    all completions laid end to end; `completion_T` says whose each is, `group_of_completion_C` the group of each
    completion. `values_T` is the value head's estimate before each target, where there is a value head. `per_target`
    (T, ...) and `per_completion` (C, ...) hold whatever numbers a method laid beside its groups, by name."""

    logprobs_T: torch.Tensor
    weights_T: torch.Tensor
    completion_T: torch.Tensor
    num_completions: int
    group_of_completion_C: torch.Tensor
    values_T: torch.Tensor | None = None
    per_target: Mapping[str, torch.Tensor] = field(default_factory=dict)
    per_completion: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def sums(self, numbers_T: torch.Tensor) -> torch.Tensor:
        """Numbers of targets, weighted and added up by completion, (C,)."""
        zeros_C = numbers_T.new_zeros(self.num_completions)
        return zeros_C.index_add(0, self.completion_T, numbers_T * self.weights_T)


def token_logprobs(model: nn.Module, packed: Packed) -> ScoredGroups:
    """Score the targets of one packed row. Gradients flow to whatever in the model requires one."""
    row = packed.to(device_of(model))
    score = _packed_logprobs if packs(model) else _padded_logprobs
    return ScoredGroups(
        logprobs_T=score(parts(model), row),
        weights_T=row.weights_T,
        completion_T=row.completion_T,
        num_completions=row.num_completions,
        group_of_completion_C=row.group_of_completion_C,
    )


def packs(model: nn.Module) -> bool:
    """Whether this model gives its own numbers when its rows are packed; found out at the first call, and said to the
    user where it doesn't. The first call sets the model's attention implementation to the engine's, which computes
    unpacked passes as before."""
    base = unwrapped(model)
    if base not in _packs:
        own = base.config._attn_implementation
        obstacle = _obstacle(model)
        _packs[base] = not obstacle
        if obstacle:
            base.set_attn_implementation(own)
            logs.warn(f"{type(base).__name__} can't be packed ({obstacle}); it takes the slower padded path")
    return _packs[base]


def target_states(model: nn.Module, packed: Packed) -> torch.Tensor:
    """The decoder's last hidden state, norm applied, at the place that predicts each target: (T, D)."""
    row, found = packed.to(device_of(model)), parts(model)
    if packs(model):
        return _packed_states(found, row, PackedLayout(row.groups))
    tokens_CL, mask_CL = _padded(row)
    hidden_CLD = found.decoder(input_ids=tokens_CL, attention_mask=mask_CL, use_cache=False).last_hidden_state
    return cast(torch.Tensor, hidden_CLD[row.completion_T, row.positions_S[row.sources_T]])


def _packed_logprobs(model_parts: Parts, row: Packed) -> torch.Tensor:
    return _run_packed(model_parts, row, PackedLayout(row.groups))


def _run_packed(model_parts: Parts, row: Packed, layout: Layout) -> torch.Tensor:
    return head_logprobs(model_parts, _packed_states(model_parts, row, layout), row.targets_T)


def _packed_states(model_parts: Parts, row: Packed, layout: Layout) -> torch.Tensor:
    hidden_SD: torch.Tensor = model_parts.decoder(
        input_ids=row.tokens_S[None],
        position_ids=row.positions_S[None],
        attention_mask=unused_mask(row.tokens_S.device, model_parts.base.dtype),
        use_cache=False,
        layout=layout,
    ).last_hidden_state[0]
    return hidden_SD.index_select(0, row.sources_T)


def _padded_logprobs(model_parts: Parts, row: Packed) -> torch.Tensor:
    tokens_CL, mask_CL = _padded(row)
    logits_CLV = model_parts.base(input_ids=tokens_CL, attention_mask=mask_CL, use_cache=False).logits
    logits_TV = logits_CLV[row.completion_T, row.positions_S[row.sources_T]]
    return cast(torch.Tensor, logits_TV.float().log_softmax(-1).gather(1, row.targets_T[:, None])[:, 0])


def _padded(row: Packed) -> tuple[torch.Tensor, torch.Tensor]:
    """One right-padded sequence per completion, (C, L), and where it isn't padding."""
    sequences: list[torch.Tensor] = []
    start = 0
    for group in row.groups:
        prompt = row.tokens_S[start : start + group.prompt]
        begin = start + group.prompt
        for length in group.completions:
            sequences.append(torch.cat((prompt, row.tokens_S[begin : begin + length])))
            begin += length
        start += group.length
    tokens_CL = pad_sequence(sequences, batch_first=True)
    mask_CL = pad_sequence([torch.ones_like(sequence) for sequence in sequences], batch_first=True)
    return tokens_CL, mask_CL


@dataclass(frozen=True, slots=True)
class _WatchedLayout:
    """Notes which sliding windows the layers ask for; a model that never asks doesn't use the engine's attention."""

    layout: Layout
    windows: list[int | None]

    def attend(self, query_BHSD: torch.Tensor, key: torch.Tensor, value: torch.Tensor, terms: Terms) -> torch.Tensor:
        self.windows.append(terms.window)
        return self.layout.attend(query_BHSD, key, value, terms)


@torch.no_grad()
def _obstacle(model: nn.Module) -> str:
    """Why the model can't be packed; empty when it can. Scores a few tokens both ways."""
    found = parts(model)
    if unknown := unknown_layers(found.base):
        return f"it has {', '.join(sorted(unknown))} layers"
    row = _probe(found.base.config.get_text_config().vocab_size).to(device_of(model))
    layout = _WatchedLayout(PackedLayout(row.groups), [])
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        own_T = _padded_logprobs(found, row)
        found.base.set_attn_implementation(IMPLEMENTATION)
        packed_T = _run_packed(found, row, layout)
    except (UnsupportedAttention, TypeError, ValueError, NotImplementedError) as error:
        return str(error)
    finally:
        for module, mode in modes:
            module.training = mode
    if not layout.windows:
        return "its attention doesn't go through transformers' attention interface"
    if declares_window(found.base) and not any(layout.windows):
        return "its layers don't pass on their sliding window"
    apart = float((own_T - packed_T).abs().max())
    allowed = _TOLERANCE.get(found.base.dtype, _ROUGH_TOLERANCE)
    return "" if apart <= allowed else f"packed log-probabilities are off by {apart:.2g}"


def _probe(vocab_size: int) -> Packed:
    """A row in which every way of seeing too much, or too little, shows."""
    ids = [(index * 7919 + 11) % vocab_size for index in range(19)]

    def completion(first: int, last: int) -> Completion:
        return Completion(tuple(ids[first:last]), (1.0,) * (last - first))

    first = PromptGroup(tuple(ids[:4]), (completion(4, 7), completion(7, 11)))
    second = PromptGroup(tuple(ids[11:14]), (completion(14, 19),))
    return lay_out([first, second])
