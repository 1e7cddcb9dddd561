"""A decoder of the Llama family with hand-written backward passes: the same numbers, a fraction of the memory traffic.

Llama, Mistral, Qwen 2 and 3, SmolLM and their like share one layer: norm, attention with rotary positions, norm, gated
products. Between two matrix products autograd would record a dozen element-wise operations, each reading and writing
everything; here each chain is one pass, activations that cost little are computed again, and what an adapter adds is
part of the product. Hidden states and attention are float32; what goes into a product, comes out of it, or is kept for
the way back is of the type that products are multiplied in. The model's own modules are read, never changed: whether
they are of this form is told by their parts, and then by their numbers (`logprobs` scores a few tokens both ways).
Attention is the caller's.

Axes: S tokens of the row, D hidden size, I inner size, H heads, P head size, A heads times head size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from burnish.models.attention import Layout, Terms
from burnish.models.device import multiplies_in_bfloat16
from burnish.models.joint import Joint, join
from burnish.models.kernels.rows import (
    Norm,
    Turn,
    add_rms_norm,
    gated,
    gated_backward,
    put_heads,
    rms_norm,
    rms_norm_again,
    rms_norm_backward,
    take_heads,
)
from burnish.models.memory import look_up
from burnish.models.prepacked import Prepacked
from burnish.models.products import Product, product

_LAYER = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}
_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_GATED = ("gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class Block:
    """One layer as it stands now. `projections` are the products of queries, keys and values, whose results have
    `widths` columns; `head_norms` are those of queries and keys, where the model has them."""

    attention_norm: Norm
    projections: Joint
    widths: list[int]
    output: Joint
    head_norms: tuple[Norm, Norm] | None
    gated_norm: Norm
    gate_and_up: Joint
    down: Joint
    head_size: int


@dataclass(frozen=True, slots=True)
class FusedDecoder:
    """A decoder's layers as they stand now, and what stands around them."""

    blocks: tuple[Block, ...]
    final_norm: Norm
    embedding: nn.Module
    rotary: nn.Module

    @property
    def prepacked(self) -> bool:
        """Whether it holds its products as they stood when it was made, with all that adapters add."""
        joints = (j for b in self.blocks for j in (b.projections, b.output, b.gate_and_up, b.down))
        return all(isinstance(joint, Prepacked) for joint in joints)

    def hidden(
        self, tokens_S: torch.Tensor, positions_S: torch.Tensor, layout: Layout, terms: Sequence[Terms]
    ) -> torch.Tensor:
        """The last hidden states, (S, D), final norm applied; with a gradient where weights or adapters want one.
        `terms` are what each layer asks of its attention.

        Raises: ValueError when positions turn a part of each head only.
        """
        hidden_SD = self._embedded(tokens_S)
        turn = self.turn(hidden_SD, positions_S)
        for block, asked in zip(self.blocks, terms, strict=True):
            hidden_SD = self._layer(block, hidden_SD, turn, layout, asked)
        return cast(torch.Tensor, _Normed.apply(hidden_SD, self.final_norm.weight, self.final_norm.epsilon))  # type: ignore[no-untyped-call]

    def _embedded(self, tokens_S: torch.Tensor) -> torch.Tensor:
        """Where layers are multiplied from rounded copies, nothing else need be in memory of a mapped file."""
        (weight_VD, *_) = self.embedding.parameters()
        kind: type[nn.Module] = type(self.embedding)
        if kind is nn.Embedding and not weight_VD.requires_grad and multiplies_in_bfloat16():
            return look_up(weight_VD.detach(), tokens_S)
        return cast(torch.Tensor, self.embedding(tokens_S))

    def turn(self, hidden_SD: torch.Tensor, positions_S: torch.Tensor) -> Turn:
        """What positions turn heads by.

        Raises: ValueError when they turn a part of each head only.
        """
        cosine, sine = (part[0].contiguous() for part in self.rotary(hidden_SD[None], positions_S[None]))
        if any(cosine.shape[-1] != block.head_size for block in self.blocks):
            raise ValueError(f"positions turn {cosine.shape[-1]} numbers of a head of {self.blocks[0].head_size}")
        return cosine, sine

    def _layer(self, block: Block, hidden_SD: torch.Tensor, turn: Turn, layout: Layout, terms: Terms) -> torch.Tensor:
        query, key, value = _Project.apply(  # type: ignore[no-untyped-call]
            hidden_SD, block, turn, block.attention_norm.weight, *_norm_weights(block), *block.projections.trained
        )
        query, key, value = (part.transpose(0, 1)[None] for part in (query, key, value))
        seen_SHP = layout.attend(query, key, value, terms)[0]
        trained = (*block.output.trained, *block.gate_and_up.trained, *block.down.trained)
        return cast(
            torch.Tensor,
            _Gated.apply(  # type: ignore[no-untyped-call]
                hidden_SD, seen_SHP.reshape(len(hidden_SD), -1), block, block.gated_norm.weight, *trained
            ),
        )


