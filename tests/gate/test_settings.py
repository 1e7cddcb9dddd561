"""The gate's demands: their digest."""

from __future__ import annotations

from burnish.gate.settings import BesideSettings, GateSettings


class Later(GateSettings):
    """What a later version may demand besides."""

    another_margin: float = 0.5


def test_a_setting_that_a_later_version_adds_makes_no_other_demand() -> None:
    assert Later().digest == GateSettings().digest
    assert Later(alpha=0.04).digest == GateSettings(alpha=0.04).digest
    assert Later(another_margin=0.4).digest != Later().digest


def test_every_other_demand_has_another_digest() -> None:
    demands = [
        GateSettings(),
        GateSettings(alpha=0.04),
        GateSettings(block_alpha=0.04),
        GateSettings(over_refusal_ceiling=0.1),
        GateSettings(teacher=BesideSettings(over_refusal_margin=0.2)),
        GateSettings(sibling=BesideSettings(over_refusal_margin=0.2)),
    ]
    assert len({demand.digest for demand in demands}) == len(demands)


def test_what_is_said_is_the_same_demand_as_what_is_the_default() -> None:
    assert GateSettings(alpha=0.05, teacher=BesideSettings()).digest == GateSettings().digest
