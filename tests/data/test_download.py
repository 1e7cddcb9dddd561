"""Files at an address: fetched once, checked, and never half there."""

from __future__ import annotations

import hashlib
import io
import urllib.request
from pathlib import Path

import pytest

from burnish.data.download import fetched
from burnish.data.read import open_rows
from burnish.data.settings import SourceSettings
from burnish.errors import DataError

URL = "https://example.org/owner/abc/prompts.csv"
CONTENT = b"prompt,label\nWhy?,safe\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were asked for; every one serves `CONTENT`."""
    asked: list[str] = []

    def answer(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        return io.BytesIO(CONTENT)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    return asked


def test_it_is_fetched_once_and_read_like_any_file(
    served: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = SourceSettings(path=URL, sha256=DIGEST)
    for _ in range(2):
        opened = open_rows(source, Path())
        assert [row for _, row in opened.rows] == [{"prompt": "Why?", "label": "safe"}]
        assert opened.digest() == DIGEST
    assert served == [URL]


def test_another_file_than_the_pinned_one_is_thrown_away(served: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="thrown away"):
        fetched(URL, "0" * 64, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert fetched(URL, DIGEST, tmp_path).read_bytes() == CONTENT
    fetched(URL, "", tmp_path).write_bytes(b"changed since")
    with pytest.raises(DataError, match="expected " + DIGEST[:12]):
        fetched(URL, DIGEST, tmp_path)
    assert len(served) == 2


def test_no_network_is_an_error_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(url: str, timeout: float) -> io.BytesIO:
        raise OSError("no route")

    monkeypatch.setattr(urllib.request, "urlopen", broken)
    with pytest.raises(DataError, match="no route") as error:
        fetched(URL, "", tmp_path)
    assert "name your copy" in error.value.hint
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_digest_is_only_for_an_address() -> None:
    with pytest.raises(ValueError, match="sha256 is for files at an https address"):
        SourceSettings(path="a.csv", sha256=DIGEST)
