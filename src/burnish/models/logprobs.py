"""Log-probabilities of a packed row's targets, under any decoder of transformers, with adapters or without.

The decoder runs over the packed row, the output head over target positions only and in chunks, so that tokens times
vocabulary is never held at once. There are three ways through a decoder, the same in their numbers: `fused_decoder`
where the model is of that form; its own layers over the engine's attention; and, where it can't be packed at all, its
own forward pass over one right-padded row per completion. Which of them a model takes is found out at its first use, by
scoring a few tokens all three ways.

Axes: S tokens of the packed row, T targets, D hidden size, V vocabulary, C completions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast
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
from burnish.models.device import multiplies_in_bfloat16, products
from burnish.models.fused_decoder import FusedDecoder, fused
from burnish.models.groups import Completion, PromptGroup
from burnish.models.head import head_logprobs
from burnish.models.packing import Packed, Segments, lay_out

_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-6}
_ROUGH_TOLERANCE = 0.15
_ROWS = 32
_ways: WeakKeyDictionary[nn.Module, _Way] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class _Way:
    """How a model is run. `obstacle` says why it can't be packed, empty where it can; `terms` are what each layer asks
    of its attention, where `fused_decoder` gives the model's own numbers, else nothing."""

    obstacle: str
    terms: tuple[Terms, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoredGroups:
    """`logprobs_T` (fp32, with a gradient where the model has one) and `weights_T` (fp32, never 0) of the targets of
    all completions laid end to end; `completion_T` says whose each is, `group_of_completion_C` the group of each
    completion. `values_T` is the value head's estimate before each target, where there is a value head; `scores_C` a
    reward model's score of each completion; `read_T` (T, ...) what the method's own reading kept of the distribution at
    each target (`distributions`). `per_target` (T, ...) and `per_completion` (C, ...) hold whatever numbers a
    method laid beside its groups, by name."""

    logprobs_T: torch.Tensor
    weights_T: torch.Tensor
    completion_T: torch.Tensor
    num_completions: int
    group_of_completion_C: torch.Tensor
    values_T: torch.Tensor | None = None
    scores_C: torch.Tensor | None = None
    read_T: torch.Tensor | None = None
    per_target: Mapping[str, torch.Tensor] = field(default_factory=dict)
    per_completion: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def sums(self, numbers_T: torch.Tensor) -> torch.Tensor:
        """Numbers of targets, weighted and added up by completion, (C,)."""
        zeros_C = numbers_T.new_zeros(self.num_completions)
        return zeros_C.index_add(0, self.completion_T, numbers_T * self.weights_T)


def token_logprobs(model: nn.Module, packed: Packed) -> ScoredGroups:
    """Score the targets of one packed row. Gradients flow to whatever in the model requires one."""
    row = packed.to(device_of(model))
    found = parts(model)
    if packs(model):
        logprobs_T = head_logprobs(found, _packed_states(model, row), row.targets_T)
    else:
        logprobs_T = _padded_logprobs(found, row)
    return ScoredGroups(
        logprobs_T=logprobs_T,
        weights_T=row.weights_T,
        completion_T=row.completion_T,
        num_completions=row.num_completions,
        group_of_completion_C=row.group_of_completion_C,
    )


def packs(model: nn.Module) -> bool:
    """Whether this model gives its own numbers when its rows are packed; found out at the first call, and said to the
    user where it doesn't. The first call sets the model's attention implementation to the engine's, which computes
    unpacked passes as before."""
    return not _way(model).obstacle


def hidden_states(model: nn.Module) -> Callable[[torch.Tensor, torch.Tensor, Layout], torch.Tensor]:
    """A model that packs, as a function of a row's tokens (S,), their positions (S,) and a layout: the last hidden
    states, (S, D), final norm applied. It stands for the weights and adapters as they are now."""
    found = fused_decoder(model)
    if found is not None:
        decoder, terms = found
        return lambda tokens_S, positions_S, layout: decoder.hidden(tokens_S, positions_S, layout, terms)
    return partial(_own_layers, parts(model).base)


def fused_decoder(model: nn.Module, *, only_read: bool = False) -> tuple[FusedDecoder, tuple[Terms, ...]] | None:
    """The fused decoder of a model that packs, as it stands now, and what each layer asks of its attention; None where
    the model isn't of that form. `only_read`: for many passes without a way back."""
    base, terms = parts(model).base, _way(model).terms
    dtype = torch.bfloat16 if multiplies_in_bfloat16() else torch.float32
    decoder = fused(base.get_decoder(), dtype, only_read=only_read) if terms else None
    return None if decoder is None else (decoder, terms)


def _way(model: nn.Module) -> _Way:
    base = unwrapped(model)
    if base not in _ways:
        own = base.config._attn_implementation
        _ways[base] = _find_way(model)
        if obstacle := _ways[base].obstacle:
            base.set_attn_implementation(own)
            logs.warn(f"{type(base).__name__} can't be packed ({obstacle}); it takes the slower padded path")
    return _ways[base]


def target_states(model: nn.Module, packed: Packed) -> torch.Tensor:
    """The decoder's last hidden state, norm applied, at the place that predicts each target: (T, D)."""
    row, found = packed.to(device_of(model)), parts(model)
    if packs(model):
        return _packed_states(model, row)
    tokens_CL, mask_CL = _padded(row)
    hidden_CLD = found.decoder(input_ids=tokens_CL, attention_mask=mask_CL, use_cache=False).last_hidden_state
    return cast(torch.Tensor, hidden_CLD[row.completion_T, row.positions_S[row.sources_T]])


def _packed_states(model: nn.Module, row: Packed) -> torch.Tensor:
    """Where products run in bfloat16, the row is filled up to a multiple of 32 tokens by a segment that nothing is
    asked of: for each number of rows that oneDNN meets, it keeps products made for just that, several megabytes for a
    model of a dozen layers, and never gives all of them back."""
    filler = -len(row.tokens_S) % _ROWS if multiplies_in_bfloat16() else 0
    zeros_S = row.tokens_S.new_zeros(filler)
    layout = PackedLayout((*row.groups, Segments(filler, ())) if filler else row.groups)
    tokens_S, positions_S = (torch.cat((each_S, zeros_S)) for each_S in (row.tokens_S, row.positions_S))
    return hidden_states(model)(tokens_S, positions_S, layout).index_select(0, row.sources_T)


def _own_layers(base: Any, tokens_S: torch.Tensor, positions_S: torch.Tensor, layout: Layout) -> torch.Tensor:
    """The model's own layers over the engine's attention."""
    states: torch.Tensor = base.get_decoder()(
        input_ids=tokens_S[None],
        position_ids=positions_S[None],
        attention_mask=unused_mask(tokens_S.device, base.dtype),
        use_cache=False,
        layout=layout,
    ).last_hidden_state[0]
    return states


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
    """Notes what the layers ask for; a model that never asks doesn't use the engine's attention."""

    layout: Layout
    asked: list[Terms]

    def attend(self, query_BHSD: torch.Tensor, key: torch.Tensor, value: torch.Tensor, terms: Terms) -> torch.Tensor:
        self.asked.append(terms)
        return self.layout.attend(query_BHSD, key, value, terms)


@torch.no_grad()
def _find_way(model: nn.Module) -> _Way:
    """Score a few tokens in each way, with whole float32 products: the ways are compared, not the products."""
    found = parts(model)
    if unknown := unknown_layers(found.base):
        return _Way(f"it has {', '.join(sorted(unknown))} layers")
    row = _probe(found.base.config.get_text_config().vocab_size).to(device_of(model))
    layout = PackedLayout(row.groups)
    watched = _WatchedLayout(layout, [])
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with products("float32"):
            own_T = _padded_logprobs(found, row)
            found.base.set_attn_implementation(IMPLEMENTATION)
            packed_T = _scored(found, row, _own_layers(found.base, row.tokens_S, row.positions_S, watched))
            terms = tuple(watched.asked)
            fused_T = _fused_logprobs(found, row, layout, terms)
    except (UnsupportedAttention, TypeError, ValueError, NotImplementedError) as error:
        return _Way(str(error))
    finally:
        for module, mode in modes:
            module.training = mode
    if not terms:
        return _Way("its attention doesn't go through transformers' attention interface")
    if declares_window(found.base) and not any(asked.window for asked in terms):
        return _Way("its layers don't pass on their sliding window")
    allowed = _TOLERANCE.get(found.base.dtype, _ROUGH_TOLERANCE)
    apart = float((own_T - packed_T).abs().max())
    if apart > allowed:
        return _Way(f"packed log-probabilities are off by {apart:.2g}")
    same = fused_T is not None and float((own_T - fused_T).abs().max()) <= allowed
    return _Way("", terms if same else ())


def _fused_logprobs(found: Parts, row: Packed, layout: Layout, terms: tuple[Terms, ...]) -> torch.Tensor | None:
    """The same by `fused_decoder`; None where the model only looks like being of that form."""
    decoder = fused(found.decoder)
    if decoder is None or len(terms) != len(decoder.blocks):
        return None
    try:
        return _scored(found, row, decoder.hidden(row.tokens_S, row.positions_S, layout, terms))
    except (TypeError, ValueError, RuntimeError):
        return None


def _scored(found: Parts, row: Packed, hidden_SD: torch.Tensor) -> torch.Tensor:
    return head_logprobs(found, hidden_SD.index_select(0, row.sources_T), row.targets_T)


def _probe(vocab_size: int) -> Packed:
    """A row in which every way of seeing too much, or too little, shows."""
    ids = [(index * 7919 + 11) % vocab_size for index in range(19)]

    def completion(first: int, last: int) -> Completion:
        return Completion(tuple(ids[first:last]), (1.0,) * (last - first))

    first = PromptGroup(tuple(ids[:4]), (completion(4, 7), completion(7, 11)))
    second = PromptGroup(tuple(ids[11:14]), (completion(14, 19),))
    return lay_out([first, second])
