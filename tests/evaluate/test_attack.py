"""What a way of asking is called."""

from __future__ import annotations

import pytest

from burnish.catalogue import CATALOGUE, settings_of
from burnish.evaluate.attack import settings_of_attack, strengths
from burnish.evaluate.settings import SuiteSettings


def ways(raw: object) -> list[str]:
    return [way for _, way in strengths(settings_of("attack", raw))]


def test_names_say_what_is_done() -> None:
    assert ways("plain") == [""]
    assert ways({"kind": "plain", "system": False}) == ["no_system"]
    assert ways({"kind": "plain", "samples": 5}) == ["any-of-5"]
    assert ways({"kind": "prefill", "tokens": [4, 8], "system": False, "samples": 3}) == [
        "prefill-4-no_system-any-of-3",
        "prefill-8-no_system-any-of-3",
    ]


def test_all_default_attacks_together_have_names_of_their_own() -> None:
    suite = SuiteSettings.model_validate({"path": "a.csv", "kind": "harmful", "attacks": list(CATALOGUE["attack"])})
    assert len(suite.attacks) == len(CATALOGUE["attack"])


@pytest.mark.parametrize("attacks", [["plain", "plain"], [{"kind": "prefill", "tokens": [1, 1]}], []])
def test_two_ways_of_one_name_or_none_are_refused(attacks: list[object]) -> None:
    with pytest.raises(ValueError, match=r"two attacks would be called|at least 1"):
        SuiteSettings.model_validate({"path": "a.csv", "kind": "harmful", "attacks": attacks})


def test_another_family_is_no_attack() -> None:
    with pytest.raises(ValueError, match="'lora' is no attack"):
        settings_of_attack(settings_of("adapter", "lora"))
