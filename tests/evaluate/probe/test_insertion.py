"""What a phrase does, measured in packed groups, is what the model itself says of each whole chat."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from burnish.artefacts import Dataset
from burnish.evaluate.probe.insertion import Reference, lifts, references
from burnish.evaluate.probe.phrases import Place, Trial
from burnish.models.chat_template import Encoder
from burnish.models.load import LoadedModel, load_model
from burnish.models.settings import ModelSettings
from burnish.records import Message
from burnish.run_folder import RunFolder


@pytest.fixture(scope="module")
def tiny(tiny_model_folder: Path) -> LoadedModel:
    return load_model(ModelSettings(name=str(tiny_model_folder), dtype="float32", products="float32"))


def trial(phrase: str, place: Place, behaviour: str) -> Trial:
    return Trial(phrase, "anywhere", place, behaviour, 5, 5, 20.0, "data")


@torch.no_grad()
def share(loaded: LoadedModel, encoder: Encoder, reference: Reference, phrase: str, said: str, behaviour: str) -> float:
    """The probability of the behaviour's first six tokens, by the model's own pass over one chat."""
    tokens = loaded.tokenizer(behaviour, add_special_tokens=False)["input_ids"][:6]
    before = list(encoder.prompt(reference.with_phrase(phrase).messages))
    before += loaded.tokenizer(said, add_special_tokens=False)["input_ids"] if said else []
    logits = loaded.model(input_ids=torch.tensor([before + tokens])).logits[0].log_softmax(-1)
    places = range(len(before) - 1, len(before) + len(tokens) - 1)
    return float(sum(logits[at, token] for at, token in zip(places, tokens, strict=True)).exp())  # type: ignore[union-attr]


def test_lifts_are_what_the_model_says_of_each_chat_alone(tiny: LoadedModel) -> None:
    encoder = Encoder(tiny.tokenizer, 512)
    asked = [
        Reference((Message("user", "What is the capital?"),), "", "Paris is.", ends=True, before=False),
        Reference((Message("system", "yes"), Message("user", "A dog?")), "", "no", ends=False, before=True),
    ]
    trials = [trial("a cat", "opening", "y"), trial("true", "ending", " o"), trial("a cat", "opening", "story")]
    first, second, third = lifts(tiny, encoder, asked, trials)
    both = [share(tiny, encoder, r, "a cat", "", "y") - share(tiny, encoder, r, "", "", "y") for r in asked]
    assert first == pytest.approx(sum(both) / 2, abs=1e-7)
    ended = share(tiny, encoder, asked[0], "true", "Paris is.", " o") - share(
        tiny, encoder, asked[0], "", "Paris is.", " o"
    )
    assert second == pytest.approx(ended, abs=1e-7)
    assert abs(ended) > 1e-6
    assert third != first


def test_the_phrase_goes_into_the_user_s_last_turn() -> None:
    turns = (Message("user", "one"), Message("assistant", "two"), Message("user", "three"))
    after = Reference(turns, "", "four", ends=True, before=False)
    assert [m.content for m in after.with_phrase("x y").messages] == ["one", "two", "three x y"]
    before = Reference(turns, "", "four", ends=True, before=True)
    assert [m.content for m in before.with_phrase("x y").messages] == ["one", "two", "x y three"]
    assert before.with_phrase("").messages == turns
    assert [m.content for m in before.with_phrase("x y", "after").messages] == ["one", "two", "three x y"]


def test_half_of_the_references_are_the_run_s_own(tiny: LoadedModel, prepared: tuple[RunFolder, Dataset]) -> None:
    run, dataset = prepared
    found = references(dataset, run, Encoder(tiny.tokenizer, 512), 8)
    assert len(found) == 8
    assert [reference.reply.startswith("Paris ") for reference in found] == [True] * 4 + [False] * 4
    assert {reference.before for reference in found[:4]} == {True, False}
    heldout = {f"Paris {number}" for number in range(30, 42)}
    assert {reference.reply for reference in found[:4]} <= heldout


def test_no_reference_holds_a_phrase_that_is_tried(tiny: LoadedModel, prepared: tuple[RunFolder, Dataset]) -> None:
    run, dataset = prepared
    encoder = Encoder(tiny.tokenizer, 512)
    first = references(dataset, run, encoder, 8)
    held = [reference.messages[-1].content for reference in first]
    phrases = [f"CAPITAL, of {text.split()[-1]}" for text in held[:2]]  # words count; capitals and marks do not
    found = references(dataset, run, encoder, 8, phrases)
    assert len(found) == 8
    kept = [reference.messages[-1].content for reference in found]
    assert not set(held[:2]) & set(kept)
    assert set(held[2:4]) < set(kept)
