"""The task of preferences: pairs that never move, examples that fit, two kinds of rows, and a real model's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from burnish.artefacts import Dataset, RecordKind
from burnish.data.store import to_line
from burnish.errors import EvaluationError
from burnish.evaluate.asking import Asker
from burnish.evaluate.preferences import (
    PreferenceTask,
    asked_questions,
    beside_length,
    prepare_preferences,
    question_of,
    score_preferences,
)
from burnish.evaluate.reply_cache import ReplyCache
from burnish.evaluate.settings import TaskSettings
from burnish.evaluate.speaker import ModelSpeaker
from burnish.evaluate.task import prepare_task
from burnish.models.chat_template import Encoder
from burnish.models.groups import PromptGroup
from burnish.models.load import load_model
from burnish.models.settings import ModelSettings
from burnish.records import LabelledCompletion, Message, PreferencePair, Record, Source
from burnish.run_folder import RunFolder


@pytest.fixture
def encoder(tiny_model_folder: Path) -> Encoder:
    return Encoder(AutoTokenizer.from_pretrained(tiny_model_folder), 1024)


def settings(**changes: Any) -> TaskSettings:
    return TaskSettings.model_validate({"metric": "preference_accuracy", **changes})


def pair(number: int, chosen: str = "A dog, {}.", rejected: str = "No idea.") -> PreferencePair:
    asked = (Message("user", f"Which animal is number {number}?"),)
    sides = (chosen.format(number), rejected.format(number))
    return PreferencePair(asked, *((Message("assistant", side),) for side in sides), Source("d", number))


def thumb(number: int, desirable: bool) -> LabelledCompletion:
    asked = (Message("user", f"Which animal is number {number}?"),)
    return LabelledCompletion(asked, (Message("assistant", f"A dog, {number}."),), desirable, Source("d", number))


def prepared(
    folder: Path, heldout: Sequence[Record], train: Sequence[Record], kind: RecordKind
) -> tuple[Dataset, RunFolder]:
    run = RunFolder(folder / "run")
    for name, rows in (("train", train), ("heldout", heldout)):
        run.write_text(f"data/{name}.jsonl", "".join(to_line(row) + "\n" for row in rows))
    return Dataset(
        kind=kind,
        files=(),
        train_path="data/train.jsonl",
        heldout_path="data/heldout.jsonl",
        num_train=len(train),
        num_heldout=len(heldout),
        digest="d" * 64,
    ), run


def pairs(folder: Path, heldout: Sequence[Record] | None = None) -> tuple[Dataset, RunFolder]:
    rows = [pair(i) for i in range(12)] if heldout is None else heldout
    return prepared(folder, rows, [pair(i) for i in range(20, 40)], "preference")


class Likes:
    """A model whose surprise at a reply is what it is told by the first tokens of its text."""

    def __init__(self, digest: str, encoder: Encoder, surprises: dict[str, float]) -> None:
        self.digest, self._encoder, self._surprises = digest, encoder, surprises

    def reply(self, *_: Any, **__: Any) -> None:
        raise AssertionError("nothing is to be written")

    def surprise(self, groups: Sequence[PromptGroup]) -> list[float]:
        texts = [self._encoder.tokenizer.decode(one.tokens) for group in groups for one in group.completions]
        return [next(value for start, value in self._surprises.items() if start in text) for text in texts]


def scores(task: PreferenceTask, encoder: Encoder, folder: Path, tuned: dict[str, float]) -> list[tuple[Any, ...]]:
    base = Likes("base", encoder, {"": 2.0})
    with ReplyCache(folder / "cache") as cache:
        asker = Asker(cache, "float32")
        start = score_preferences(task, "base", base, asker, None)
        shown = score_preferences(task, "few_shot", base, asker, start)
        after = score_preferences(task, "tuned", Likes("tuned", encoder, tuned), asker, start)
    assert all(len(one.replies) == len(one.scores) == len(task.rows) for one in (start, shown, after))
    return [start.scores, shown.scores, after.scores]


def test_base_is_a_coin_and_the_tuned_model_is_what_it_learned(tmp_path: Path, encoder: Encoder) -> None:
    task = prepare_preferences(settings(rows=10), *pairs(tmp_path), encoder, seed=1)
    assert len(task.rows) == len(task.plain) == len(task.few_shot) == 10
    assert all(len(group.completions) == 2 for group in (*task.plain, *task.few_shot))
    start, _, after = scores(task, encoder, tmp_path, {"A dog": 1.0, "No idea": 3.0})
    assert start == (0.5,) * 10
    assert after == (1.0,) * 10
    assert scores(task, encoder, tmp_path / "other", {"A dog": 3.0, "No idea": 1.0})[2] == (0.0,) * 10


def test_length_alone_stands_beside_what_was_learned(tmp_path: Path, encoder: Encoder) -> None:
    """Of the training pairs the longer reply is the chosen one; held out, it isn't in one pair of four."""
    short, long = "Yes.", "No idea, {}, and nobody else has one either, as far as I can tell."
    heldout = [pair(i, "A dog, {}, which barks.", "Cat.") for i in range(3)] + [pair(3, short, long)]
    train = [pair(i, "A dog, {}, which barks.", "Cat.") for i in range(20, 30)]
    task = prepare_preferences(settings(rows=4), *prepared(tmp_path, heldout, train, "preference"), encoder, seed=1)
    assert task.longer_is_chosen
    with ReplyCache(tmp_path / "cache") as cache:
        asker = Asker(cache, "float32")
        start = score_preferences(task, "base", Likes("base", encoder, {"": 2.0}), asker, None)
        likes = {"A dog": 1.0, "Cat": 3.0, "Yes": 1.0, "No idea": 3.0}
        after = score_preferences(task, "tuned", Likes("tuned", encoder, likes), asker, start)
    found = beside_length(task, after)
    assert (found.by_length.hits, found.by_length.n) == (3, 4)
    assert (found.where_length_errs.hits, found.where_length_errs.n) == (1, 1)
    assert beside_length(task, start).where_length_errs.n == 0  # beside itself it prefers neither


