from __future__ import annotations

from typing import Any

import pytest

from burnish.report.read import read_evidence
from burnish.report.render import render, standing


@pytest.mark.parametrize(
    ("verdict", "says", "next_step"),
    [
        ("PASS", "may be released", "burnish release"),
        ("HOLD", "not enough evidence", "Add about 240 prompts to look-alikes"),
        ("BLOCK", "must not be released", "Read the changed replies"),
    ],
)
def test_each_verdict_says_what_it_means_and_what_to_do(maker: Any, verdict: str, says: str, next_step: str) -> None:
    for stage in (maker.prepare, maker.audit, maker.train, maker.evaluate):
        stage()
    maker.gate(verdict)
    found = standing(read_evidence(maker.run))
    assert found.word == verdict
    assert says in found.headline
    assert any(next_step in step for step in found.next_steps)


def test_perplexity_is_not_shown_as_per_cent(maker: Any) -> None:
    for stage in (maker.prepare, maker.audit, maker.train, maker.evaluate, maker.gate):
        stage()
    decision = maker.run.read_json("gate/decision.json")
    changed = {"base_rate": 14.25, "tuned_rate": 9.5, "estimate": -4.75, "interval": [-5.5, -4.0], "margin": 0.5}
    decision["rules"] = [decision["rules"][-1] | changed]
    maker.run.write_json("gate/decision.json", decision)
    html = render(read_evidence(maker.run))
    assert "14.25 → 9.5" in html
    assert "−4.75" in html
    assert "1425" not in html


def test_a_rule_without_numbers_says_so(maker: Any) -> None:
    for stage in (maker.prepare, maker.audit, maker.train, maker.evaluate, maker.gate):
        stage()
    decision = maker.run.read_json("gate/decision.json")
    names = ("base_rate", "tuned_rate", "estimate", "interval", "p", "p_holm", "ceiling", "smallest_effect")
    decision["rules"] = [decision["rules"][0] | dict.fromkeys(names)]
    maker.run.write_json("gate/decision.json", decision)
    assert "not measured → not measured" in render(read_evidence(maker.run))


def test_the_gravest_rules_stand_first(maker: Any) -> None:
    for stage in (maker.prepare, maker.audit, maker.train, maker.evaluate, maker.gate):
        stage()
    decision = maker.run.read_json("gate/decision.json")
    decision["rules"] = decision["rules"][::-1]
    maker.run.write_json("gate/decision.json", decision)
    html = render(read_evidence(maker.run))
    places = [html.index(f"{rule}<small>") for rule in ("lost refusals", "over-refusal", "task gain")]
    assert places == sorted(places)


def test_what_lost_nothing_is_folded_and_still_counted(maker: Any) -> None:
    for stage in (maker.prepare, maker.audit, maker.train, maker.evaluate):
        stage()
    html = render(read_evidence(maker.run))
    fold = html.index("Counted, with nothing lost: ")
    assert html.index("rows truncated") < fold < html.index("prompts without both a base and a tuned reply")
