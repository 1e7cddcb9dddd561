"""Which rows a step learns from, as a pure function of the step; and the encoded rows themselves, held tightly.

Resuming needs no iterator's state: the order of every epoch follows from the seed alone.
"""

from __future__ import annotations

import json
from array import array
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from burnish.models.groups import Completion, PromptGroup

# An array of this process, or one of numpy's over a file: both slice, and both turn into lists.
_Numbers: TypeAlias = Any
_ARRAYS = {
    "tokens": "int32",
    "weights": "float32",
    "pieces": "int32",
    "labels": "float32",
    "starts": "int64",
    "first_pieces": "int64",
}


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
    """Encoded rows, eight bytes a token instead of the sixty and more that Python's own numbers take.

    A row's pieces are its prompt and its completions; tokens, weights, pieces and labels of all rows lie end to end, in
    arrays of this process or in files that are mapped into its memory.
    """

    def __init__(self) -> None:
        self._tokens: _Numbers = array("i")
        self._weights: _Numbers = array("f")
        self._pieces: _Numbers = array("i")
        self._labels: _Numbers = array("f")
        self._starts: _Numbers = array("q")
        self._first_pieces: _Numbers = array("q")
        self._notes: dict[int, str] = {}
        self._num_targets = 0

    def append(self, group: PromptGroup) -> None:
        """Add one row."""
        if group.note:
            self._notes[len(self)] = group.note
        self._starts.append(len(self._tokens))
        self._first_pieces.append(len(self._pieces))
        self._num_targets += group.num_targets
        self._pieces.append(len(group.prompt))
        self._tokens.extend(group.prompt)
        self._weights.extend([0.0] * len(group.prompt))
        for completion in group.completions:
            self._pieces.append(len(completion.tokens))
            self._labels.append(completion.label)
            self._tokens.extend(completion.tokens)
            self._weights.extend(completion.weights)

    def extend(self, others: Rows) -> None:
        """Add the rows of another."""
        tokens, pieces, rows = len(self._tokens), len(self._pieces), len(self)
        self._notes.update({rows + index: note for index, note in others._notes.items()})
        self._starts.extend(tokens + start for start in others._starts)
        self._first_pieces.extend(pieces + first for first in others._first_pieces)
        self._tokens.extend(others._tokens)
        self._weights.extend(others._weights)
        self._pieces.extend(others._pieces)
        self._labels.extend(others._labels)
        self._num_targets += others._num_targets

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> PromptGroup:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        start, first = int(self._starts[index]), int(self._first_pieces[index])
        last = int(self._first_pieces[index + 1]) if index + 1 < len(self) else len(self._pieces)
        pieces = []
        for length in self._pieces[first:last].tolist():
            stop = start + length
            pieces.append((tuple(self._tokens[start:stop].tolist()), tuple(self._weights[start:stop].tolist())))
            start = stop
        # Every row has one prompt, which has no label.
        labels = self._labels[first - index : last - index - 1].tolist()
        completions = (Completion(*piece, label) for piece, label in zip(pieces[1:], labels, strict=True))
        return PromptGroup(pieces[0][0], tuple(completions), self._notes.get(index, ""))

    @property
    def num_tokens(self) -> int:
        """Tokens of all rows."""
        return len(self._tokens)

    @property
    def num_targets(self) -> int:
        """Tokens of all rows that weigh in the loss."""
        return self._num_targets

    @property
    def longest(self) -> int:
        """Tokens of the longest row; 0 without rows."""
        return int(np.diff(np.asarray(self._starts), append=len(self._tokens)).max(initial=0))

    def save(self, folder: Path) -> None:
        """Write all rows into an empty folder. Raises: OSError."""
        for name, kind in _ARRAYS.items():
            numbers = np.frombuffer(getattr(self, f"_{name}"), dtype=kind)
            np.save(folder / f"{name}.npy", numbers, allow_pickle=False)
        about = {"targets": self._num_targets, "notes": list(self._notes.items())}
        (folder / "rows.json").write_text(json.dumps(about), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Rows:
        """Map saved rows into memory; they can be read, not added to.

        Raises: OSError, ValueError, KeyError or TypeError when a file is missing or isn't whole.
        """
        rows = cls()
        for name, kind in _ARRAYS.items():
            numbers = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            if numbers.dtype != np.dtype(kind) or numbers.ndim != 1:
                raise ValueError(f"{name}.npy holds {numbers.dtype} in {numbers.ndim} dimensions, expected {kind} in 1")
            setattr(rows, f"_{name}", numbers)
        about = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
        rows._notes = {int(index): str(note) for index, note in about["notes"]}
        rows._num_targets = int(about["targets"])
        return rows
