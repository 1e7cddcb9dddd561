"""The plain way: the prompt and nothing else."""

from __future__ import annotations

from burnish.evaluate.attacks.plain import Plain, PlainSettings
from burnish.records import Message


def test_the_prompt_stands_alone() -> None:
    attack = Plain(PlainSettings())
    assert attack.names == ("",)
    question = attack.ask("", "What is {prompt}?")
    assert (question.turns, question.opening_tokens) == ((Message("user", "What is {prompt}?"),), 0)
