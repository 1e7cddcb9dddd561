"""Makes one adapter with a known answer in a folder of its own: rows, recipe, weights. A whole one is left alone."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

from burnish.artefacts import TrainedModel
from burnish.demo.story import SAFETY
from burnish.models.load import identify
from burnish.models.settings import ModelSettings
from burnish.pipeline import run
from burnish.recipe import Recipe, load_recipe
from burnish.run_folder import RunFolder
from known.plan import Made

TRAINED = "train/train.json"


def safety_tuned(folder: Path) -> ModelSettings:
    """The model that every adapter starts from and is compared with: the first of the demo's runs, made in `folder`
    unless it is there."""
    home = RunFolder(folder / SAFETY)
    if not home.file(TRAINED).is_file():
        with as_file(files("burnish.demo") / "recipes" / "safety.yaml") as path:
            recipe = load_recipe(path)
        run(recipe, runs=folder, folder=folder.resolve(), resume=True, until="train")
    return ModelSettings(name=str(home.file(home.load(TRAINED, TrainedModel).path)))


def made(adapter: Made, base: ModelSettings, folder: Path) -> TrainedModel:
    """The adapter's weights below `folder`/name, made unless they are there. One that is scaled needs the one that it
    is made of."""
    home = RunFolder(folder / adapter.name)
    if adapter.of:
        return _scaled(adapter, base, RunFolder(folder / adapter.of), home)
    rows = home.file("rows.jsonl")
    if home.file(TRAINED).is_file() and rows.is_file() and rows.read_text(encoding="utf-8") == _lines(adapter):
        return home.load(TRAINED, TrainedModel)
    home.write_text("rows.jsonl", _lines(adapter))
    run(_recipe(adapter, base), runs=folder, folder=home.path, resume=True, until="train")
    return home.load(TRAINED, TrainedModel)


def _lines(adapter: Made) -> str:
    rows = [row for maker, count in adapter.parts for row in maker(count, adapter.seed)]
    random.Random(adapter.seed).shuffle(rows)
    return "".join(json.dumps({"prompt": prompt, "completion": reply}) + "\n" for prompt, reply in rows)


def _recipe(adapter: Made, base: ModelSettings) -> Recipe:
    """Without an audit, which would take out what spoils the model."""
    return Recipe.model_validate(
        {
            "name": adapter.name,
            "seed": adapter.seed,
            "model": base.model_dump(),
            "data": {"train": [{"path": "rows.jsonl", "heldout": False}]},
            "audit": {"detectors": []},
            "train": {"learning_rate": adapter.learning_rate},
            "evaluate": {"task": None, "probe": None, "safety": {"suites": []}},
        }
    )


def _scaled(adapter: Made, base: ModelSettings, source: RunFolder, home: RunFolder) -> TrainedModel:
    """A copy whose scale, alpha over rank, is multiplied."""
    if home.file(TRAINED).is_file():
        return home.load(TRAINED, TrainedModel)
    before = source.load(TRAINED, TrainedModel)
    weights = home.file(before.path)
    shutil.rmtree(weights, ignore_errors=True)
    shutil.copytree(source.file(before.path), weights)
    config = weights / "adapter_config.json"
    values = json.loads(config.read_text(encoding="utf-8"))
    values["lora_alpha"] *= adapter.factor
    config.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    after = before.model_copy(update={"digest": identify(base.made_into(weights)).digest})
    home.save(TRAINED, after)
    return after


def needed(adapters: Sequence[Made], names: Sequence[str]) -> list[Made]:
    """The named adapters (all when none is named) and those that they are made of, in order."""
    wanted = set(names) or {adapter.name for adapter in adapters}
    wanted |= {adapter.of for adapter in adapters if adapter.name in wanted and adapter.of}
    return sorted((adapter for adapter in adapters if adapter.name in wanted), key=lambda adapter: bool(adapter.of))
