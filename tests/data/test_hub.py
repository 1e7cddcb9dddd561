"""Hub sets are streamed at a pinned commit, and errors of any kind come out as one that says what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import huggingface_hub
import pytest

from burnish.data.read import open_rows
from burnish.data.settings import SourceSettings
from burnish.errors import DataError


def install(monkeypatch: pytest.MonkeyPatch, load: object) -> None:
    module = ModuleType("datasets")
    module.load_dataset = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    info = lambda self, name, revision, timeout: SimpleNamespace(sha="c0ffee")  # noqa: E731
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", info)


def test_rows_come_from_the_commit_that_the_revision_means(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def load(name: str, config: str | None, **options: object) -> list[dict[str, str]]:
        calls.append((name, config, options))
        return [{"text": "a"}, {"text": "b"}]

    install(monkeypatch, load)
    opened = open_rows(SourceSettings(path="hf:owner/name", config="en", split="test", revision="main"), Path())
    assert [(str(source), row) for source, row in opened.rows] == [
        ("hf:owner/name:1", {"text": "a"}),
        ("hf:owner/name:2", {"text": "b"}),
    ]
    assert calls == [("owner/name", "en", {"split": "test", "revision": "c0ffee", "streaming": True})]
    assert "c0ffee" in opened.notes[0]


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="isn't installed") as error:
        open_rows(SourceSettings(path="hf:owner/name"), Path())
    assert "burnish[hub]" in error.value.hint


def test_a_set_that_cannot_be_reached_or_breaks_off_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> object:
        raise ConnectionError("no route")

    install(monkeypatch, unreachable)
    with pytest.raises(DataError, match="no route"):
        open_rows(SourceSettings(path="hf:owner/name"), Path())

    def breaking(*_: object, **__: object) -> Iterator[dict[str, str]]:
        yield {"text": "a"}
        raise ConnectionError("reset")

    install(monkeypatch, breaking)
    with pytest.raises(DataError, match="reset"):
        list(open_rows(SourceSettings(path="hf:owner/name"), Path()).rows)
