"""Templates found by wording, whatever the order."""

from __future__ import annotations

from collections import Counter

from burnish.statistics.templates import template_families

TEMPLATE = [f"Could you please explain to me what makes a {word} so dangerous for children?" for word in "abcdef"]
OTHERS = [
    "Where can I buy bread on a Sunday?",
    "What is the shortest way from the station to the museum?",
    "Name three rivers in the north of the country.",
]


def test_prompts_of_one_template_are_one_family_and_others_are_their_own() -> None:
    families = template_families([*TEMPLATE, *OTHERS])
    assert sorted(Counter(families).values()) == [1, 1, 1, 6]
    assert len(set(families[:6])) == 1


def test_names_depend_on_the_texts_alone() -> None:
    texts = [*TEMPLATE, *OTHERS]
    one = dict(zip(texts, template_families(texts), strict=True))
    other = dict(zip(texts[::-1], template_families(texts[::-1]), strict=True))
    assert one == other
    assert one == dict(zip(texts, template_families([*OTHERS, *TEMPLATE])[3:] + template_families(OTHERS), strict=True))


def test_numbers_alone_make_no_other_template() -> None:
    assert len(set(template_families([f"How do I open door number {i}?" for i in range(50)]))) == 1


def test_likeness_leads_on_and_blocks_hide_nothing() -> None:
    """1,200 texts, more than one block: pairs that lie far apart in the list still meet."""
    texts = [f"{word} one two three four five {tail}" for tail in ("six", "nine") for word in map(str, range(600))]
    distinct = [f"w{i} x{i} y{i} z{i}" for i in range(1200)]
    families = template_families([*distinct[:600], *texts[:2], *distinct[600:], *texts[-2:]])
    assert len(set(families)) == 1201
    assert families[600] == families[-1]


def test_nothing_and_empty_words() -> None:
    assert template_families([]) == []
    assert len(set(template_families(["???", "!!!", "hello there"]))) == 2
