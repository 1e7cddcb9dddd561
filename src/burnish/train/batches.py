"""Which rows a step learns from, as a pure function of the step; and the encoded rows themselves, held tightly.

Resuming needs no iterator's state: the order of every epoch follows from the seed alone.
"""

from __future__ import annotations

from array import array

import numpy as np

from burnish.models.groups import Completion, PromptGroup


class DataOrder:
    """A new permutation of all rows for each epoch. Steps count from 0; a batch may reach into the next epoch, and the
    last one may be smaller, so that exactly `num_samples` rows are seen."""

    def __init__(self, num_rows: int, batch_size: int, num_samples: int, seed: int) -> None:
        self._num_rows = num_rows
        self._batch_size = batch_size
        self._num_samples = num_samples
        self._seed = seed
        self._permutation: tuple[int, list[int]] = (-1, [])

    def rows(self, step: int) -> list[int]:
        """Indices of the rows of a step; empty after the last."""
        first = step * self._batch_size
        last = min(first + self._batch_size, self._num_samples)
        return [self._row(sample) for sample in range(first, last)]

    def epoch(self, step: int) -> float:
        """How often every row was seen when `step` steps are done."""
        return min(step * self._batch_size, self._num_samples) / self._num_rows

    def _row(self, sample: int) -> int:
        epoch, index = divmod(sample, self._num_rows)
        if epoch != self._permutation[0]:
            generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([self._seed, epoch])))
            self._permutation = (epoch, generator.permutation(self._num_rows).tolist())
        return self._permutation[1][index]


def step_seed(seed: int, step: int) -> int:
    """A seed for everything random within a step, so that no generator's state needs to be kept."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])


class Rows:
    """Encoded rows, eight bytes a token instead of the sixty and more that Python's own numbers take."""

    def __init__(self) -> None:
        self._tokens = array("i")
        self._weights = array("f")
        self._lengths: list[tuple[int, ...]] = []
        self._starts: list[int] = []
        self._labels: dict[int, tuple[float, ...]] = {}
        self._notes: dict[int, str] = {}
        self._num_targets = 0

    def append(self, group: PromptGroup) -> None:
        """Add one row."""
        if group.note:
            self._notes[len(self)] = group.note
        if any(completion.label for completion in group.completions):
            self._labels[len(self)] = tuple(completion.label for completion in group.completions)
        self._starts.append(len(self._tokens))
        self._lengths.append((len(group.prompt), *(len(c.tokens) for c in group.completions)))
        self._num_targets += group.num_targets
        self._tokens.extend(group.prompt)
        self._weights.extend([0.0] * len(group.prompt))
        for completion in group.completions:
            self._tokens.extend(completion.tokens)
            self._weights.extend(completion.weights)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> PromptGroup:
        start = self._starts[index]
        pieces = []
        for length in self._lengths[index]:
            stop = start + length
            pieces.append((tuple(self._tokens[start:stop]), tuple(self._weights[start:stop])))
            start = stop
        labels = self._labels.get(index, (0.0,) * (len(pieces) - 1))
        return PromptGroup(
            pieces[0][0],
            tuple(Completion(*piece, label) for piece, label in zip(pieces[1:], labels, strict=True)),
            self._notes.get(index, ""),
        )

    @property
    def num_tokens(self) -> int:
        """Tokens of all rows."""
        return len(self._tokens)

    @property
    def num_targets(self) -> int:
        """Tokens of all rows that weigh in the loss."""
        return self._num_targets
