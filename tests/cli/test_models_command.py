from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from burnish.cli.models_command import app
from burnish.errors import ModelError
from burnish.models import builtin

NAME = "smollm2-135m-instruct"


def test_the_list_says_what_there_is_and_what_is_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    out = CliRunner().invoke(app, ["list"]).stdout
    assert NAME in out
    assert "134,515,008" in out
    assert "not yet" in out
    folder = tmp_path / "burnish" / "models" / NAME
    folder.mkdir(parents=True)
    (folder / "source.json").write_text('{"route": "package"}')
    assert f"{folder} (from the package)" in CliRunner().invoke(app, ["list"]).stdout


def test_pull_prints_the_folder_and_passes_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[str, bool]] = []

    def fetch(name: str, *, again: bool) -> Path:
        asked.append((name, again))
        return tmp_path

    monkeypatch.setattr(builtin, "pull", fetch)
    assert CliRunner().invoke(app, ["pull", NAME]).stdout == f"{tmp_path}\n"
    CliRunner().invoke(app, ["pull", NAME, "--again"])
    assert asked == [(NAME, False), (NAME, True)]


def test_pulling_an_unknown_model_names_the_known() -> None:
    result = CliRunner().invoke(app, ["pull", "nope"])
    assert isinstance(result.exception, ModelError)
    assert NAME in result.exception.message


def test_the_command_line_loads_no_torch() -> None:
    code = "import sys, burnish.cli.models_command, burnish.cli.chat; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
