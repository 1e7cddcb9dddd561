"""The plain prompt, and another system prompt in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from burnish.advise.candidates.prompt import Prompted, PromptSettings


def test_the_rows_own_prompt(make_bench: Callable[..., Any], scripted: Callable[..., Any]) -> None:
    bench = make_bench()
    speaker = scripted(bench, lambda text: "Land 4")
    (found,) = Prompted(PromptSettings()).measure(bench)
    assert (found.name, found.side, found.one_off_seconds) == ("prompt", "prompting", 0.0)
    assert all("Name the land." in text for text in speaker.asked)
    assert found.seconds is not None


def test_another_system_prompt(make_bench: Callable[..., Any], scripted: Callable[..., Any]) -> None:
    bench = make_bench()
    speaker = scripted(bench, lambda text: "Land 4")
    (found,) = Prompted(PromptSettings(name="terse", system="Only the land.")).measure(bench)
    assert found.name == "terse"
    assert all("Only the land." in text and "Name the land." not in text for text in speaker.asked)
