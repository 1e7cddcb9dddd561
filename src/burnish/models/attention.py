"""Attention over packed rows, on unmodified transformers models.

Registered with transformers under the name "burnish". A model whose configuration names it computes packed rows segment
by segment when its forward pass is given a `Layout`, and does what it always did when it is not. Grouped-query heads,
sliding windows, scaled and soft-capped scores are honoured; what isn't (attention sinks, position biases) raises.
Knows nothing of losses, prompts or tokenizers.

Axes: B batch, H heads, S tokens of the row, Q queries of one segment, K keys of one segment, D head size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, cast

import torch
from torch import nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from burnish.models.device import multiplies_in_bfloat16
from burnish.models.kernels.attention import Table, attend, attend_backward, can_attend, table
from burnish.models.packing import Segments

IMPLEMENTATION = "burnish"


class UnsupportedAttention(Exception):  # noqa: N818 - a finding about a model, caught by whoever asked
    """The model's attention needs something that packed attention doesn't compute."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What one layer asks of its attention, beside the three tensors. `layer` is its number, from 0."""

    layer: int
    scaling: float | None
    softcap: float | None
    window: int | None
    dropout: float


class Layout(Protocol):
    """How the tokens of a forward pass may see one another."""

    def attend(self, query_BHSD: torch.Tensor, key: torch.Tensor, value: torch.Tensor, terms: Terms) -> torch.Tensor:
        """The attention's output, (B, S, H, D)."""
        ...


@dataclass(frozen=True)
class PackedLayout:
    """One row of prompt groups. Made anew for each row: it keeps the masks that its layers share."""

    groups: tuple[Segments, ...]
    _masks: dict[tuple[int, int, int | None], torch.Tensor] = field(default_factory=dict)

    def attend(self, query_BHSD: torch.Tensor, key: torch.Tensor, value: torch.Tensor, terms: Terms) -> torch.Tensor:
        """The output of each segment: a prompt with its first completion, then each further completion with its
        prompt's keys before its own."""
        whole = [each.transpose(1, 2)[0] for each in (query_BHSD, key, value)]
        if terms.softcap is None and not terms.dropout and can_attend(whole[0], whole[2]):
            out_SHD = _Attention.apply(*whole, self._table, terms)  # type: ignore[no-untyped-call]
            return cast(torch.Tensor, out_SHD)[None]
        lengths = [length for group in self.groups for length in _pieces(group)]
        pieces = zip(*(torch.split(tensor, lengths, dim=2) for tensor in (query_BHSD, key, value)), strict=True)
        outputs = []
        for group in self.groups:
            query, first_key, first_value = next(pieces)
            outputs.append(self.segment(query, first_key, first_value, terms))
            prompt_key, prompt_value = first_key[:, :, : group.prompt], first_value[:, :, : group.prompt]
            for _ in group.completions[1:]:
                query, own_key, own_value = next(pieces)
                keys = torch.cat((prompt_key, own_key), dim=2)
                values = torch.cat((prompt_value, own_value), dim=2)
                outputs.append(self.segment(query, keys, values, terms))
        return torch.cat([output.transpose(1, 2) for output in outputs], dim=1)

    @cached_property
    def _table(self) -> Table:
        return table(self.groups)

    def segment(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, terms: Terms) -> torch.Tensor:
        """Causal attention of one segment, (1, H, Q, D); the last query stands at the last key."""
        num_queries, num_keys = query.shape[2], key.shape[2]
        window = terms.window if terms.window is not None and terms.window < num_keys else None
        if window is None and num_queries == num_keys and terms.softcap is None:
            return attention(query, key, value, terms, None, causal=True)
        shape = (num_queries, num_keys, window)
        if shape not in self._masks:
            self._masks[shape] = _causal_mask(num_queries, num_keys, window, query.device)
        return attention(query, key, value, terms, self._masks[shape])


