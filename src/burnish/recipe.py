"""The recipe: one YAML file that says everything about a run, and its reading.

Each stage's settings live beside the stage; this file only puts them together, so it stands above the stages. Unknown
keys are faults with a did-you-mean, and all faults are reported at once, each with its line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from burnish.advise.settings import AdviseSettings
from burnish.audit.settings import AuditSettings
from burnish.catalogue import PluginSettingsError
from burnish.data.settings import DataSettings
from burnish.errors import RecipeError
from burnish.evaluate.settings import EvaluateSettings
from burnish.gate.settings import GateSettings
from burnish.models.settings import ModelSettings
from burnish.release.settings import ReleaseSettings
from burnish.repair.settings import RepairSettings
from burnish.settings import Settings
from burnish.train.settings import TrainSettings


class Recipe(Settings):
    """All settings of a run. `name` names its folder: letters, digits, dots, dashes and underscores only. With
    `advise`, a run ends with advice on whether tuning was worth it; `burnish advise` gives it without one too."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    seed: int = Field(default=0, ge=0, lt=2**32)
    model: ModelSettings = Field(default_factory=ModelSettings)
    data: DataSettings
    audit: AuditSettings = Field(default_factory=AuditSettings)
    train: TrainSettings = Field(default_factory=TrainSettings)
    evaluate: EvaluateSettings = Field(default_factory=EvaluateSettings)
    gate: GateSettings = Field(default_factory=GateSettings)
    repair: RepairSettings = Field(default_factory=RepairSettings)
    advise: AdviseSettings | None = None
    release: ReleaseSettings = Field(default_factory=ReleaseSettings)

    @model_validator(mode="after")
    def _check_teacher(self) -> Recipe:
        kind, asked = self.train.method.kind, [s.path for s in self.data.train if s.replies == "teacher"]
        if asked and kind != "distill":
            raise ValueError(f"data.train has replies: teacher ({asked[0]}), but train.method: {kind} has no teacher")
        if any(source.replies == "teacher" for source in self.data.heldout):
            raise ValueError("data.heldout has replies: teacher, but held-out rows keep their own replies")
        if kind == "distill" and not getattr(self.train.method, "teacher", None) and self.model.layers is None:
            raise ValueError("train.method: distill has no teacher, expected one, or model.layers: as many as are kept")
        return self

    @model_validator(mode="after")
    def _check_advice(self) -> Recipe:
        if self.advise and self.evaluate.task is None:
            raise ValueError("advise is measured on the task, but evaluate.task is null; give it a metric")
        return self


def load_recipe(path: Path | str, overrides: Sequence[str] = ()) -> Recipe:
    """Read and validate a recipe.

    `overrides` are "a.b=value" texts, the value read as YAML; they win over the file.

    Raises: RecipeError listing every fault, when the file is missing, isn't YAML, or doesn't fit the settings.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise RecipeError(
            f"{path}: no such recipe; nothing was run", hint="write one with: burnish init DATA"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: can't be read as UTF-8 text ({error}); nothing was run") from error
    return parse_recipe(text, overrides, name=str(path))


def parse_recipe(text: str, overrides: Sequence[str] = (), *, name: str = "recipe") -> Recipe:
    """Like `load_recipe`, from YAML text; `name` stands for the file in messages.

    Raises: RecipeError.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{name}: not valid YAML; nothing was run\n{error}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{name}: got {type(values).__name__}, expected a mapping of settings; nothing was run")
    faults = list(_repeated_keys(root))
    lines = dict(_lines(root, ()))
    for override in overrides:
        _override(values, override)
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        faults += [_say(fault, lines) for fault in _flat(error, (), Recipe)]
        recipe = None
    if faults or recipe is None:
        count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
        listed = "\n".join(f"{name}:{fault}" for fault in faults)
        raise RecipeError(f"{listed}\n{count}; nothing was run", hint="every setting is described in docs/recipe.md")
    return recipe


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML with every default spelled out; `parse_recipe` reads it back as an equal recipe."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, raw = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {override}: expected key.path=value; nothing was run")
    place: Any = values
    *parents, last = key.strip().split(".")
    for parent in parents:
        inner = place.get(parent)
        if not isinstance(inner, dict):
            # What a recipe gives by its bare name becomes a mapping, so that one of its settings can be set.
            inner = {"name" if parent == "model" else "kind": inner} if isinstance(inner, str) else {}
            place[parent] = inner
        place = inner
    try:
        place[last] = yaml.safe_load(raw)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {override}: the value is not valid YAML ({error}); nothing was run") from error


def _lines(node: yaml.Node | None, path: tuple[object, ...]) -> Iterator[tuple[tuple[object, ...], int]]:
    if node is None:
        return
    yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*path, key.value), key.start_mark.line + 1
            for inner, line in _lines(value, (*path, key.value)):
                if inner != (*path, key.value):
                    yield inner, line
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _lines(item, (*path, index))


def _repeated_keys(node: yaml.Node | None, path: str = "") -> Iterator[str]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            where = f"{path}{key.value}"
            if key.value in seen:
                yield f"{key.start_mark.line + 1}: {where}: stands twice, expected once (the first would be ignored)"
            seen.add(key.value)
            yield from _repeated_keys(value, f"{where}.")
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated_keys(item, f"{path}{index}.")


@dataclass(frozen=True)
class _Fault:
    """One fault: the keys that lead to it, pydantic's kind of error, and the settings that its first keys lead to."""

    path: tuple[object, ...]
    kind: str
    message: str
    got: object
    model: type[BaseModel]
    prefix: int


def _flat(error: ValidationError, prefix: tuple[object, ...], model: type[BaseModel]) -> Iterator[_Fault]:
    """Faults with full paths; the faults of a plug-in's own settings, nested in a value error, are opened up."""
    for item in error.errors():
        path = (*prefix, *item["loc"])
        inner = item.get("ctx", {}).get("error")
        if isinstance(inner, PluginSettingsError):
            yield from _flat(inner.error, path, inner.model)
        else:
            message = item["msg"].removeprefix("Value error, ")
            yield _Fault(path, item["type"], message, item.get("input"), model, len(prefix))


def _say(fault: _Fault, lines: Mapping[tuple[object, ...], int]) -> str:
    path = fault.path
    at = path
    while at and at not in lines:
        at = at[:-1]
    where = f"{lines.get(at, 1)}: {'.'.join(str(part) for part in path) or '(top)'}"
    if fault.kind == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1]), _known_keys(fault.model, path[fault.prefix : -1]), n=1)
        return f"{where}: unknown setting{f'; did you mean {near[0]!r}?' if near else ''}"
    if fault.kind == "missing":
        return f"{where}: missing, but required"
    if fault.kind == "value_error":
        return f"{where}: {fault.message}"
    return f"{where}: got {_short(fault.got)}; {fault.message[:1].lower()}{fault.message[1:]}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _known_keys(model: type[BaseModel], path: Iterable[object]) -> list[str]:
    """Names that are allowed at `path` below `model`, found by walking its fields' types."""
    models = [model]
    for part in path:
        fields = [model.model_fields[str(part)].annotation for model in models if str(part) in model.model_fields]
        if fields:
            models = [model for annotation in fields for model in _models_in(annotation)]
    return [name for model in models for name in model.model_fields]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
