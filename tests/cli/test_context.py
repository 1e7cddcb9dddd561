"""A model's context is read from its configuration."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from burnish.cli.context import context_of
from burnish.models.settings import ModelSettings


def test_the_configuration_says_how_long_a_row_may_be(tiny_model_folder: Path, tmp_path: Path) -> None:
    assert context_of(ModelSettings(name=str(tiny_model_folder))) == 1024
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    for config, expected in [({"text_config": {"max_position_embeddings": 8}}, 8), ({"n_layer": 1}, None)]:
        (folder / "config.json").write_text(json.dumps(config))
        assert context_of(ModelSettings(name=str(folder))) == expected
