"""JSON field accuracy."""

from __future__ import annotations

import pytest

from burnish.evaluate.metrics.json_fields import JsonFields, JsonFieldsSettings

WANTED = '{"queue": "W3", "urgency": 2, "tags": ["a", "b"]}'


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ('{"urgency": 2.0, "queue": "W3", "tags": ["a", "b"]}', 1.0),
        ('```json\n{"queue": "W3", "urgency": 2, "tags": ["a", "b"]}\n```', 1.0),
        ('{"queue": "W1", "urgency": 2, "tags": ["a", "b"]}', 0.75),
        ('{"queue": "W3"}', 0.25),
        ('{"queue": "W3", "urgency": 2, "tags": ["a", "b"], "x": 1, "y": 1, "z": 1, "u": 1}', 0.5),
        ('{"queue": "W3", "urgency": true, "tags": ["b", "a"]}', 0.25),
        ('{"queue": "W3", "urgency": 2', 0.0),
        ("W3", 0.0),
        ("", 0.0),
        ("[" * 100_000, 0.0),
    ],
)
def test_score(reply: str, score: float) -> None:
    assert JsonFields(JsonFieldsSettings()).score(reply, WANTED) == score


def test_true_is_not_one() -> None:
    metric = JsonFields(JsonFieldsSettings())
    assert metric.score('{"a": 1}', '{"a": true}') == 0.0
    assert metric.score('{"a": null}', '{"a": null}') == 1.0


def test_a_reference_that_is_not_json_cannot_be_scored() -> None:
    assert JsonFields(JsonFieldsSettings()).score("{}", "no JSON") is None
