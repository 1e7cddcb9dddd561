"""Reads a suite of prompts: one that comes with Burnish, a local file or a Hub set, whole or a fair part of it.

Knows nothing of models or judges.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from burnish.artefacts import Side, SuiteKind
from burnish.data.faults import RowFault
from burnish.data.read import open_rows
from burnish.data.settings import SourceSettings
from burnish.errors import DataError, EvaluationError
from burnish.evaluate.known_suites import access_to
from burnish.evaluate.settings import SuiteColumn, SuiteSettings
from burnish.records import Prompt, Source, content_digest
from burnish.statistics.sealed_split import side_of
from burnish.statistics.templates import template_families

_USUAL: dict[SuiteColumn, tuple[str, ...]] = {
    "prompt": ("prompt", "text", "instruction", "question", "query", "goal", "Goal", "behavior", "Behavior", "input"),
    "category": ("category", "categories", "type", "hazard", "topic", "Category", "SemanticCategory"),
    "id": ("id", "prompt_id", "release_prompt_id", "BehaviorID"),
    "family": ("family",),
}


@dataclass(frozen=True)
class Suite:
    """Prompts with unique ids, in the file's order. `repeated` rows had a prompt that stood before, and were left
    out. `source` says where they came from: the path, and a Hub set's commit or a file's digest."""

    name: str
    kind: SuiteKind
    prompts: tuple[Prompt, ...]
    digest: str
    repeated: int = 0
    source: str = ""


def load_suite(
    settings: SuiteSettings, folder: Path, side: Side | None = None, development_share: float = 0.0
) -> Suite:
    """Read a suite, whole or of one `side` only; relative paths are taken from `folder`. The most `rows` are taken
    from what is left.

    Raises: DataError when the file can't be read; EvaluationError when a column is missing, a row has no prompt, two
    prompts have one id, or no row is left.
    """
    rows, source = _read(settings, folder)
    chosen = _where(settings, rows)
    columns = _columns(settings, chosen[0][1])
    prompts: dict[str, Prompt] = {}
    texts: set[str] = set()
    for place, row in chosen:
        prompt = _prompt(settings, columns, place, row)
        if prompt.text in texts:
            continue
        texts.add(prompt.text)
        if prompt.id in prompts:
            raise EvaluationError(
                f"{place}: the id {prompt.id!r} stands on an earlier row too, expected one id a prompt; "
                "nothing was evaluated",
                hint="set columns.id of the suite to a column of unique ids, or take the column out",
            )
        prompts[prompt.id] = prompt
    whole = list(prompts.values()) if "family" in columns else _in_families(list(prompts.values()))
    kept = stratified(_of_side(settings, whole, side, development_share), settings.rows)
    digest = content_digest([[p.id, p.text, p.category, p.family] for p in kept])
    return Suite(settings.suite, settings.kind, kept, digest, len(chosen) - len(prompts), source)


def every_row(settings: SuiteSettings) -> SuiteSettings:
    """The same suite without a bound on its rows: what training rows may not overlap with, asked or not."""
    return settings.model_copy(update={"rows": None})


def _of_side(
    settings: SuiteSettings, prompts: Sequence[Prompt], side: Side | None, development_share: float
) -> Sequence[Prompt]:
    kept = [prompt for prompt in prompts if side in (None, side_of(prompt.family, development_share))]
    if not kept:
        raise EvaluationError(
            f"{settings.path}: none of its {len(prompts):,} prompts lies on the {side} side with a development_share "
            f"of {development_share:g}; nothing was evaluated",
            hint="set evaluate.safety.development_share to another value, or give the suite more families of prompts",
        )
    return kept


def stratified(prompts: Sequence[Prompt], rows: int | None) -> tuple[Prompt, ...]:
    """At most `rows` prompts, every category in proportion (largest remainders first), the same ones every time: those
    whose texts have the smallest hashes. The order stays."""
    if rows is None or rows >= len(prompts):
        return tuple(prompts)
    by_category: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        by_category[prompt.category].append(prompt)
    share = {name: rows * len(members) / len(prompts) for name, members in by_category.items()}
    take = {name: int(exact) for name, exact in share.items()}
    for name in sorted(share, key=lambda name: (take[name] - share[name], name))[: rows - sum(take.values())]:
        take[name] += 1
    kept = {
        prompt.id
        for name, members in by_category.items()
        for prompt in sorted(members, key=lambda p: content_digest(p.text))[: take[name]]
    }
    return tuple(prompt for prompt in prompts if prompt.id in kept)


def _in_families(prompts: Sequence[Prompt]) -> list[Prompt]:
    """The prompts with those of one wording in one family, for a suite that doesn't say which belong together."""
    families = template_families([prompt.text for prompt in prompts])
    return [replace(prompt, family=family) for prompt, family in zip(prompts, families, strict=True)]