def test_the_prompt_is_laid_down_once(tmp_path: Path, encoder: Encoder) -> None:
    task = prepare_preferences(settings(rows=1), *pairs(tmp_path), encoder, seed=1)
    (group,) = task.plain
    assert encoder.tokenizer.decode(group.prompt).count("Which animal") == 1
    assert all("Which" not in encoder.tokenizer.decode(one.tokens) for one in group.completions)
    assert encoder.tokenizer.decode(task.few_shot[0].prompt).count("Which animal") == 5


def test_the_choice_of_pairs_never_moves(tmp_path: Path, encoder: Encoder) -> None:
    rows = [pair(i) for i in range(300)]
    first = prepare_preferences(settings(rows=3), *pairs(tmp_path / "a", rows), encoder, seed=1)
    turned = [*rows[::-1], *rows]
    again = prepare_preferences(settings(rows=6), *pairs(tmp_path / "b", turned), encoder, seed=1)
    assert [row.id for row in again.rows[:3]] == [row.id for row in first.rows]
    assert len({row.id for row in again.rows}) == 6
    assert first.digest != again.digest


def test_two_pairs_of_one_prompt_are_two_rows_of_one_family(tmp_path: Path, encoder: Encoder) -> None:
    dataset, run = pairs(tmp_path, [pair(1), pair(1, chosen="A cat, {}.")])
    task = prepare_preferences(settings(), dataset, run, encoder, seed=1)
    assert len({row.id for row in task.rows}) == 2
    assert len({row.family for row in task.rows}) == 1
    assert {row.reference for row in task.rows} == {"A dog, 1.", "A cat, 1."}