class _Attention(torch.autograd.Function):
    """Attention of a whole packed row by the kernels, (S, H, D)."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, where: Table, terms: Terms
    ) -> torch.Tensor:
        # Where products are rounded, so are their sides here: what is kept for the way back is what was seen.
        held = torch.bfloat16 if multiplies_in_bfloat16() else torch.float32
        kept = (query.to(held).contiguous(), key.to(held).contiguous(), value.to(held).contiguous())
        scale = terms.scaling if terms.scaling is not None else query.shape[-1] ** -0.5
        out_SHD, sizes_HS = attend(*kept, where, terms.window, scale)
        ctx.where, ctx.window, ctx.scale = where, terms.window, scale
        ctx.save_for_backward(*kept, sizes_HS)
        return out_SHD

    @staticmethod
    def backward(ctx: Any, dout_SHD: torch.Tensor) -> tuple[Any, ...]:
        query, key, value, sizes_HS = ctx.saved_tensors
        dout_SHD = dout_SHD.contiguous()
        slopes = attend_backward(query, key, value, sizes_HS, dout_SHD, ctx.where, ctx.window, ctx.scale)
        return *slopes, None, None


def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    terms: Terms,
    mask: torch.Tensor | None,
    *,
    causal: bool = False,
) -> torch.Tensor:
    """Scaled dot-product attention, (B, H, Q, D); `mask` is True where a key may be seen and broadcasts to
    (B, H, Q, K). Key and value may have fewer heads than the query.

    Source: Gemma 2 (arXiv:2408.00118), section 2, for soft-capped scores: cap * tanh(score / cap) before the mask.
    """
    grouped = key.shape[1] != query.shape[1]
    if terms.softcap is None:
        return functional.scaled_dot_product_attention(
            query, key, value, mask, terms.dropout, causal, scale=terms.scaling, enable_gqa=grouped
        )
    if grouped:
        key, value = (t.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for t in (key, value))
    scaling = terms.scaling if terms.scaling is not None else query.shape[-1] ** -0.5
    scores = torch.tanh(query @ key.transpose(2, 3) * (scaling / terms.softcap)) * terms.softcap
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    shares = functional.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    return functional.dropout(shares, terms.dropout) @ value


def packed_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    layout: Layout | None = None,
    **terms: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls in every layer: output (B, S, H, D) and no attention weights.

    Raises: UnsupportedAttention, when a layout is given and the layer passes terms that it can't honour.
    """
    softcap = terms.get("softcap")
    if layout is None:
        if softcap is None:
            return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **terms)
        if attention_mask is None:
            attention_mask = _causal_mask(query.shape[2], key.shape[2], None, query.device)
        plain = Terms(0, scaling, softcap, None, dropout)
        return attention(query, key, value, plain, attention_mask).transpose(1, 2).contiguous(), None
    for name in ("s_aux", "sinks", "position_bias", "head_mask", "cache"):
        if terms.get(name) is not None:
            raise UnsupportedAttention(f"its attention uses {name}")
    number = getattr(module, "layer_idx", None)
    if number is None:
        raise UnsupportedAttention("its layers aren't numbered")
    asked = Terms(number, scaling, softcap, terms.get("sliding_window"), dropout)
    return layout.attend(query, key, value, asked), None


def unused_mask(device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """What to pass as `attention_mask` beside a layout: transformers takes any four-dimensional mask as finished, and
    builds none of its own."""
    return torch.zeros((1, 1, 1, 1), dtype=dtype, device=device)


def _pieces(group: Segments) -> tuple[int, ...]:
    """Lengths of what is computed by one call each: a group's first completion rides on its prompt."""
    return (group.prompt + sum(group.completions[:1]), *group.completions[1:])


def _causal_mask(num_queries: int, num_keys: int, window: int | None, device: torch.device) -> torch.Tensor:
    """True where a query may see a key, the last query being at the last key's position. (Q, K)"""
    ages = torch.arange(num_keys - num_queries, num_keys, device=device)[:, None] - torch.arange(
        num_keys, device=device
    )
    seen = ages >= 0
    return seen if window is None else seen & (ages < window)


AttentionInterface.register(IMPLEMENTATION, packed_attention)
AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)