def _read(settings: SuiteSettings, folder: Path) -> tuple[list[tuple[Source, Mapping[str, object]]], str]:
    """The suite's rows, and where they came from."""
    names = ("path", "config", "split", "revision", "sha256")
    source = SourceSettings(**{name: getattr(settings, name) for name in names})
    try:
        opened = open_rows(source, folder)
        rows = _rows(settings, opened.rows)
    except DataError as error:
        raise DataError(error.message, hint=access_to(settings.path) or error.hint) from error
    return rows, f"{opened.name}, {opened.notes[0] if opened.notes else f'digest {opened.digest()[:12]}'}"


def _rows(
    settings: SuiteSettings, rows: Iterable[tuple[Source, Mapping[str, object] | RowFault]]
) -> list[tuple[Source, Mapping[str, object]]]:
    read = []
    for place, row in rows:
        if isinstance(row, RowFault):
            raise EvaluationError(f"{place}: {row.message}; nothing was evaluated", hint=row.hint)
        read.append((place, row))
    if not read:
        raise EvaluationError(f"{settings.path}: holds no rows, expected prompts; nothing was evaluated")
    return read


def _where(
    settings: SuiteSettings, rows: list[tuple[Source, Mapping[str, object]]]
) -> list[tuple[Source, Mapping[str, object]]]:
    """The rows whose columns have the values that the settings ask for."""
    for column in settings.where:
        if column not in rows[0][1]:
            raise _missing(settings, f"where.{column}", column, rows[0][1])
    kept = [(p, row) for p, row in rows if all(str(row.get(c)) == value for c, value in settings.where.items())]
    if not kept:
        seen = {c: sorted({str(row.get(c)) for _, row in rows})[:8] for c in settings.where}
        raise EvaluationError(
            f"{settings.path}: no row of {len(rows):,} has {settings.where}; nothing was evaluated",
            hint=f"values there are: {seen}",
        )
    return kept


def _columns(settings: SuiteSettings, first: Mapping[str, object]) -> dict[SuiteColumn, str]:
    """Which column holds what: as the settings say, else by its usual names."""
    found: dict[SuiteColumn, str] = {}
    for part, names in _USUAL.items():
        if part in settings.columns:
            if settings.columns[part] not in first:
                raise _missing(settings, f"columns.{part}", settings.columns[part], first)
            found[part] = settings.columns[part]
        elif usual := next((name for name in names if name in first), ""):
            found[part] = usual
    if "prompt" not in found:
        raise _missing(settings, "columns.prompt", "prompt", first)
    return found


def _missing(settings: SuiteSettings, key: str, column: str, row: Mapping[str, object]) -> EvaluationError:
    near = difflib.get_close_matches(column, row, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "name the prompts' column in columns.prompt of the suite"
    return EvaluationError(
        f"{settings.path}: {key}: there is no column {column!r}, only {', '.join(map(repr, row))}; "
        "nothing was evaluated",
        hint=hint,
    )


def _prompt(
    settings: SuiteSettings, columns: Mapping[SuiteColumn, str], place: Source, row: Mapping[str, object]
) -> Prompt:
    text = row.get(columns["prompt"])
    if isinstance(text, list) and len(text) == 1:
        text = text[0]
    if not isinstance(text, str) or not text.strip():
        raise EvaluationError(
            f"{place}: the column {columns['prompt']!r} is {text!r}, expected a prompt's text; nothing was evaluated",
            hint="take the row out, or name another column in columns.prompt of the suite",
        )
    own = row.get(columns["id"]) if "id" in columns else None
    name = str(own) if own not in (None, "") else content_digest(text)[:16]
    category = row.get(columns["category"]) if "category" in columns else None
    family = row.get(columns["family"]) if "family" in columns else None
    return Prompt(name, text, str(category or "all"), str(family or name))
