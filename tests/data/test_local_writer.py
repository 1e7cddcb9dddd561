"""A local model writes what `generate` gives, and its digest covers what that follows from."""

from __future__ import annotations

from pathlib import Path

from burnish.data.local_writer import LocalWriter
from burnish.data.settings import WritingSettings
from burnish.data.written import Chat, Written
from burnish.models.chat_template import Encoder
from burnish.models.generate import GenerationSettings, generate
from burnish.models.load import load_model
from burnish.models.settings import ModelSettings
from burnish.records import Message


def written(writer: LocalWriter, *texts: str) -> dict[int, Written | None]:
    found: dict[int, Written | None] = {}
    writer.write([Chat((Message("user", text),), "") for text in texts], found.__setitem__)
    return found


def test_it_writes_what_the_model_says(tiny_model_folder: Path) -> None:
    model = ModelSettings(name=str(tiny_model_folder), device="cpu")
    loaded = load_model(model)
    prompt = Encoder(loaded.tokenizer, 512).prompt([Message("user", "Where is the cat?")])
    (expected,) = generate(loaded.model, loaded.tokenizer, [prompt], GenerationSettings(max_new_tokens=5))
    got = written(LocalWriter(model, WritingSettings(max_new_tokens=5), 3), "Where is the cat?", "word " * 2000)
    assert got == {0: Written(expected.text, expected.finish), 1: None}


def test_drawn_replies_follow_from_the_seed(tiny_model_folder: Path) -> None:
    model = ModelSettings(name=str(tiny_model_folder), device="cpu")
    drawn = WritingSettings(max_new_tokens=8, temperature=1.0)
    one, again, other = (LocalWriter(model, drawn, seed) for seed in (1, 1, 2))
    assert written(one, "Where?") == written(again, "Where?") != written(other, "Where?")
    assert one.digest == again.digest != other.digest
    greedy = [LocalWriter(model, WritingSettings(), seed).digest for seed in (1, 2)]
    assert greedy[0] == greedy[1] != LocalWriter(model, WritingSettings(max_new_tokens=9), 1).digest
