"""What every candidate is measured with: rows that are kept apart, one clock, and a cache that hides no cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from burnish.advise.bench import Bench
from burnish.data.store import read_records
from burnish.errors import EvaluationError

Make = Callable[..., Bench]


def test_rows_that_choose_rows_that_teach_and_rows_that_measure_are_apart(make_bench: Make) -> None:
    bench = make_bench()
    held = {row.question for row in bench.rows}
    development = {row.question for row in bench.development}
    pool = {row.question for row in bench.pool}
    assert (len(held), len(development), len(pool)) == (6, 6, 18)  # a quarter of the rows choose, at most
    assert not held & development
    assert not held & pool
    assert not development & pool
    learned = {record.digest for record in bench.trainable}
    assert learned == {row.digest for row in bench.pool}


def test_a_row_in_quarantine_is_nowhere(make_bench: Make) -> None:
    bench = make_bench()
    out = next(iter(read_records(bench.run.file(bench.dataset.train_path))))
    other = make_bench(quarantined=[str(out.source)], name="other")
    everywhere = {row.digest for row in (*other.development, *other.pool)} | {r.digest for r in other.trainable}
    assert out.digest not in everywhere
    assert len(other.trainable) + len(other.development) == 23


def test_rows_are_taken_in_an_order_of_their_own_so_that_a_share_holds_the_smaller_one(make_bench: Make) -> None:
    one, other = make_bench(), make_bench(name="other")
    assert [r.digest for r in one.trainable] == [r.digest for r in other.trainable]
    assert [str(r.source) for r in one.trainable] != sorted(str(r.source) for r in one.trainable)


def test_a_metric_that_reads_no_reply_is_refused(make_bench: Make) -> None:
    with pytest.raises(EvaluationError, match="perplexity is no share"):
        make_bench(recipe=["evaluate.task.metric=perplexity"])


def test_too_few_rows(make_bench: Make) -> None:
    bench = make_bench()
    sources = [str(record.source) for record in read_records(bench.run.file(bench.dataset.train_path))]
    with pytest.raises(EvaluationError, match="3 rows have a prompt and a reply"):
        make_bench(quarantined=sources[3:], name="other")


def test_held_out_answers_are_asked_once_and_timed_alone(make_bench: Make, scripted: Callable[..., Any]) -> None:
    bench = make_bench()
    speaker = scripted(bench, lambda text: " Land 4 ")
    found = bench.ask("x", speaker, lambda row: row.prompt)
    assert [answer.text for answer in found.answers if answer] == ["Land 4"] * 6
    assert found.seconds > 0
    assert found.timed == 1
    assert len(speaker.asked) == 6 + 2  # one to warm up, one that is timed
    assert bench.scores(found.answers) == [float(row.reference == "Land 4") for row in bench.rows]
    bench.ask("x", speaker, lambda row: row.prompt)
    assert len(speaker.asked) == 8 + 2  # the answers lie in the cache, the clock needs asking


def test_a_rehearsal_is_never_answered_by_the_cache(make_bench: Make, scripted: Callable[..., Any]) -> None:
    bench = make_bench()
    right = {row.question: row.reference for row in bench.development}
    speaker = scripted(bench, lambda text: next(r for q, r in right.items() if q in text))
    assert bench.rehearse("x", lambda row: row.prompt) == 1.0
    assert bench.rehearse("x", lambda row: row.prompt) == 1.0
    assert len(speaker.asked) == 2 * len(bench.development)


def test_a_rehearsal_in_which_nothing_can_be_scored(make_bench: Make, scripted: Callable[..., Any]) -> None:
    bench = make_bench()
    scripted(bench, lambda text: "x")
    object.__setattr__(bench.task, "metric", _Silent())
    assert bench.rehearse("x", lambda row: row.prompt) == -math.inf


def test_an_answer_that_could_not_be_had_has_no_score(make_bench: Make) -> None:
    bench = make_bench()
    assert bench.scores([None] * 6) == [None] * 6


class _Silent:
    def score(self, reply: str, reference: str) -> float | None:
        return None
