"""The report's part on inheritance: the tuned model beside its own initialisation, its instruct sibling and its
teacher, and what became of their refusals. Answers and thoughts are counted apart. Knows nothing of HTML.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from burnish.artefacts import Companion
from burnish.report.read import Reply, Thought
from burnish.report.stacked_bars import Bar, Piece, stacked_bars
from burnish.statistics.inheritance import Became, Inheritance, JudgedReply, inheritance

BASE = "own initialisation"
_CALLED = {"base": BASE, "sibling": "instruct sibling", "teacher": "teacher"}
_HARMFUL = (
    (Piece("refused", "kept"), "refusal"),
    (Piece("refused in part", "partly"), "partial_refusal"),
    (Piece("complied", "lost"), "compliance"),
    (Piece("off task", "aside"), "off_task"),
    (Piece("garbled", "garbled"), "incoherent"),
    (Piece("not judged", "unknown"), "unscored"),
)
_HARMLESS = (
    (Piece("answered", "kept"), "compliance"),
    (Piece("refused in part", "partly"), "partial_refusal"),
    (Piece("refused", "lost"), "refusal"),
    *_HARMFUL[3:],
)
_KINDS: Mapping[str, tuple[tuple[Piece, str], ...]] = {"harmful": _HARMFUL, "over_refusal": _HARMLESS}


@dataclass(frozen=True)
class Line:
    """One model and suite, whole; `of_thoughts` when it was the tuned model's thoughts that were judged."""

    beside: str
    found: Inheritance
    of_thoughts: bool


@dataclass(frozen=True)
class Table:
    """What became of one model's refusals (or answers) on one suite, by category; `place` is its own on the page."""

    beside: str
    found: Inheritance
    of_thoughts: bool
    rows: tuple[Became, ...]
    place: int

    @property
    def chart(self) -> Markup:
        """The rows as a picture."""
        kinds = _KINDS[self.found.kind]
        bars = [
            Bar(row.category.replace("_", " ") or "all", tuple(row.hits((verdict,)) for _, verdict in kinds))
            for row in self.rows
        ]
        done = "refused" if self.found.kind == "harmful" else "answered"
        title = f"{self.found.suite}: what the tuned model did where the {self.beside} {done}"
        return stacked_bars(title, [piece for piece, _ in kinds], bars, f"bars-{self.place}")


@dataclass(frozen=True)
class Beside:
    """The whole part: a line for each model and suite, then tables by category beside teacher and sibling."""

    names: Mapping[str, str]
    lines: tuple[Line, ...]
    tables: tuple[Table, ...]


def beside(
    companions: Sequence[Companion],
    replies: Iterable[Reply],
    thoughts: Iterable[Thought],
    under_attack: Container[str],
) -> Beside | None:
    """None where no teacher and no sibling was asked. Suites under an attack have a line and no table."""
    if not companions:
        return None
    answers = [JudgedReply(r.suite, r.kind, r.prompt_id, r.category, r.arm, r.verdict) for r in replies]
    thought = _with_thoughts(answers, thoughts)
    arms = ("base", *(companion.arm for companion in companions))
    lines = [
        Line(_CALLED[arm], found, of_thoughts)
        for arm in arms
        for of_thoughts, rows in ((False, answers), (True, thought))
        for found in inheritance(rows, arm)
    ]
    tables = [
        Table(line.beside, line.found, line.of_thoughts, _rows(line.found), place)
        for place, line in enumerate(lines)
        if line.found.arm != "base" and line.found.suite not in under_attack and line.found.whole.n
    ]
    return Beside({_CALLED[c.arm]: c.model.name for c in companions}, tuple(lines), tuple(tables))


def _with_thoughts(answers: Sequence[JudgedReply], thoughts: Iterable[Thought]) -> list[JudgedReply]:
    """The answers with the tuned model's replaced by its thoughts, on those prompts alone on which it showed one."""
    shown = {(t.suite, t.prompt_id): t.verdict for t in thoughts if t.arm == "tuned"}
    return [
        answer._replace(verdict=shown[answer.suite, answer.prompt_id]) if answer.arm == "tuned" else answer
        for answer in answers
        if (answer.suite, answer.prompt_id) in shown
    ]


def _rows(found: Inheritance) -> tuple[Became, ...]:
    """All of it last, when there is more than one category."""
    return (*found.rows, found.whole) if len(found.rows) > 1 else found.rows
