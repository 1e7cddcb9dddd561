"""The statement: one text for each content, read strictly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from burnish.artefacts import ModelIdentity
from burnish.errors import ReleaseError
from burnish.statement import STATEMENT, Predicate, Statement, is_release, read_statement, subjects


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder with a statement in it."""
    predicate = Predicate(
        burnish_version="0", form="adapter", signing="none", base=ModelIdentity(name="m", path="", digest="0"),
        tuned="t", weights={}, data=None, recipe="r", settings="s", suites=(), judge="j", judge_digest="d",
        calibration=None, verdicts="v", verdict="PASS", decision="d", attempt=1, waiver=None, flops=None,
    )  # fmt: skip
    (tmp_path / STATEMENT).write_text(Statement(subject=subjects({"a": "0" * 64}), predicate=predicate).to_text())
    return tmp_path


def test_it_is_an_in_toto_statement(written: Path) -> None:
    value = json.loads((written / STATEMENT).read_text())
    assert value["_type"] == "https://in-toto.io/Statement/v1"
    assert value["predicateType"] == "urn:burnish:release:v1"
    assert value["subject"] == [{"name": "a", "digest": {"sha256": "0" * 64}}]
    assert read_statement(written).files == {"a": "0" * 64}
    assert is_release(written)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text + " ", "its text isn't the one"),
        (lambda text: text.replace('"attempt": 1', '"attempt": 1, "attempt": 2'), "'attempt' stands twice"),
        (lambda text: text.replace('"flops": null', '"flops": NaN'), "NaN isn't a number"),
        (lambda text: text.replace('"flops": null', '"flops": 1e999'), "too large"),
        (lambda text: text.replace('"tuned"', '"tunde"'), "can't be read"),
        (lambda text: text.replace("0" * 64, "0" * 63), "can't be read"),
        (lambda text: "[" * 100_000, "can't be read"),
        (lambda text: "", "can't be read"),
    ],
)
def test_other_texts_are_refused(written: Path, change: Any, said: str) -> None:
    path = written / STATEMENT
    path.write_text(change(path.read_text()))
    with pytest.raises(ReleaseError, match=said):
        read_statement(written)


def test_a_file_listed_twice_is_refused(written: Path) -> None:
    statement = read_statement(written)
    (written / STATEMENT).write_text(statement.model_copy(update={"subject": 2 * statement.subject}).to_text())
    with pytest.raises(ReleaseError, match="listed twice"):
        read_statement(written)


def test_a_link_and_nothing_at_all_are_refused(written: Path, tmp_path: Path) -> None:
    (written / STATEMENT).rename(written / "elsewhere")
    with pytest.raises(ReleaseError, match="isn't a release"):
        read_statement(written)
    (written / STATEMENT).symlink_to(written / "elsewhere")
    with pytest.raises(ReleaseError, match="is a link"):
        read_statement(written)
