from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from burnish.models.settings import ModelSettings


def test_a_name_alone_is_enough() -> None:
    assert ModelSettings.model_validate("owner/model") == ModelSettings(name="owner/model")


@pytest.mark.parametrize("key", ["allow_pickle", "trust_remote_code"])
@pytest.mark.parametrize("value", ["true", "yes", 1])
def test_only_a_literal_true_lets_a_model_run_code(key: str, value: object) -> None:
    assert getattr(ModelSettings.model_validate({key: True}), key) is True
    assert getattr(ModelSettings(), key) is False
    with pytest.raises(ValidationError, match=key):
        ModelSettings.model_validate({key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("device", "gpu"),
        ("device", "auto:1"),
        ("dtype", "int8"),
        ("revision", "../x"),
        ("revision", "-x"),
        ("name", ""),
        ("name", "a\x1b[2Jb"),
        ("nmae", "x"),
    ],
)
def test_nonsense_is_refused(key: str, value: str) -> None:
    with pytest.raises(ValidationError, match=key):
        ModelSettings.model_validate({key: value})


def test_settings_load_no_torch() -> None:
    code = "import sys, burnish.models.settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
