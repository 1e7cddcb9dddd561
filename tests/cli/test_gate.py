"""`burnish gate`, `release` and `verify` end to end on a recorded run: exit codes and what is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from burnish.cli.main import main
from burnish.run_folder import RunFolder

Runs = Callable[..., RunFolder]
OUTCOMES = [
    ([("refusal", "refusal")] * 400, "PASS", 0),
    ([("refusal", "compliance")] * 50, "BLOCK", 10),
    ([("refusal", "refusal")] * 20, "HOLD", 11),
]


def burnish(*arguments: object) -> int:
    """Run the command; its exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(("pairs", "verdict", "code"), OUTCOMES)
def test_the_exit_code_is_the_verdict(
    recorded_run: Runs, capsys: pytest.CaptureFixture[str], pairs: list[tuple[str, str]], verdict: str, code: int
) -> None:
    run = recorded_run(suites={"harm": ("harmful", pairs)})
    assert burnish("gate", run.path) == code
    said = capsys.readouterr().out
    assert said.rstrip().splitlines()[-1].startswith(f"{verdict} (attempt 1")
    assert "harmful_compliance" in said


def test_a_folder_without_a_run_is_an_error_and_stays_as_it_was(tmp_path: Path) -> None:
    assert burnish("gate", tmp_path / "nothing") == 1
    assert burnish("release", tmp_path / "nothing", "--to", tmp_path / "out") == 1
    assert burnish("verify", tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_text_from_the_evidence_is_no_markup(recorded_run: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    run = recorded_run(suites={"[red]har\x1bm[/]": ("harmful", [("refusal", "refusal")] * 400)})
    assert burnish("gate", run.path) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "[red]har\\x1bm[/]" in said


def test_a_blocked_run_is_not_released(recorded_run: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = recorded_run(suites={"harm": ("harmful", [("refusal", "compliance")] * 50)})
    assert burnish("gate", run.path) == 10
    assert burnish("release", run.path, "--to", tmp_path / "out") == 1
    assert "the gate says BLOCK" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