def fused(decoder: nn.Module, dtype: torch.dtype = torch.float32, *, only_read: bool = False) -> FusedDecoder | None:
    """The decoder as it stands now, adapters on or off, its products multiplied in `dtype`; None when it is of another
    form, not held in float32, or not on the CPU, where the kernels are. `only_read` as `join` takes it."""
    parts = cast(Any, decoder)
    needed = ("embed_tokens", "layers", "norm", "rotary_emb")
    if not all(hasattr(parts, name) for name in needed) or not _in_float32_here(parts.embed_tokens):
        return None
    blocks = [_block(layer, dtype, only_read) for layer in parts.layers]
    final = _norm(parts.norm)
    if final is None or not blocks or any(block is None for block in blocks):
        return None
    return FusedDecoder(
        tuple(block for block in blocks if block is not None), final, parts.embed_tokens, parts.rotary_emb
    )


def _in_float32_here(embedding: nn.Module) -> bool:
    """Whether hidden states will be float32 on the CPU, and stay so."""
    (weight, *_) = embedding.parameters()
    return weight.device.type == "cpu" and weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


def _block(layer: Any, dtype: torch.dtype, only_read: bool) -> Block | None:
    if {name for name, _ in layer.named_children()} != _LAYER:
        return None
    attention, inner = layer.self_attn, layer.mlp
    known = {*_ATTENTION, "q_norm", "k_norm", "rotary_emb"}
    if not {*_ATTENTION} <= {name for name, _ in attention.named_children()} <= known:
        return None
    if attention.training and getattr(attention, "attention_dropout", 0.0):
        return None
    if {name for name, _ in inner.named_children()} - {"act_fn"} != {*_GATED} or not _is_silu(inner.act_fn):
        return None
    norms = _norm(layer.input_layernorm), _norm(layer.post_attention_layernorm)
    products = [product(getattr(attention, name)) for name in _ATTENTION]
    products += [product(getattr(inner, name)) for name in _GATED]
    head_norms = [_norm(getattr(attention, name)) for name in ("q_norm", "k_norm") if hasattr(attention, name)]
    if None in norms or None in products or None in head_norms or len(head_norms) == 1:
        return None
    q, k, v, o, gate, up, down = cast(list[Product], products)
    pair = cast(tuple[Norm, Norm], tuple(head_norms)) if head_norms else None
    first, second = cast(tuple[Norm, Norm], norms)
    return Block(
        first,
        join((q, k, v), dtype, only_read=only_read),
        [q.outputs, k.outputs, v.outputs],
        join((o,), dtype, only_read=only_read),
        pair,
        second,
        join((gate, up), dtype, only_read=only_read),
        join((down,), dtype, only_read=only_read),
        int(attention.head_dim),
    )


def _norm(module: nn.Module) -> Norm | None:
    epsilon = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    weight = getattr(module, "weight", None)
    if not type(module).__name__.endswith("RMSNorm") or weight is None or epsilon is None:
        return None
    return Norm(weight, float(epsilon)) if weight.dtype == torch.float32 else None


def _is_silu(act: Any) -> bool:
    return isinstance(act, nn.SiLU) or type(act).__name__ == "SiLUActivation" or act is nn.functional.silu


def _norm_weights(block: Block) -> tuple[torch.Tensor, torch.Tensor] | tuple[None, None]:
    return (block.head_norms[0].weight, block.head_norms[1].weight) if block.head_norms else (None, None)


def _norm_gradient(x: torch.Tensor, inverse: torch.Tensor, dy: torch.Tensor, wanted: bool) -> torch.Tensor | None:
    """The gradient of a norm's weight."""
    return (x * inverse[..., None]).mul_(dy).flatten(0, -2).sum(0) if wanted else None


