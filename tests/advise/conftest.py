"""A bench over a small task, with the tiny model's tokeniser and weights, and speakers that answer as a test wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from burnish.advise.bench import Bench, Finished
from burnish.advise.job import Job
from burnish.advise.settings import AdviseSettings
from burnish.data.stage import prepare
from burnish.evaluate.reply_cache import Reply, ReplyCache
from burnish.evaluate.speaker import GREEDY, Sampling, Tokens
from burnish.models.chat_template import Encoder
from burnish.models.groups import PromptGroup
from burnish.recipe import parse_recipe
from burnish.run_folder import RunFolder

RECIPE = """\
name: advised
model: {model}
data: {{train: rows.jsonl, heldout: heldout.jsonl}}
train: {{max_steps: 2, batch_size: 2, adapter: {{kind: lora, rank: 2}}}}
evaluate: {{task: {{metric: exact_match, rows: 6, max_new_tokens: 4}}}}
"""


@dataclass
class Scripted:
    """Answers each prompt by its text; keeps what it was asked."""

    encoder: Encoder
    answer: Callable[[str], str]
    digest: str = "5" * 64
    asked: list[str] = field(default_factory=list)

    def reply(
        self,
        prompts: Sequence[Tokens],
        max_new_tokens: int,
        done: Callable[[int, Reply], None],
        sampling: Sampling = GREEDY,
    ) -> None:
        for index, prompt in enumerate(prompts):
            self.asked.append(self.encoder.tokenizer.decode(list(prompt)))
            done(index, Reply(self.answer(self.asked[-1]), "stop"))

    def surprise(self, groups: Sequence[PromptGroup]) -> list[float]:
        raise AssertionError("advice asks for replies only")


def question(number: int) -> str:
    return f"Where is town {number}?"


@pytest.fixture
def make_bench(tmp_path: Path, tiny_model_folder: Path) -> Iterator[Callable[..., Bench]]:
    """Makes a bench of 24 training rows and 6 held-out ones: towns 0 to 29, each in the land of its last digit.
    `recipe`: settings over the small recipe's, as `--set` gives them; `advise`: of the advice."""
    rows = [
        {"system": "Name the land.", "prompt": question(n), "completion": f"Land {n % 10}"}
        for n in (*range(24), *range(24, 30))
    ]
    for name, part in (("rows", rows[:24]), ("heldout", rows[24:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    caches: list[ReplyCache] = []

    def make(
        recipe: Sequence[str] = (),
        quarantined: Sequence[str] = (),
        finished: Finished | None = None,
        name: str = "run",
        **advise: Any,
    ) -> Bench:
        parsed = parse_recipe(RECIPE.format(model=tiny_model_folder), list(recipe))
        assert parsed.evaluate.task is not None
        settings = AdviseSettings.model_validate({"development_rows": 8, "timed": 1, **advise})
        home = RunFolder(tmp_path / name)
        caches.append(ReplyCache(tmp_path / "cache"))
        job = Job(
            settings, parsed.model, parsed.train, parsed.evaluate.task, parsed.seed, tmp_path, tmp_path / "cache"
        )  # fmt: skip
        dataset = prepare(parsed.data, home, tmp_path, parsed.seed)
        return Bench(job, dataset, quarantined, home, caches[-1], finished)

    yield make
    for cache in caches:
        cache.__exit__()


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Bench, Callable[[str], str]], Scripted]:
    """Puts a scripted speaker in the place of a bench's base."""

    def put(bench: Bench, answer: Callable[[str], str]) -> Scripted:
        speaker = Scripted(bench.encoder, answer)
        monkeypatch.setattr(bench, "speaker", lambda: speaker)
        monkeypatch.setattr(bench, "load", lambda: None)
        return speaker

    return put
