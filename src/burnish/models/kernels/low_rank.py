"""The gradients of a low-rank adapter in one pass over what went in and what came back; or the same on plain torch.

The adapter's own products are narrow, so their time is that of reading the activations, which general matrix products
do four times over. Only for float32 on the CPU; nothing here is recorded by autograd.

Axes: S tokens, I inputs, O outputs, R rank.
"""

from __future__ import annotations

import torch
from torch.nn.functional import pad

from burnish.models.kernels.build import apart, call, kernels, whole

_LANE = 16
_CHUNK = 64


def low_rank_gradients(
    x_SI: torch.Tensor, dy_SO: torch.Tensor, down_RI: torch.Tensor, up_OR: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For y = (x down^T) up^T and the slope in y: the slope in x down^T, (S, R), and the gradients of down and up."""
    if kernels() is None:
        dh_SR = dy_SO @ up_OR
        return dh_SR, dh_SR.T @ x_SI, dy_SO.T @ (x_SI @ down_RI.T)
    (tokens, inputs), (outputs, rank) = x_SI.shape, up_OR.shape
    lanes = -(-rank // _LANE) * _LANE
    down, up = pad(down_RI.T, (0, lanes - rank)).contiguous(), pad(up_OR, (0, lanes - rank)).contiguous()
    dh = x_SI.new_empty(tokens, lanes)
    sums = (inputs + outputs) * lanes
    work = x_SI.new_empty(torch.get_num_threads() * (sums + _CHUNK * lanes))
    sizes = (tokens, inputs, outputs, lanes, apart(dy_SO))
    call("low_rank_gradients", (whole(x_SI), dy_SO, down, up, dh, work), numbers=sizes)
    ddown = work[: inputs * lanes].view(inputs, lanes)[:, :rank].T.contiguous()
    dup = work[inputs * lanes : sums].view(outputs, lanes)[:, :rank].clone()
    return dh[:, :rank], ddown, dup
