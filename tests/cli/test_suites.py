"""`burnish suites` names every known suite with its terms."""

from __future__ import annotations

import pytest

from burnish.cli.main import main
from burnish.evaluate.known_suites import known_suites


def test_every_suite_is_listed_and_gated_ones_say_how(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        main(["suites"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in known_suites())
    assert shown.count("accept the terms") == 2
