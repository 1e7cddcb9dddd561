"""The catalogue: every line leads to a plug-in whose settings carry its name."""

from __future__ import annotations

import pytest

from burnish.catalogue import CATALOGUE, Family, PluginSettingsError, build, look_up, settings_of

_FUNCTION = {"kind": "function", "function": "mine:reward"}
NEEDED: dict[tuple[Family, str], dict[str, object]] = {
    ("method", "grpo"): {"rewards": _FUNCTION},
    ("method", "rloo"): {"rewards": _FUNCTION},
    ("method", "ppo"): {"rewards": _FUNCTION},
    ("reward", "function"): _FUNCTION,
    ("reward", "reward_model"): {"path": "runs/reward"},
    ("repair", "project"): {"unaligned": "a-model"},
    ("candidate", "retrieval"): {"documents": "documents"},
    ("candidate", "model"): {"model": "a-model"},
    ("detector", "unrelated_replies"): {"model": "a-model"},
}
"""What has no default."""


@pytest.mark.parametrize(("family", "name"), [(f, n) for f, names in CATALOGUE.items() for n in names])
def test_every_line_builds_a_plugin_from_its_default_settings(family: Family, name: str) -> None:
    settings = settings_of(family, {"kind": name, **NEEDED.get((family, name), {})})
    assert settings.kind == name
    if family != "tracker":  # a tracker's library is optional
        assert isinstance(build(family, settings), look_up(family, name))


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'lora'"):
        settings_of("adapter", "lroa")


@pytest.mark.parametrize("raw", [3, None, {"kind": 4}, ["lora"]])
def test_what_is_neither_name_nor_mapping_is_refused(raw: object) -> None:
    with pytest.raises(ValueError, match="expected a name or a mapping"):
        settings_of("adapter", raw)


def test_a_mapping_without_a_kind_means_the_family_s_default_where_there_is_one() -> None:
    settings = settings_of("adapter", {"rank": 4})
    assert (settings.kind, settings.model_dump()["rank"]) == ("lora", 4)
    with pytest.raises(ValueError, match="expected a name or a mapping"):
        settings_of("metric", {"ignore_case": True})


def test_a_wrong_key_carries_the_settings_that_were_meant() -> None:
    with pytest.raises(PluginSettingsError) as caught:
        settings_of("adapter", {"kind": "lora", "rnak": 3})
    assert "rank" in caught.value.model.model_fields
