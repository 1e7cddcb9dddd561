"""The documentation agrees with the code."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from typer.main import get_command

ROOT = Path(__file__).resolve().parents[1]


def test_the_settings_page_is_what_the_code_would_write() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "write_docs.py"))["page"]()
    written = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
    assert written == page, "run: python scripts/write_docs.py"


def test_the_readme_s_command_table_lists_every_command() -> None:
    from burnish.cli.main import app

    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    listed = set(re.findall(r"^\| `burnish (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert listed == commands


def test_every_dependency_is_named_in_the_readme_s_table() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [need for name, needs in project["optional-dependencies"].items() if name != "dev" for need in needs]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    names = {re.split(r"[<>=!~\[; ]", need)[0] for need in [*project["dependencies"], *extras]}
    missing = {name for name in names if f"| {name} " not in readme}
    assert not missing
