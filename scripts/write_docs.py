"""Write docs/recipe.md: every setting of a recipe, from the settings models. A test holds the two together."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from burnish.catalogue import CATALOGUE, look_up
from burnish.recipe import Recipe
from burnish.settings import PluginSettings

TARGET = Path(__file__).resolve().parents[1] / "docs" / "recipe.md"
INTRODUCTION = """# The recipe

A recipe is one YAML file. `burnish init DATA` writes one; `--set key.path=value` changes a setting from the command
line. Unknown keys are errors. Written by `scripts/write_docs.py` from the settings themselves.
"""


def page() -> str:
    """The whole page as Markdown. Plug-ins have sections of their own; their settings are written once."""
    parts = [INTRODUCTION, *_section("", Recipe), "## Plug-ins\n"]
    for family, names in CATALOGUE.items():
        for name in names:
            parts += _section(f"{family}: {name}", look_up(family, name).Settings)
    return "\n".join(parts)


def _section(path: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"## {path or 'Top level'}\n"
    yield f"{inspect.cleandoc(model.__doc__ or '')}\n"
    yield "| setting | type | default |\n|---|---|---|"
    inner: list[tuple[str, type[BaseModel]]] = []
    known: dict[str, Any] = {}  # a default may be computed from the settings before it
    for name, field in model.model_fields.items():
        if not field.is_required():
            known[name] = field.get_default(call_default_factory=True, validated_data=known)
        yield f"| `{name}` | {_type(field)} | {_default(known[name]) if name in known else 'required'} |"
        inner += [(f"{path}.{name}".strip("."), m) for m in _models(field.annotation)]
    yield ""
    plugins = {PluginSettings, *(look_up(family, name).Settings for family in CATALOGUE for name in CATALOGUE[family])}
    for where, found in inner:
        if found not in plugins:
            yield from _section(where, found)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _type(field: FieldInfo) -> str:
    text = inspect.formatannotation(field.annotation)
    text = re.sub(r"Annotated\[(\w+).*", r"\1", re.sub(r"(\w+\.)+", "", text))
    return "`" + text.replace("|", "or").replace("PluginSettings", "plug-in") + "`"


def _default(value: object) -> str:
    if isinstance(value, PluginSettings):
        return f"`{value.kind}`"
    if isinstance(value, tuple) and value and isinstance(value[0], PluginSettings):
        return ", ".join(f"`{item.kind}`" for item in value)
    if isinstance(value, BaseModel) or (isinstance(value, tuple) and value and isinstance(value[0], BaseModel)):
        return "see below"
    return f"`{value!r}`"


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(page(), encoding="utf-8")
