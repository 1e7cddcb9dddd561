"""Prompt groups laid out in one flat row of tokens, without padding.

The prompt is laid down once; each completion sees its prompt and itself, nothing else, and its positions run on from
the prompt's end. Only predictions that weigh in the loss are targets, so nothing else ever meets the output head.
Knows nothing of models or methods.

Axes: S tokens of the packed row, T targets, C completions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heapreplace

import torch

from burnish.models.groups import PromptGroup


@dataclass(frozen=True, slots=True)
class Segments:
    """Where one group lies in the row: its prompt takes the first `prompt` tokens, then each completion its own."""

    prompt: int
    completions: tuple[int, ...]

    @property
    def length(self) -> int:
        """Tokens of the row that the group takes."""
        return self.prompt + sum(self.completions)


@dataclass(frozen=True, slots=True)
class Packed:
    """One row. `tokens_S` and `positions_S` are int64; `sources_T` says which place of the row predicts each target
    `targets_T`, with loss weight `weights_T` (fp32, never 0), in completion `completion_T` of the row; targets lie in
    the order of the row's completions. `groups[group_of_completion_C[c]]` holds completion c."""

    tokens_S: torch.Tensor
    positions_S: torch.Tensor
    groups: tuple[Segments, ...]
    sources_T: torch.Tensor
    targets_T: torch.Tensor
    weights_T: torch.Tensor
    completion_T: torch.Tensor
    group_of_completion_C: torch.Tensor

    @property
    def num_completions(self) -> int:
        """Completions of the row, those without a target counted too."""
        return len(self.group_of_completion_C)

    def to(self, device: torch.device) -> Packed:
        """The same row on another device."""
        names = ("tokens_S", "positions_S", "sources_T", "targets_T", "weights_T", "completion_T")
        moved = {name: getattr(self, name).to(device, non_blocking=True) for name in names}
        return replace(self, **moved, group_of_completion_C=self.group_of_completion_C.to(device))


def lay_out(groups: Sequence[PromptGroup]) -> Packed:
    """The groups in one row, in order."""
    tokens: list[int] = []
    positions: list[int] = []
    targets: list[tuple[int, int, float, int]] = []
    group_of_completion: list[int] = []
    for index, group in enumerate(groups):
        prompt_end = len(tokens) + len(group.prompt) - 1
        tokens.extend(group.prompt)
        positions.extend(range(len(group.prompt)))
        for completion in group.completions:
            start, number = len(tokens), len(group_of_completion)
            for offset, (token, weight) in enumerate(zip(completion.tokens, completion.weights, strict=True)):
                if weight:
                    targets.append((start + offset - 1 if offset else prompt_end, token, weight, number))
            tokens.extend(completion.tokens)
            positions.extend(range(len(group.prompt), len(group.prompt) + len(completion.tokens)))
            group_of_completion.append(index)
    sources, labels, weights, completions = zip(*targets, strict=True) if targets else ((), (), (), ())
    return Packed(
        tokens_S=torch.tensor(tokens, dtype=torch.int64),
        positions_S=torch.tensor(positions, dtype=torch.int64),
        groups=tuple(Segments(len(g.prompt), tuple(len(c.tokens) for c in g.completions)) for g in groups),
        sources_T=torch.tensor(sources, dtype=torch.int64),
        targets_T=torch.tensor(labels, dtype=torch.int64),
        weights_T=torch.tensor(weights, dtype=torch.float32),
        completion_T=torch.tensor(completions, dtype=torch.int64),
        group_of_completion_C=torch.tensor(group_of_completion, dtype=torch.int64),
    )


def pack(groups: Sequence[PromptGroup], token_budget: int) -> list[Packed]:
    """The groups laid out in the rows that `arrange` finds."""
    return [lay_out([groups[index] for index in row]) for row in arrange(groups, token_budget)]


def arrange(groups: Sequence[PromptGroup], token_budget: int) -> list[list[int]]:
    """Which groups, by index, share a row: as few rows as first-fit-decreasing finds, each of at most `token_budget`
    tokens; a group that is longer has a row of its own. So many rows are then filled as evenly as the emptiest row for
    the next longest group makes them (Graham 1969), if none comes out above the longest of the first: the longest row
    is what memory is needed for. Within a row, groups keep their order; every group is in exactly one row."""
    sizes = [group.num_tokens for group in groups]
    longest_first = sorted(range(len(sizes)), key=lambda index: (-sizes[index], index))
    rows, longest = _first_fit(sizes, longest_first, token_budget)
    even, longest_even = _emptiest_first(sizes, longest_first, len(rows))
    return [sorted(row) for row in (even if longest_even <= longest else rows)]


def _first_fit(sizes: Sequence[int], order: Sequence[int], budget: int) -> tuple[list[list[int]], int]:
    rows: list[list[int]] = []
    room: list[int] = []
    for index in order:
        row = next((number for number, left in enumerate(room) if left >= sizes[index]), None)
        if row is None:
            rows.append([index])
            room.append(budget - sizes[index])
        else:
            rows[row].append(index)
            room[row] -= sizes[index]
    return rows, budget - min(room, default=budget)


def _emptiest_first(sizes: Sequence[int], order: Sequence[int], number: int) -> tuple[list[list[int]], int]:
    rows: list[list[int]] = [[] for _ in range(number)]
    filled = [(0, row) for row in range(number)]
    for index in order:
        size, row = filled[0]
        rows[row].append(index)
        heapreplace(filled, (size + sizes[index], row))
    return rows, max((size for size, _ in filled), default=0)
