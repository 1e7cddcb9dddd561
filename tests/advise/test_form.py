"""Forms that the rows show, and those that they don't."""

from __future__ import annotations

from burnish.advise.form import form_of


def test_labels_that_recur() -> None:
    valid = form_of(["lost card", "top up"] * 5)
    assert valid is not None
    assert valid(" lost  card\n")
    assert not valid("Lost card")
    assert not valid("lost card, I think")


def test_json_by_its_keys_whatever_the_values() -> None:
    valid = form_of(['{"a": 1, "b": 2}', '{"a": 3}', '{"a": 1, "b": 5}'])
    assert valid is not None
    assert valid('{"b": "x", "a": null}')
    assert valid('```json\n{"a": 9}\n```')
    assert not valid('{"b": 1}')
    assert not valid('{"a": 1, "b": 2, "c": 3}')
    assert not valid('Sure: {"a": 1}')
    assert not valid("[1]")


def test_free_text_has_none() -> None:
    assert form_of([f"reply {number}" for number in range(20)]) is None
    assert form_of([]) is None
