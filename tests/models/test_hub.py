from __future__ import annotations

import logging
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants, errors

from burnish.errors import ModelError
from burnish.models import hub
from burnish.models.settings import ModelSettings

SETTINGS = ModelSettings(name="owner/model", revision="v1")


class Session:
    """A Hub client whose `head` does what a test wants."""

    def __init__(self, answer: Any) -> None:
        self.head = lambda *_, **__: answer()


def answer_with(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: Session(answer))


def fail(error: Exception) -> Any:
    def call(*_: object, **__: object) -> Any:
        raise error

    return call


def test_the_hub_is_reachable_when_it_answers_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, lambda: "503")
    assert hub.reachable()
    answer_with(monkeypatch, fail(OSError("no route")))
    assert not hub.reachable()
    answer_with(monkeypatch, lambda: "200")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert not hub.reachable()


def test_a_hub_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    answer_with(monkeypatch, let_go.wait)
    started = time.monotonic()
    assert not hub.reachable(timeout_seconds=0.05)
    assert time.monotonic() - started < 5
    assert hub.PROBE_SECONDS < 10
    let_go.set()


def test_only_safe_files_are_fetched_unless_the_recipe_allows_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[dict[str, Any]] = []

    def snapshot(name: str, **options: Any) -> str:
        asked.append({"name": name} | options)
        return str(tmp_path)

    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert hub.download(SETTINGS) == tmp_path
    hub.download(SETTINGS.model_copy(update={"allow_pickle": True, "trust_remote_code": True}))
    assert (asked[0]["name"], asked[0]["revision"], asked[0]["local_files_only"]) == ("owner/model", "v1", False)
    assert not {"*.bin", "*.pt", "*.py", "*"} & set(asked[0]["allow_patterns"])
    assert {"*.bin", "*.py"} <= set(asked[1]["allow_patterns"])
    monkeypatch.setattr(hub, "reachable", lambda: False)
    hub.download(SETTINGS)
    assert asked[2]["local_files_only"]


def hub_error(kind: type[errors.HfHubHTTPError]) -> errors.HfHubHTTPError:
    error = kind.__new__(kind)
    Exception.__init__(error, "from the Hub")
    return error


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (errors.LocalEntryNotFoundError("x"), "can't be reached", "smollm2-135m-instruct"),
        (hub_error(errors.GatedRepoError), "on request", "hf auth login"),
        (hub_error(errors.RepositoryNotFoundError), "no such model", "spelling"),
        (hub_error(errors.RevisionNotFoundError), "no such revision", "model.revision"),
        (OSError("disk full"), "disk full", "again"),
    ],
)
def test_each_failure_says_what_to_do(
    error: Exception, message: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail(error))
    with pytest.raises(ModelError, match=message) as caught:
        hub.download(SETTINGS)
    assert hint in caught.value.hint
    assert "owner/model" in caught.value.message


@pytest.mark.parametrize("name", ["../x", "a/b/c", "/abs", "a b", "owner/..", "-x", "a\\b", ""])
def test_what_isnt_a_hub_id(name: str) -> None:
    assert not hub.is_hub_id(name)
    assert hub.is_hub_id("HuggingFaceTB/SmolLM2-135M-Instruct")


def test_quiet_silences_and_puts_everything_back(caplog: pytest.LogCaptureFixture) -> None:
    from transformers.utils import logging as transformers_logging

    before = (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled())
    with hub.quiet():
        assert not transformers_logging.is_progress_bar_enabled()
        assert logging.getLogger("transformers").level == logging.ERROR
        warnings.warn("later", FutureWarning, stacklevel=1)
    assert (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()) == before
    with pytest.warns(FutureWarning):
        warnings.warn("later", FutureWarning, stacklevel=1)