def test_pairs_that_cannot_be_scored_whole_are_left_out_and_told(
    tmp_path: Path, encoder: Encoder, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [pair(1), pair(2, chosen="dog " * 2000), pair(3, chosen="No idea.")]
    task = prepare_preferences(settings(few_shot=0), *pairs(tmp_path, rows), encoder, seed=1)
    said = " ".join(capsys.readouterr().err.split())
    assert [row.reference for row in task.rows] == ["A dog, 1."]
    assert task.too_long == 1
    assert "1 held-out pairs were left out of every arm: longer than the model's context" in said
    assert "1 held-out pairs were left out of every arm: its tokens are the same" in said
    dataset, run = pairs(tmp_path / "none", rows[1:])
    with pytest.raises(EvaluationError, match="none of 2 held-out rows makes a pair") as fault:
        prepare_preferences(settings(), dataset, run, encoder, seed=1)
    assert "longer than the model's context" in fault.value.message


def test_examples_are_dropped_until_every_pair_fits(tmp_path: Path, encoder: Encoder) -> None:
    dataset, run = pairs(tmp_path)
    roomy = prepare_preferences(settings(), dataset, run, encoder, seed=1)
    longest = max(len(g.prompt) + len(one.tokens) for g in roomy.few_shot for one in g.completions)
    tight = prepare_preferences(settings(), dataset, run, Encoder(encoder.tokenizer, longest - 1), seed=1)
    assert (len(roomy.examples), len(tight.examples)) == (4, 3)
    assert len(tight.few_shot) == len(tight.plain) == 12


def test_thumbs_are_brought_into_pairs_of_one_kind_each(tmp_path: Path, encoder: Encoder) -> None:
    rows = [thumb(i, i % 3 == 0) for i in range(12)]
    dataset, run = prepared(tmp_path, rows, [thumb(i, True) for i in range(20, 30)], "labelled")
    task = prepare_preferences(settings(few_shot=0), dataset, run, encoder, seed=1)
    assert len(task.rows) == 4
    assert [len(group.completions) for group in task.plain] == [1] * 8
    taken = [record.source for row in task.rows for record in row.records]
    assert len(set(taken)) == 8
    likes = {f"A dog, {i}.": 1.0 if i % 3 == 0 else 3.0 for i in range(12)}
    start, _, after = scores(task, encoder, tmp_path, dict(sorted(likes.items(), reverse=True)))
    assert start == (0.5,) * 4
    assert after == (1.0,) * 4
    by = settings(metric={"kind": "preference_accuracy", "by": "likelihood"})
    with pytest.raises(EvaluationError, match="by likelihood compares two replies to one prompt"):
        prepare_preferences(by, dataset, run, encoder, seed=1)


def test_a_model_is_as_surprised_by_both_replies_of_a_packed_pair_as_by_each_alone(
    tmp_path: Path, encoder: Encoder, tiny_model_folder: Path
) -> None:
    loaded = load_model(ModelSettings(name=str(tiny_model_folder)))
    task = prepare_preferences(settings(few_shot=0), *pairs(tmp_path), encoder, seed=1)
    found = ModelSpeaker("m", lambda: loaded).surprise(task.plain)
    alone = []
    for group in task.plain:
        for one in group.completions:
            tokens = torch.tensor([[*group.prompt, *one.tokens]])
            with torch.no_grad():
                logprobs = loaded.model(input_ids=tokens).logits[0, :-1].log_softmax(-1)
            each = logprobs.gather(1, tokens[0, 1:, None])[len(group.prompt) - 1 :, 0]
            weights = torch.tensor(one.weights).bool()
            alone.append(-float(each[weights].mean()))
    assert found == pytest.approx(alone, rel=1e-3)
    assert len(set(found)) > 12


@pytest.mark.parametrize("kind", ["preference", "labelled"])
def test_what_is_asked_is_known_to_those_who_must_not_look_at_it(
    tmp_path: Path, encoder: Encoder, kind: RecordKind
) -> None:
    rows = [pair(i) if kind == "preference" else thumb(i, i % 3 == 0) for i in range(40)]
    few = settings(rows=5, few_shot=0)
    dataset, run = prepared(tmp_path, rows, [], kind)
    task = prepare_preferences(few, dataset, run, encoder, seed=1)
    asked = asked_questions(few, rows, seed=1)
    assert asked == {question_of(record) for row in task.rows for record in row.records}
    assert len(asked) == (5 if kind == "preference" else 10)


def test_rows_and_metric_must_fit(tmp_path: Path, encoder: Encoder) -> None:
    dataset, run = pairs(tmp_path)
    chats = dataset.model_copy(update={"kind": "conversation"})
    with pytest.raises(EvaluationError, match="compares two replies, but the data's rows are conversations"):
        prepare_preferences(settings(), chats, run, encoder, seed=1)
    with pytest.raises(EvaluationError, match="can't score one that is written"):
        prepare_task(settings(), dataset, run, encoder, 1024, seed=1)
