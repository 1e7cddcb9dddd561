"""An adapter's gradients against plain products, ranks that fill no lane and rows that fill no chunk among them."""

from __future__ import annotations

import pytest
import torch

from burnish.models.kernels import low_rank
from burnish.models.kernels.build import kernels
from burnish.models.kernels.low_rank import low_rank_gradients


@pytest.mark.parametrize("way", ["c", "torch"])
@pytest.mark.parametrize(
    ("tokens", "inputs", "outputs", "rank"), [(1, 5, 3, 1), (63, 40, 72, 16), (130, 33, 17, 20), (200, 64, 48, 64)]
)
def test_gradients(
    way: str, tokens: int, inputs: int, outputs: int, rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "torch":
        monkeypatch.setattr(low_rank, "kernels", lambda: None)
    elif kernels() is None:
        pytest.skip("there is no C compiler")
    torch.manual_seed(tokens)
    x, dy = torch.randn(tokens, inputs), torch.randn(tokens, outputs + 7)[:, :outputs]
    down, up = torch.randn(rank, inputs), torch.randn(outputs, rank)
    dh, ddown, dup = low_rank_gradients(x, dy, down, up)
    torch.testing.assert_close(dh, dy @ up, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(ddown, (dy @ up).T @ x, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(dup, dy.T @ (x @ down.T), rtol=1e-5, atol=1e-3)
