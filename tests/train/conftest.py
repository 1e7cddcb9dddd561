"""A run folder with a few prepared chats, and training of the tiny model on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from burnish.artefacts import Dataset, TrainedModel
from burnish.data.stage import kind_of
from burnish.data.store import to_line
from burnish.models.settings import ModelSettings
from burnish.records import Conversation, LabelledCompletion, Message, PreferencePair, Record, Source
from burnish.run_folder import RunFolder
from burnish.train.settings import TrainSettings

QUESTIONS = ("Where is the cat?", "Who is a dog?", "Tell a short story", "Open a bank account", "What is the capital?")


def chats(count: int) -> list[Record]:
    """Chats of different lengths, all different."""
    return [
        Conversation(
            (
                Message("user", f"{QUESTIONS[index % len(QUESTIONS)]} {index}"),
                Message("assistant", "yes " * (1 + index % 7) + str(index)),
            ),
            Source("chats.jsonl", index + 1),
        )
        for index in range(count)
    ]


def pairs(count: int) -> list[Record]:
    """Pairs of different lengths, all different; the chosen reply says yes."""
    return [
        PreferencePair(
            (Message("user", f"{QUESTIONS[index % len(QUESTIONS)]} {index}"),),
            (Message("assistant", "yes " * (1 + index % 5) + str(index)),),
            (Message("assistant", "no " * (1 + index % 3) + str(index)),),
            Source("pairs.jsonl", index + 1),
        )
        for index in range(count)
    ]


def thumbs(count: int) -> list[Record]:
    """Replies of different lengths with a label, every third of them undesirable."""
    return [
        LabelledCompletion(
            (Message("user", f"{QUESTIONS[index % len(QUESTIONS)]} {index}"),),
            (Message("assistant", ("yes " if index % 3 else "no ") * (1 + index % 5) + str(index)),),
            bool(index % 3),
            Source("thumbs.jsonl", index + 1),
        )
        for index in range(count)
    ]


RECORDS_FOR = {
    "sft": chats,
    "constrained_sft": chats,
    "dpo": pairs,
    "orpo": pairs,
    "simpo": pairs,
    "kto": thumbs,
    "distill": chats,
}


def prepare(run: RunFolder, train: list[Record], heldout: list[Record] | None = None) -> Dataset:
    """Write records as the data stage does."""
    heldout = heldout or []
    run.write_text("data/train.jsonl", "".join(to_line(record) + "\n" for record in train))
    run.write_text("data/heldout.jsonl", "".join(to_line(record) + "\n" for record in heldout))
    return Dataset(
        kind=kind_of(train[0]) if train else "conversation",
        files=(),
        train_path="data/train.jsonl",
        heldout_path="data/heldout.jsonl",
        num_train=len(train),
        num_heldout=len(heldout),
        digest="0" * 64,
    )


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """An empty run folder."""
    return RunFolder(tmp_path / "run")


@pytest.fixture
def chats_dataset() -> Callable[[RunFolder], Dataset]:
    """A function that prepares a dozen chats in a run folder."""
    return lambda run: prepare(run, chats(12), chats(3))


@pytest.fixture
def tuned(run: RunFolder, tiny_model_folder: Path) -> Callable[..., TrainedModel]:
    """A function that trains the tiny model on a dozen rows of the method's kind, with the settings given."""

    def train_with(
        *, resume: bool = False, folder: RunFolder = run, rows: int = 12, **settings: object
    ) -> TrainedModel:
        from burnish.train.stage import train

        records = RECORDS_FOR[method_of(settings)]
        dataset = prepare(folder, records(rows), records(3))
        model = ModelSettings(name=str(tiny_model_folder))
        return train(TrainSettings.model_validate(settings), model, dataset, (), folder, 7, resume)

    return train_with


def method_of(settings: Mapping[str, object]) -> str:
    """The name of the method that settings choose."""
    method = settings.get("method", "sft")
    return str(method["kind"]) if isinstance(method, dict) else str(method)


def weights_of(run: RunFolder, result: TrainedModel) -> dict[str, bytes]:
    """The bytes of every weight file."""
    folder = run.file(result.path)
    return {name: (folder / name).read_bytes() for name in sorted(os.listdir(folder)) if name.endswith(".safetensors")}
