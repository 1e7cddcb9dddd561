"""Suites by name: `{suite: xstest}` in a recipe stands for where it lies, its columns, filters and directions.

The table is `known_suites.yaml`. A name is made into ordinary settings before anything else reads them, so that a
resolved recipe says what was asked in full. Knows nothing of rows.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml
from pydantic import Field

from burnish.settings import Settings

_LIES_AT = ("path", "config", "split", "revision", "sha256")


class KnownPart(Settings):
    """One direction of a suite: its name, and what is asked of it alone. `prompts` is the suite's own figure."""

    kind: Literal["harmful", "over_refusal"]
    prompts: int
    where: dict[str, str] = Field(default_factory=dict)
    config: str = ""
    split: str = ""


class KnownSuite(Settings):
    """One entry of the table. `access` says how to get at a gated set, and is empty for one that is open."""

    about: str
    source: str
    licence: str
    path: str
    access: str = ""
    config: str = ""
    split: str = ""
    revision: str = ""
    sha256: str = ""
    columns: dict[str, str]
    parts: dict[str, KnownPart]


@cache
def known_suites() -> Mapping[str, KnownSuite]:
    """The table."""
    text = (files("burnish.evaluate") / "known_suites.yaml").read_text(encoding="utf-8")
    return {name: KnownSuite.model_validate(entry) for name, entry in yaml.safe_load(text).items()}


def access_to(path: str) -> str:
    """How to get at the gated suite that lies at `path`; empty when it is open or unknown."""
    return next((suite.access for suite in known_suites().values() if suite.path == path), "")


def spelled_out(raw: object) -> object:
    """A recipe's list of suites with every known name spelled out: a name ("xstest"), or a mapping with `suite` and
    what is to be different. A name that means two directions becomes two suites, unless `kind` picks one. `path` names
    a copy of the suite's file.

    Raises: ValueError when a name is unknown, or one `name` is given for two suites.
    """
    if not isinstance(raw, list | tuple):
        return raw
    return [entry for item in raw for entry in _entries(item)]


def _entries(item: object) -> Iterator[object]:
    named = {"suite": item} if isinstance(item, str) else item
    if not isinstance(named, Mapping) or "suite" not in named:
        yield item
        return
    own = {key: value for key, value in named.items() if key != "suite"}
    suite, parts = _look_up(str(named["suite"]))
    chosen = {name: part for name, part in parts.items() if own.get("kind", part.kind) == part.kind}
    if not chosen:
        kinds = " and ".join(part.kind for part in parts.values())
        raise ValueError(f"the suite {named['suite']!r} has only prompts of kind {kinds}, but kind is {own['kind']!r}")
    if len(chosen) > 1 and "name" in own:
        raise ValueError(
            f"the suite {named['suite']!r} is two suites, {' and '.join(chosen)}; name one of them, or set kind"
        )
    for name, part in chosen.items():
        known = _copy(suite, name, part) if "path" in own else _settings(suite, name, part)
        yield known | own | {key: _both(known[key], own.get(key)) for key in ("columns", "where")}


def _both(known: Mapping[str, str], own: object) -> object:
    """The table's entries and one's own, which win; what is no mapping is left for the settings to refuse."""
    if own is None:
        return dict(known)
    return {**known, **own} if isinstance(own, Mapping) else own


def _settings(suite: KnownSuite, name: str, part: KnownPart) -> dict[str, Any]:
    whole = {key: getattr(part, key, "") or getattr(suite, key) for key in _LIES_AT}
    given = {key: value for key, value in whole.items() if value}
    return given | {"kind": part.kind, "name": name, "columns": dict(suite.columns), "where": dict(part.where)}


def _copy(suite: KnownSuite, name: str, part: KnownPart) -> dict[str, Any]:
    """The same for a copy of the file, which lies elsewhere and has no pin of ours."""
    return {key: value for key, value in _settings(suite, name, part).items() if key not in _LIES_AT}


def _look_up(name: str) -> tuple[KnownSuite, Mapping[str, KnownPart]]:
    table = known_suites()
    if name in table:
        return table[name], table[name].parts
    for suite in table.values():
        if name in suite.parts:
            return suite, {name: suite.parts[name]}
    near = difflib.get_close_matches(name, [*table, *(part for suite in table.values() for part in suite.parts)], n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"no suite is called {name!r}{meant} (known: {', '.join(table)}; any other is given by its path)")
