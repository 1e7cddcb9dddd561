"""The task: the same rows and metric for every arm, prompts that fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from burnish.artefacts import Dataset
from burnish.errors import EvaluationError
from burnish.evaluate.asking import Asker
from burnish.evaluate.reply_cache import ReplyCache
from burnish.evaluate.settings import TaskSettings
from burnish.evaluate.task import prepare_task, score_arm
from burnish.models.chat_template import Encoder
from burnish.run_folder import RunFolder

Prepared = tuple[RunFolder, Dataset]


@pytest.fixture
def encoder(tiny_model_folder: Path) -> Encoder:
    return Encoder(AutoTokenizer.from_pretrained(tiny_model_folder), 1024)


def settings(**changes: Any) -> TaskSettings:
    return TaskSettings.model_validate({"metric": "exact_match", **changes})


def test_every_arm_has_the_same_rows(prepared: Prepared, encoder: Encoder, speaker: Any, tmp_path: Path) -> None:
    run, dataset = prepared
    task = prepare_task(settings(rows=10), dataset, run, encoder, 1024, seed=1)
    assert len(task.rows) == len(task.plain) == len(task.few_shot) == 10
    assert len(task.examples) == 4
    text = encoder.tokenizer.decode(task.few_shot[0])
    assert text.count("<|im_start|>assistant") == 5
    assert text.endswith(encoder.tokenizer.decode(task.plain[0]))
    right = dict(zip(task.plain, (row.reference for row in task.rows), strict=True))
    model = speaker("m", lambda tokens: f" {right.get(tokens, 'wrong')} \n")
    with ReplyCache(tmp_path / "cache") as cache:
        asker = Asker(cache, "float32")
        plain = score_arm(task, "base", model, asker, encoder)
        shown = score_arm(task, "few_shot", model, asker, encoder)
    assert plain.scores == (1.0,) * 10
    assert shown.scores == (0.0,) * 10
    assert len(plain.replies) == len(shown.replies) == 10


def test_the_choice_of_rows_never_moves(prepared: Prepared, encoder: Encoder) -> None:
    run, dataset = prepared
    few = prepare_task(settings(rows=3), dataset, run, encoder, 1024, seed=1)
    more = prepare_task(settings(rows=6), dataset, run, encoder, 1024, seed=1)
    assert more.rows[:3] == few.rows
    assert few.digest != more.digest


def test_auto_leaves_room_for_the_longest_reference(prepared: Prepared, encoder: Encoder) -> None:
    run, dataset = prepared
    auto = prepare_task(settings(), dataset, run, encoder, 1024, seed=1)
    longest = max(len(encoder.tokenizer(row.reference)["input_ids"]) for row in auto.rows)
    assert auto.max_new_tokens > longest
    assert prepare_task(settings(max_new_tokens=3), dataset, run, encoder, 1024, seed=1).max_new_tokens == 3


def test_examples_are_dropped_until_every_prompt_fits(prepared: Prepared, encoder: Encoder) -> None:
    run, dataset = prepared
    roomy = prepare_task(settings(max_new_tokens=4), dataset, run, encoder, 1024, seed=1)
    context = max(map(len, roomy.few_shot)) + 3
    tight = prepare_task(settings(max_new_tokens=4), dataset, run, encoder, context, seed=1)
    assert len(tight.examples) == 3
    assert max(map(len, tight.few_shot)) + 4 <= context
    with pytest.raises(EvaluationError, match="no held-out prompt fits"):
        prepare_task(settings(max_new_tokens=4), dataset, run, encoder, 20, seed=1)


def test_no_held_out_row_is_told(prepared: Prepared, encoder: Encoder) -> None:
    run, dataset = prepared
    run.write_text("data/heldout.jsonl", "")
    with pytest.raises(EvaluationError, match="none of 12 held-out rows") as fault:
        prepare_task(settings(), dataset, run, encoder, 1024, seed=1)
    assert "evaluate.task: null" in fault.value.hint


def test_perplexity_scores_the_reference_and_its_end(
    prepared: Prepared, encoder: Encoder, speaker: Any, tmp_path: Path
) -> None:
    run, dataset = prepared
    task = prepare_task(settings(metric="perplexity"), dataset, run, encoder, 1024, seed=1)
    model = speaker("m", str)
    with ReplyCache(tmp_path / "cache") as cache:
        scored = score_arm(task, "base", model, Asker(cache, "float32"), encoder)
    tokens = [len(encoder.tokenizer(row.reference)["input_ids"]) + 1 for row in task.rows]
    assert scored.scores == tuple(map(float, tokens))
    assert model.asked == []
