"""What each token of a packed row may see, and what packed attention refuses."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from burnish.models.attention import PackedLayout, Terms, UnsupportedAttention, packed_attention
from burnish.models.packing import Segments

GROUPS = (Segments(2, (2, 1)), Segments(1, (2,)))
SEEN = {0: {0}, 1: {0, 1}, 2: {0, 1, 2}, 3: {0, 1, 2, 3}, 4: {0, 1, 4}, 5: {5}, 6: {5, 6}, 7: {5, 6, 7}}


def seen_by(layout: PackedLayout, terms: Terms) -> dict[int, set[int]]:
    """Which places each place takes from, by giving every place a value of its own."""
    query = torch.zeros(1, 4, 8, 8)
    value = torch.eye(8).expand(1, 2, 8, 8)
    output = layout.attend(query, torch.zeros(1, 2, 8, 8), value, terms)
    assert output.shape == (1, 8, 4, 8)
    return {place: set(output[0, place, 3].nonzero()[:, 0].tolist()) for place in range(8)}


@pytest.mark.parametrize("softcap", [None, 5.0])
def test_a_completion_sees_its_prompt_and_itself(softcap: float | None) -> None:
    assert seen_by(PackedLayout(GROUPS), Terms(0, None, softcap, None, 0.0)) == SEEN


def test_a_window_counts_positions_not_places() -> None:
    got = seen_by(PackedLayout(GROUPS), Terms(0, None, None, 2, 0.0))
    assert got == {0: {0}, 1: {0, 1}, 2: {1, 2}, 3: {2, 3}, 4: {1, 4}, 5: {5}, 6: {5, 6}, 7: {6, 7}}


def test_what_it_cannot_honour_is_refused() -> None:
    tensor = torch.zeros(1, 2, 8, 8)
    layer = nn.Module()
    layer.layer_idx = 0
    with pytest.raises(UnsupportedAttention, match="s_aux"):
        packed_attention(layer, tensor, tensor, tensor, None, layout=PackedLayout(GROUPS), s_aux=torch.zeros(2))
    with pytest.raises(UnsupportedAttention, match="numbered"):
        packed_attention(nn.Module(), tensor, tensor, tensor, None, layout=PackedLayout(GROUPS))
