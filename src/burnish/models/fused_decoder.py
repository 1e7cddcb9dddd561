"""A decoder of the Llama family with hand-written backward passes: the same numbers, a fraction of the memory traffic.

Llama, Mistral, Qwen 2 and 3, SmolLM and their like share one layer: norm, attention with rotary positions, norm, gated
products. Between two matrix products autograd would record a dozen element-wise operations, each reading and writing
everything; here each chain is one pass, activations that cost little are computed again, and what an adapter adds goes
straight into the product's result. The model's own modules are read, never changed: whether they are of this form is
told by their parts, and then by their numbers (`logprobs` scores a few tokens both ways). Attention is the caller's.

Axes: S tokens of the row, D hidden size, I inner size, H heads, P head size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import nn

from burnish.models.attention import Layout, Terms
from burnish.models.kernels.rows import (
    add_rms_norm,
    gated,
    gated_backward,
    rms_norm,
    rms_norm_backward,
    rotate,
)
from burnish.models.products import Product, product

_LAYER = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}
_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_GATED = ("gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class Norm:
    """x / rms(x) * weight."""

    weight: torch.Tensor
    epsilon: float


@dataclass(frozen=True, slots=True)
class Block:
    """One layer as it stands now; `head_norms` are those of queries and keys, where the model has them."""

    attention_norm: Norm
    query: Product
    key: Product
    value: Product
    output: Product
    head_norms: tuple[Norm, Norm] | None
    gated_norm: Norm
    gate: Product
    up: Product
    down: Product
    head_size: int


@dataclass(frozen=True, slots=True)
class FusedDecoder:
    """A decoder's layers as they stand now, and what stands around them."""

    blocks: tuple[Block, ...]
    final_norm: Norm
    embedding: nn.Module
    rotary: nn.Module

    def hidden(
        self, tokens_S: torch.Tensor, positions_S: torch.Tensor, layout: Layout, terms: Sequence[Terms]
    ) -> torch.Tensor:
        """The last hidden states, (S, D), final norm applied; with a gradient where weights or adapters want one.
        `terms` are what each layer asks of its attention.

        Raises: ValueError when positions turn a part of each head only.
        """
        hidden_SD = self.embedding(tokens_S)
        cosine, sine = (part[0].contiguous() for part in self.rotary(hidden_SD[None], positions_S[None]))
        if any(cosine.shape[-1] != block.head_size for block in self.blocks):
            raise ValueError(f"positions turn {cosine.shape[-1]} numbers of a head of {self.blocks[0].head_size}")
        for block, asked in zip(self.blocks, terms, strict=True):
            hidden_SD = self._layer(block, hidden_SD, cosine, sine, layout, asked)
        return cast(torch.Tensor, _Normed.apply(hidden_SD, self.final_norm.weight, self.final_norm.epsilon))  # type: ignore[no-untyped-call]

    def rounded(self, dtype: torch.dtype) -> FusedDecoder:
        """The same for reading alone, with copies of the layers' weights in `dtype`: half to read at every step."""
        names = ("query", "key", "value", "output", "gate", "up", "down")
        blocks = (
            replace(block, **{name: getattr(block, name).rounded(dtype) for name in names}) for block in self.blocks
        )
        return replace(self, blocks=tuple(blocks))

    def _layer(
        self,
        block: Block,
        hidden_SD: torch.Tensor,
        cosine_SP: torch.Tensor,
        sine_SP: torch.Tensor,
        layout: Layout,
        terms: Terms,
    ) -> torch.Tensor:
        before = (block.query, block.key, block.value)
        query, key, value = _Project.apply(  # type: ignore[no-untyped-call]
            hidden_SD, block, cosine_SP, sine_SP, block.attention_norm.weight, *_norm_weights(block), *_trained(before)
        )
        query, key, value = (part.transpose(0, 1)[None] for part in (query, key, value))
        seen_SHP = layout.attend(query, key, value, terms)[0]
        after = (block.output, block.gate, block.up, block.down)
        return cast(
            torch.Tensor,
            _Gated.apply(  # type: ignore[no-untyped-call]
                hidden_SD, seen_SHP.reshape(len(hidden_SD), -1), block, block.gated_norm.weight, *_trained(after)
            ),
        )


