"""Another local model beside the recipe's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burnish.advise.candidate import CandidateUnfit
from burnish.advise.candidates.model import OtherModel, OtherModelSettings
from burnish.advise.safety import ANOTHER


def settings(folder: Path, **parts: object) -> OtherModelSettings:
    return OtherModelSettings.model_validate({"name": "large", "model": str(folder), **parts})


def test_its_answers_and_its_time(make_bench: Callable[..., Any], tiny_model_folder: Path) -> None:
    (found,) = OtherModel(settings(tiny_model_folder, k=2)).measure(make_bench())
    assert (found.name, found.safety) == ("large", ANOTHER)
    assert len([answer for answer in found.answers if answer]) == 6
    assert found.seconds is not None
    assert found.made == "another model, prompted with 2 worked examples, chosen by bm25"


def test_it_depends_on_its_weights(make_bench: Callable[..., Any], tiny_model_folder: Path) -> None:
    bench = make_bench()
    candidate = OtherModel(settings(tiny_model_folder))
    assert candidate.depends_on(bench) == bench.base.digest


def test_a_context_that_holds_no_question(
    make_bench: Callable[..., Any], tiny_model_folder: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    shutil.copytree(tiny_model_folder, small)
    config = json.loads((small / "config.json").read_text(encoding="utf-8"))
    (small / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 16}), encoding="utf-8")
    with pytest.raises(CandidateUnfit, match="has a context of 16 tokens"):
        OtherModel(settings(small)).measure(make_bench())
