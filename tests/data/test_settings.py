"""What a recipe may say about its data."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from burnish.data.settings import DataSettings, SourceSettings


def test_one_path_a_list_and_mappings_all_become_sources() -> None:
    one = SourceSettings(path="a.jsonl")
    two = SourceSettings(path="b.csv", rows=5)
    assert DataSettings.model_validate({"train": "a.jsonl"}).train == (one,)
    assert DataSettings.model_validate({"train": {"path": "a.jsonl"}}).train == (one,)
    assert DataSettings.model_validate({"train": ["a.jsonl", {"path": "b.csv", "rows": 5}]}).train == (one, two)


def test_settings_survive_being_written_and_read() -> None:
    settings = DataSettings.model_validate(
        {"train": [{"path": "a.csv", "columns": {"prompt": "q"}}], "heldout": "b.csv"}
    )
    assert DataSettings.model_validate(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"train": []}, "at least 1"),
        ({"train": "a", "heldout_fraction": 1.0}, "less than 1"),
        ({"train": {"path": "a", "rows": 0}}, "greater than or equal to 1"),
        ({"train": {"path": "a", "split": "test"}}, "is for Hub sets"),
        ({"train": {"path": "hf:a/b/c"}}, "expected hf:owner/name"),
        ({"train": {"path": "a", "instruction": "Classify:"}}, "no {field} in it"),
        ({"train": {"path": "a", "columns": {"question": "q"}}}, "columns.question"),
        ({"train": {"path": "a", "row": 1}}, "Extra inputs"),
    ],
)
def test_faults_are_told(raw: object, message: str) -> None:
    with pytest.raises(ValidationError) as error:
        DataSettings.model_validate(raw)
    assert message in str(error.value)


def test_neither_settings_nor_the_stage_load_torch() -> None:
    code = "import sys, burnish.data.settings, burnish.data.stage; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