class _Normed(torch.autograd.Function):
    """The final norm."""

    @staticmethod
    def forward(ctx: Any, hidden_SD: torch.Tensor, weight_D: torch.Tensor, epsilon: float) -> torch.Tensor:
        y_SD = torch.empty_like(hidden_SD)
        inverse_S = rms_norm(hidden_SD, weight_D, epsilon, y_SD)
        ctx.save_for_backward(hidden_SD, weight_D, inverse_S)
        return y_SD

    @staticmethod
    def backward(ctx: Any, dy_SD: torch.Tensor) -> tuple[Any, ...]:
        hidden_SD, weight_D, inverse_S = ctx.saved_tensors
        dy_SD = dy_SD.contiguous()
        dx_SD = torch.zeros_like(hidden_SD)
        rms_norm_backward(hidden_SD, weight_D, inverse_S, dy_SD, dx_SD)
        return dx_SD, _norm_gradient(hidden_SD, inverse_S, dy_SD, ctx.needs_input_grad[1]), None


class _Project(torch.autograd.Function):
    """Norm, the products that attention reads, and rotary positions: query, key and value, (S, H, P) each."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_SD: torch.Tensor,
        block: Block,
        turn: Turn,
        norm_D: torch.Tensor,
        query_norm_P: torch.Tensor | None,
        key_norm_P: torch.Tensor | None,
        *trained: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        normed = block.projections.room(len(hidden_SD))
        kept_SD = _kept_beside(normed, hidden_SD)
        inverse_S = rms_norm(hidden_SD, norm_D, block.attention_norm.epsilon, _first(normed, hidden_SD), kept_SD)
        query_SA, key_SA, value_SA = torch.split(block.projections.forward(normed), block.widths, dim=1)
        size, raw = block.head_size, []
        if block.head_norms is None:
            query, key = take_heads(query_SA, size, turn), take_heads(key_SA, size, turn)
        else:
            raw = [take_heads(each, size, None) for each in (query_SA, key_SA)]
            both = [_norm_heads(each, norm) for each, norm in zip(raw, block.head_norms, strict=True)]
            query, key = (take_heads(normed_SHP.flatten(1), size, turn) for normed_SHP, _ in both)
            raw += [inverse for _, inverse in both]
        ctx.block, ctx.turn = block, turn
        ctx.save_for_backward(hidden_SD if kept_SD is None else kept_SD, norm_D, inverse_S, *raw)
        return query, key, take_heads(value_SA, size, None)

    @staticmethod
    def backward(ctx: Any, dquery: torch.Tensor, dkey: torch.Tensor, dvalue: torch.Tensor) -> tuple[Any, ...]:
        hidden_SD, norm_D, inverse_S, *raw = ctx.saved_tensors
        block: Block = ctx.block
        slope = block.projections.slope_room(len(hidden_SD))
        query_SA, key_SA, value_SA = torch.split(slope[:, : sum(block.widths)], block.widths, dim=1)
        slopes = [dquery.contiguous(), dkey.contiguous()]
        head_gradients: list[torch.Tensor | None] = [None, None]
        if block.head_norms is not None:
            for index, norm in enumerate(block.head_norms):
                turned_back = torch.empty_like(slopes[index])
                put_heads(slopes[index], ctx.turn, turned_back.flatten(1))
                wanted = ctx.needs_input_grad[4 + index]
                head_gradients[index] = _norm_gradient(raw[index], raw[2 + index], turned_back, wanted)
                slopes[index] = _norm_heads_back(raw[index], norm, raw[2 + index], turned_back)
        turn = ctx.turn if block.head_norms is None else None
        for each, own_SA in zip(slopes, (query_SA, key_SA), strict=True):
            put_heads(each, turn, own_SA)
        put_heads(dvalue.contiguous(), None, value_SA)
        normed = None
        if block.projections.trained:
            normed = block.projections.room(len(hidden_SD))
            rms_norm_again(hidden_SD, norm_D, inverse_S, _first(normed, hidden_SD))
        below = ctx.needs_input_grad[0] or ctx.needs_input_grad[3]
        dnormed_SD, gradients = block.projections.back(slope, normed, wanted=below)
        if dnormed_SD is None:
            return None, None, None, None, *head_gradients, *gradients
        dhidden_SD = torch.zeros(hidden_SD.shape)
        rms_norm_backward(hidden_SD, norm_D, inverse_S, dnormed_SD, dhidden_SD)
        norm_gradient = _norm_gradient(hidden_SD, inverse_S, dnormed_SD, ctx.needs_input_grad[3])
        return dhidden_SD, None, None, norm_gradient, *head_gradients, *gradients


class _Gated(torch.autograd.Function):
    """What follows attention: its output product, the residual sum, norm, the gated products, and the sum again."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_SD: torch.Tensor,
        seen_SA: torch.Tensor,
        block: Block,
        norm_D: torch.Tensor,
        *trained: torch.Tensor,
    ) -> torch.Tensor:
        rows = len(hidden_SD)
        seen = block.output.placed(seen_SA)
        normed = block.gate_and_up.room(rows)
        kept_SD = _kept_beside(normed, hidden_SD)
        middle_SD, inverse_S = add_rms_norm(
            hidden_SD, block.output.forward(seen), norm_D, block.gated_norm.epsilon, _first(normed, hidden_SD), kept_SD
        )
        both_SI = block.gate_and_up.forward(normed)
        inner = block.down.room(rows)
        gated(both_SI, inner[:, : both_SI.shape[1] // 2])
        ctx.block = block
        ctx.save_for_backward(seen, middle_SD if kept_SD is None else kept_SD, norm_D, inverse_S, both_SI)
        said_SD = block.down.forward(inner)
        return said_SD.add_(middle_SD) if said_SD.dtype == middle_SD.dtype else middle_SD + said_SD

    @staticmethod
    def backward(ctx: Any, dy_SD: torch.Tensor) -> tuple[Any, ...]:
        seen, middle_SD, norm_D, inverse_S, both_SI = ctx.saved_tensors
        block: Block = ctx.block
        rows, inner_size = len(dy_SD), both_SI.shape[1] // 2
        dy_SD = dy_SD.contiguous()
        slope = block.down.slope_placed(dy_SD)
        dinner_SI = block.down.slope(slope)
        both_slopes = block.gate_and_up.slope_room(rows)
        inner = block.down.room(rows) if block.down.trained else None
        gated_backward(both_SI, dinner_SI, both_slopes, inner if inner is None else inner[:, :inner_size])
        last = block.down.back(slope, inner, wanted=False)[1]
        normed = None
        if block.gate_and_up.trained:
            normed = block.gate_and_up.room(rows)
            rms_norm_again(middle_SD, norm_D, inverse_S, _first(normed, middle_SD))
        dnormed_SD, gradients = block.gate_and_up.back(both_slopes, normed, wanted=True)
        assert dnormed_SD is not None
        dmiddle_SD = dy_SD.clone()
        rms_norm_backward(middle_SD, norm_D, inverse_S, dnormed_SD, dmiddle_SD)
        norm_gradient = _norm_gradient(middle_SD, inverse_S, dnormed_SD, ctx.needs_input_grad[3])
        dseen_SA, first = block.output.back(block.output.slope_placed(dmiddle_SD), seen, wanted=ctx.needs_input_grad[1])
        dseen_SA = None if dseen_SA is None else dseen_SA.float()
        return dmiddle_SD, dseen_SA, None, norm_gradient, *first, *gradients, *last


def _kept_beside(place: torch.Tensor, hidden_SD: torch.Tensor) -> torch.Tensor | None:
    """A place for a copy of the hidden states that is kept for the way back, in the fewer bits that products are
    multiplied in; None where those are as many, and the states are kept themselves."""
    return None if place.dtype == hidden_SD.dtype else torch.empty(hidden_SD.shape, dtype=place.dtype)


def _first(place: torch.Tensor, like_SD: torch.Tensor) -> torch.Tensor:
    """The columns of a product's place that are to be written."""
    return place[:, : like_SD.shape[1]]


def _norm_heads(x_SHP: torch.Tensor, norm: Norm) -> tuple[torch.Tensor, torch.Tensor]:
    """Each head's norm, and its inverse sizes, (S, H)."""
    y_SHP = torch.empty_like(x_SHP)
    inverse = rms_norm(x_SHP.flatten(0, 1), norm.weight, norm.epsilon, y_SHP.flatten(0, 1))
    return y_SHP, inverse.view(x_SHP.shape[:2])


def _norm_heads_back(x_SHP: torch.Tensor, norm: Norm, inverse_SH: torch.Tensor, dy_SHP: torch.Tensor) -> torch.Tensor:
    dx_SHP = torch.zeros_like(x_SHP)
    x, dy, dx = (each.flatten(0, 1) for each in (x_SHP, dy_SHP, dx_SHP))
    rms_norm_backward(x, norm.weight, inverse_SH.flatten(), dy, dx)
    return dx_SHP
