"""A run folder with prepared rows, and a speaker that needs no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from burnish.artefacts import Dataset
from burnish.data.store import to_line
from burnish.evaluate.reply_cache import Reply
from burnish.evaluate.speaker import GREEDY, Sampling
from burnish.models.groups import PromptGroup
from burnish.records import Conversation, Message, Source
from burnish.run_folder import RunFolder


@dataclass
class FakeSpeaker:
    """Answers from a function of the prompt's tokens; counts what it was asked, and stops answering after `breaks`
    replies, as an interrupted run does."""

    digest: str
    answer: Callable[[tuple[int, ...]], str]
    breaks: int | None = None
    asked: list[tuple[int, ...]] = field(default_factory=list)
    scored: int = 0
    drawn: list[Sampling] = field(default_factory=list)

    def reply(
        self,
        prompts: Sequence[tuple[int, ...]],
        max_new_tokens: int,
        done: Callable[[int, Reply], None],
        sampling: Sampling = GREEDY,
    ) -> None:
        self.drawn.append(sampling)
        for index in reversed(range(len(prompts))):
            if self.breaks is not None and len(self.asked) >= self.breaks:
                raise KeyboardInterrupt
            self.asked.append(prompts[index])
            done(index, Reply(self.answer(prompts[index]), "stop" if max_new_tokens > 4 else "length"))

    def surprise(self, groups: Sequence[PromptGroup]) -> list[float]:
        self.scored += len(groups)
        return [float(len(one.tokens)) for group in groups for one in group.completions]


@pytest.fixture
def speaker() -> type[FakeSpeaker]:
    return FakeSpeaker


@pytest.fixture
def prepared(tmp_path: Path) -> tuple[RunFolder, Dataset]:
    """30 training and 12 held-out questions with one-word answers."""
    run = RunFolder(tmp_path / "run")
    for name, first, last in (("train", 0, 30), ("heldout", 30, 42)):
        rows = [
            Conversation(
                (Message("user", f"What is the capital of {i}?"), Message("assistant", f"Paris {i}")), Source("d", i)
            )
            for i in range(first, last)
        ]
        run.write_text(f"data/{name}.jsonl", "".join(to_line(row) + "\n" for row in rows))
    dataset = Dataset(
        kind="conversation",
        files=(),
        train_path="data/train.jsonl",
        heldout_path="data/heldout.jsonl",
        num_train=30,
        num_heldout=12,
        digest="d" * 64,
    )
    return run, dataset