def fused(decoder: nn.Module) -> FusedDecoder | None:
    """The decoder as it stands now, adapters on or off; None when it is of another form, not in float32, or not on the
    CPU, where the kernels are."""
    parts = cast(Any, decoder)
    needed = ("embed_tokens", "layers", "norm", "rotary_emb")
    if not all(hasattr(parts, name) for name in needed) or not _in_float32_here(parts.embed_tokens):
        return None
    blocks = [_block(layer) for layer in parts.layers]
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


def _block(layer: Any) -> Block | None:
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
    return Block(first, q, k, v, o, pair, second, gate, up, down, int(attention.head_dim))


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


def _trained(products: Sequence[Product]) -> list[torch.Tensor]:
    return [tensor for each in products for tensor in each.trained]


def _norm_gradient(x: torch.Tensor, inverse: torch.Tensor, dy: torch.Tensor, wanted: bool) -> torch.Tensor | None:
    """The gradient of a norm's weight."""
    return (x * inverse[..., None]).mul_(dy).flatten(0, -2).sum(0) if wanted else None


class _Normed(torch.autograd.Function):
    """The final norm."""

    @staticmethod
    def forward(ctx: Any, hidden_SD: torch.Tensor, weight_D: torch.Tensor, epsilon: float) -> torch.Tensor:
        y_SD, inverse_S = rms_norm(hidden_SD, weight_D, epsilon)
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
    """Norm, the three products that attention reads, and rotary positions: query, key and value, (S, H, P) each."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_SD: torch.Tensor,
        block: Block,
        cosine_SP: torch.Tensor,
        sine_SP: torch.Tensor,
        norm_D: torch.Tensor,
        query_norm_P: torch.Tensor | None,
        key_norm_P: torch.Tensor | None,
        *trained: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        normed_SD, inverse_S = rms_norm(hidden_SD, norm_D, block.attention_norm.epsilon)
        size = block.head_size
        query, key, value = (
            each.forward(normed_SD).view(len(hidden_SD), -1, size) for each in (block.query, block.key, block.value)
        )
        raw: tuple[torch.Tensor, ...] = ()
        if block.head_norms is not None:
            raw = (query, key)
            query, query_inverse = _norm_heads(query, block.head_norms[0])
            key, key_inverse = _norm_heads(key, block.head_norms[1])
            raw = (*raw, query_inverse, key_inverse)
        rotate(query, cosine_SP, sine_SP)
        rotate(key, cosine_SP, sine_SP)
        ctx.block, ctx.cosine_SP, ctx.sine_SP = block, cosine_SP, sine_SP
        ctx.save_for_backward(hidden_SD, norm_D, inverse_S, *raw)
        return query, key, value

    @staticmethod
    def backward(ctx: Any, dquery: torch.Tensor, dkey: torch.Tensor, dvalue: torch.Tensor) -> tuple[Any, ...]:
        hidden_SD, norm_D, inverse_S, *raw = ctx.saved_tensors
        block: Block = ctx.block
        products = (block.query, block.key, block.value)
        slopes = [torch.empty_like(d, memory_format=torch.contiguous_format).copy_(d) for d in (dquery, dkey)]
        for slope in slopes:
            rotate(slope, ctx.cosine_SP, ctx.sine_SP, back=True)
        head_gradients: list[torch.Tensor | None] = [None, None]
        if block.head_norms is not None:
            for index, norm in enumerate(block.head_norms):
                wanted = ctx.needs_input_grad[5 + index]
                head_gradients[index] = _norm_gradient(raw[index], raw[2 + index], slopes[index], wanted)
                slopes[index] = _norm_heads_back(raw[index], norm, raw[2 + index], slopes[index])
        slopes = [slope.view(len(hidden_SD), -1) for slope in (*slopes, dvalue.contiguous())]
        normed_SD = (hidden_SD * inverse_S[:, None]).mul_(norm_D) if any(each.trained for each in products) else None
        below = ctx.needs_input_grad[0] or ctx.needs_input_grad[4]
        dnormed_SD, gradients = _back(zip(products, slopes, strict=True), normed_SD, below)
        if dnormed_SD is None:
            return None, None, None, None, None, *head_gradients, *gradients
        dhidden_SD = torch.zeros_like(hidden_SD)
        rms_norm_backward(hidden_SD, norm_D, inverse_S, dnormed_SD, dhidden_SD)
        norm_gradient = _norm_gradient(hidden_SD, inverse_S, dnormed_SD, ctx.needs_input_grad[4])
        return dhidden_SD, None, None, None, norm_gradient, *head_gradients, *gradients


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
        said_SD = block.output.forward(seen_SA)
        middle_SD, normed_SD, inverse_S = add_rms_norm(hidden_SD, said_SD, norm_D, block.gated_norm.epsilon)
        gate_SI, up_SI = block.gate.forward(normed_SD), block.up.forward(normed_SD)
        ctx.block = block
        ctx.save_for_backward(seen_SA, middle_SD, norm_D, inverse_S, gate_SI, up_SI)
        return block.down.forward(gated(gate_SI, up_SI)).add_(middle_SD)

    @staticmethod
    def backward(ctx: Any, dy_SD: torch.Tensor) -> tuple[Any, ...]:
        seen_SA, middle_SD, norm_D, inverse_S, gate_SI, up_SI = ctx.saved_tensors
        block: Block = ctx.block
        dy_SD = dy_SD.contiguous()
        inner_slope_SI = block.down.slope(dy_SD)
        dgate_SI, dup_SI, inner_SI = gated_backward(gate_SI, up_SI, inner_slope_SI, value=bool(block.down.trained))
        last = block.down.gradients(dy_SD, inner_SI)[0] if inner_SI is not None else ()
        normed_SD = (middle_SD * inverse_S[:, None]).mul_(norm_D) if block.gate.trained or block.up.trained else None
        dnormed_SD, gradients = _back(((block.gate, dgate_SI), (block.up, dup_SI)), normed_SD, True)
        assert dnormed_SD is not None
        dmiddle_SD = dy_SD.clone()
        rms_norm_backward(middle_SD, norm_D, inverse_S, dnormed_SD, dmiddle_SD)
        norm_gradient = _norm_gradient(middle_SD, inverse_S, dnormed_SD, ctx.needs_input_grad[3])
        dseen_SA, first = _back(((block.output, dmiddle_SD),), seen_SA, ctx.needs_input_grad[1])
        return dmiddle_SD, dseen_SA, None, norm_gradient, *first, *gradients, *last


def _back(
    products: Iterable[tuple[Product, torch.Tensor]], x_SI: torch.Tensor | None, wanted: bool
) -> tuple[torch.Tensor | None, list[torch.Tensor]]:
    """Products of one input taken back, each with the slope in its output: the slope in the input, where that is
    wanted, and the gradients of what is trained."""
    dx_SI: torch.Tensor | None = None
    gradients: list[torch.Tensor] = []
    for each, dy_SO in products:
        narrow_SR = None
        if each.trained and x_SI is not None:
            own, narrow_SR = each.gradients(dy_SO, x_SI)
            gradients += own
        if wanted:
            dx_SI = each.slope(dy_SO, dx_SI, narrow_SR)
    return dx_SI, gradients


def _norm_heads(x_SHP: torch.Tensor, norm: Norm) -> tuple[torch.Tensor, torch.Tensor]:
    """Each head's norm, and its inverse sizes, (S, H)."""
    y, inverse = rms_norm(x_SHP.flatten(0, 1), norm.weight, norm.epsilon)
    return y.view(x_SHP.shape), inverse.view(x_SHP.shape[:2])


def _norm_heads_back(x_SHP: torch.Tensor, norm: Norm, inverse_SH: torch.Tensor, dy_SHP: torch.Tensor) -> torch.Tensor:
    dx_SHP = torch.zeros_like(x_SHP)
    flat = (each.flatten(0, 1) for each in (x_SHP, dy_SHP, dx_SHP))
    x, dy, dx = flat
    rms_norm_backward(x, norm.weight, inverse_SH.flatten(), dy, dx)
    return dx_SHP
