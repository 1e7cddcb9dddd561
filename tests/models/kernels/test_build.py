"""Kernels are compiled once, and done without where they can't be."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from burnish.models.kernels import build


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(build, "say", said.append)
    monkeypatch.setattr(build, "cache_folder", lambda: tmp_path / "models")
    return said


def test_no_compiler(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert build.kernels.__wrapped__() is None
    assert "no C compiler" in told[0]


def test_a_compiler_that_refuses(told: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(command: list[str], **_: Any) -> Any:
        if "--version" in command:
            return subprocess.CompletedProcess(command, 0, b"1.0", b"")
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/false")
    monkeypatch.setattr(subprocess, "run", refuse)
    assert build.kernels.__wrapped__() is None
    assert "can't be used" in told[0]
    assert not list((tmp_path / "kernels").iterdir())


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_compiled_once(told: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert build.kernels.__wrapped__() is not None
    (made,) = (tmp_path / "kernels").iterdir()
    before = made.stat().st_mtime_ns
    assert build.kernels.__wrapped__() is not None
    assert [path.stat().st_mtime_ns for path in (tmp_path / "kernels").iterdir()] == [before]
    assert not told
