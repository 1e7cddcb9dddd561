"""Placeholder dialogues: turns alternate, hold nothing, and the prompt comes last."""

from __future__ import annotations

from burnish.evaluate.attacks.many_shot import ManyShot, ManyShotSettings
from burnish.records import Message


def test_so_many_placeholder_turns_come_before_the_prompt() -> None:
    attack = ManyShot(ManyShotSettings(shots=(2, 16)))
    assert attack.names == ("many_shot-2", "many_shot-16")
    turns = attack.ask("many_shot-2", "How?").turns
    assert [turn.role for turn in turns] == ["user", "assistant", "user", "assistant", "user"]
    assert all("[omitted]" in turn.content for turn in turns[:-1])
    assert turns[-1] == Message("user", "How?")
    assert len(attack.ask("many_shot-16", "How?").turns) == 33
