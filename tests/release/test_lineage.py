"""A release tells of its root, and isn't taken at its word when it isn't whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burnish.artefacts import ModelIdentity
from burnish.errors import ReleaseError
from burnish.gate.root import prompt_digest
from burnish.models.load import identify
from burnish.models.settings import ModelSettings
from burnish.release.lineage import root_of
from burnish.release.settings import ReleaseSettings
from burnish.release.stage import release
from burnish.release.verify import verify
from burnish.run_folder import RunFolder


@pytest.fixture
def released(passed_run: Callable[..., RunFolder], lora_model: Any, tmp_path: Path) -> Path:
    return Path(release(ReleaseSettings(), passed_run(lora_model), tmp_path / "out").path)


def test_a_release_tells_of_the_base_it_was_compared_with(released: Path, lora_model: Any) -> None:
    record = root_of(identify(ModelSettings(name=str(released))))
    assert record is not None
    assert record.root == lora_model.trained.base.digest
    assert record.release == verify(released).digest
    assert record.verdicts["harm", "p00003", prompt_digest("question 3")] == "refusal"
    assert len(record.verdicts) == 600
    assert set(record.spent.values()) == {0.0}


def test_the_release_below_an_adapter_is_found(released: Path) -> None:
    base = identify(ModelSettings(name=str(released)))
    assert root_of(ModelIdentity(name="a", path="/absent", digest="e" * 64, base=base)) is not None


def test_an_ordinary_model_has_no_root(tiny_model_folder: Path) -> None:
    assert root_of(identify(ModelSettings(name=str(tiny_model_folder)))) is None


def test_a_release_that_was_changed_is_refused(released: Path) -> None:
    with (released / "README.md").open("a", encoding="utf-8") as file:
        file.write("better than it is\n")
    with pytest.raises(ReleaseError, match="doesn't hold"):
        root_of(identify(ModelSettings(name=str(released))))
