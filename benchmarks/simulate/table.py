"""A table of simulated cells: how often the gate said what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from burnish.artefacts import Outcome

_ALL: tuple[Outcome, ...] = ("PASS", "HOLD", "BLOCK")


@dataclass(frozen=True)
class Cell:
    """One cell: what was simulated, by name, and the share of each outcome among `draws`."""

    where: Mapping[str, object]
    shares: Mapping[Outcome, float]
    draws: int

    @property
    def words(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.where.items())

    def as_json(self) -> dict[str, object]:
        return {**self.where, **self.shares, "draws": self.draws}


def cell_of(where: Mapping[str, object], outcomes: Counter[Outcome]) -> Cell:
    """The cell of so many outcomes of each kind."""
    draws = outcomes.total()
    return Cell(where, {outcome: outcomes[outcome] / draws for outcome in _ALL}, draws)


@dataclass(frozen=True)
class Table:
    """Cells, and the `outcome` that must not come in more than `most` of the draws of any of them (None: no goal).
    `show` groups the lines by that name of `where`; empty: a line for each cell."""

    title: str
    cells: Sequence[Cell]
    outcome: Outcome
    most: float | None
    show: str = ""

    def text(self) -> str:
        """Markdown: each group's worst cell, and how the goal was met."""
        lines = [f"**{self.title}**", "", *(self._grouped() if self.show else self._each())]
        if self.most is not None:
            over = [cell for cell in self.cells if cell.shares[self.outcome] > self.most]
            worst = max(self.cells, key=lambda cell: cell.shares[self.outcome])
            lines += [
                "",
                f"{self.outcome} at most {self.most:.0%}: {len(self.cells) - len(over)} of {len(self.cells)} cells; "
                f"the worst has {worst.shares[self.outcome]:.2%} ({worst.words}); {worst.draws:,} draws a cell",
            ]
        return "\n".join(lines)

    def _grouped(self) -> list[str]:
        groups: dict[object, list[Cell]] = {}
        for cell in self.cells:
            groups.setdefault(cell.where[self.show], []).append(cell)
        lines = [f"| {self.show} | cells | {self.outcome}, mean | worst | where |", "|---|---|---|---|---|"]
        for value, cells in groups.items():
            shares = [cell.shares[self.outcome] for cell in cells]
            worst = max(cells, key=lambda cell: cell.shares[self.outcome])
            mean = sum(shares) / len(shares)
            lines.append(f"| {value} | {len(cells)} | {mean:.2%} | {max(shares):.2%} | {worst.words} |")
        return lines

    def _each(self) -> list[str]:
        names = list(self.cells[0].where)
        lines = [f"| {' | '.join([*names, *_ALL])} |", "|" + "---|" * (len(names) + len(_ALL))]
        for cell in self.cells:
            shares = [f"{cell.shares[outcome]:.1%}" for outcome in _ALL]
            lines.append(f"| {' | '.join([*(str(value) for value in cell.where.values()), *shares])} |")
        return lines
