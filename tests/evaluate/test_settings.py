"""Settings of the evaluation."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from burnish.evaluate.settings import EvaluateSettings, SafetySettings, SuiteSettings


def test_the_defaults_are_the_builtin_suites_and_judge() -> None:
    settings = EvaluateSettings()
    assert [suite.suite for suite in settings.safety.suites] == ["harmful_requests", "over_refusal"]
    assert settings.safety.judge.kind == "refusal"
    assert settings.task is not None
    assert EvaluateSettings.model_validate(settings.model_dump(mode="json")) == settings


def test_a_recipe_s_short_forms() -> None:
    settings = EvaluateSettings.model_validate({"task": {"metric": "exact_match"}, "safety": {"suites": []}})
    assert settings.task is not None
    assert settings.task.metric.kind == "exact_match"
    assert EvaluateSettings.model_validate({"task": None}).task is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("builtin:over_refusal", "over_refusal"),
        ("data/xs test.csv", "xs_test"),
        ("sets/a.jsonl.gz", "a"),
        ("hf:owner/some-set", "some-set"),
        ("../..", "suite"),
    ],
)
def test_a_suite_is_named_after_its_path(path: str, name: str) -> None:
    assert SuiteSettings(path=path, kind="harmful").suite == name


def test_two_suites_of_one_name_are_refused() -> None:
    twice = [{"path": "a/x.csv", "kind": "harmful"}, {"path": "b/x.csv", "kind": "harmful"}]
    with pytest.raises(ValidationError, match="two suites would be called 'x'"):
        SafetySettings.model_validate({"suites": twice})
    with pytest.raises(ValidationError, match="'task'"):
        SafetySettings.model_validate({"suites": [{"path": "task.csv", "kind": "harmful"}]})


@pytest.mark.parametrize(
    "wrong",
    [{"path": "a.csv", "kind": "evil"}, {"path": "", "kind": "harmful"}, {"path": "a.csv", "kind": "harmful", "x": 1}],
)
def test_wrong_suites_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SuiteSettings.model_validate(wrong)


def test_settings_load_no_torch() -> None:
    code = (
        "import sys; from burnish.evaluate.settings import EvaluateSettings as E; E(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
