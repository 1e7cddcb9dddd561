"""What every candidate is measured on and with: the same held-out rows, metric and limits, one cache, one clock.

Also splits the training rows into those that prompting may be chosen on and those that examples and tuning draw on.
Knows nothing of candidates.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from burnish.advice import Answer
from burnish.advise.job import Job
from burnish.artefacts import Dataset, Decision, ModelIdentity, TrainedModel
from burnish.data.store import read_records
from burnish.errors import EvaluationError
from burnish.evaluate.asking import Asker
from burnish.evaluate.few_shot import Example, choose, example_of
from burnish.evaluate.reply_cache import Reply, ReplyCache, well_formed
from burnish.evaluate.speaker import ModelSpeaker, Speaker, Tokens
from burnish.evaluate.stage import context_of
from burnish.evaluate.task import Task, prepare_task
from burnish.logs import progress
from burnish.models.chat_template import Encoder
from burnish.models.device import arithmetic
from burnish.models.load import LoadedModel, identify, load_model, load_tokenizer
from burnish.models.settings import ModelSettings
from burnish.records import Message, Record, content_digest
from burnish.run_folder import RunFolder

Ask: TypeAlias = Callable[[Example], tuple[Message, ...]]
"""How a candidate puts a row's question: the chat that the model is shown."""
_MOST_DEVELOPMENT = 0.25


@dataclass(frozen=True)
class Finished:
    """The run's own tuned model, and the gate's decision on it where there is one."""

    trained: TrainedModel
    decision: Decision | None


@dataclass(frozen=True)
class Replies:
    """Answers in the order of the rows, and the median seconds of `timed` requests that were asked alone."""

    answers: tuple[Answer | None, ...]
    seconds: float
    timed: int


class Bench:
    """One task to be advised on. `finished` is the run's tuned model, where it has one."""

    def __init__(
        self,
        job: Job,
        dataset: Dataset,
        quarantined: Collection[str],
        run: RunFolder,
        cache: ReplyCache,
        finished: Finished | None,
    ) -> None:
        self.job, self.dataset, self.run, self.finished = job, dataset, run, finished
        self.quarantined = frozenset(quarantined)
        self.base: ModelIdentity = identify(job.model)
        self.cache = cache
        self.asker = Asker(cache, arithmetic(job.model))
        self.context = context_of(self.base)
        self.encoder = Encoder(load_tokenizer(job.model), self.context)
        task = job.task.model_copy(update={"few_shot": 0})
        self.task: Task = prepare_task(task, dataset, run, self.encoder, self.context, job.seed)
        if not self.task.metric.needs_reply or not self.task.metric.higher_is_better:
            raise EvaluationError(
                f"evaluate.task.metric: {self.task.metric_name} is no share of what a written reply has right, so that "
                "candidates can't be compared by it; nothing was advised",
                hint="choose exact_match, json_fields, rouge_l or chrf",
            )
        self.rows = self.task.rows
        self.development, self.pool = self._split()
        self._loaded: LoadedModel | None = None

    @property
    def digest(self) -> str:
        """Over what every candidate's answers depend on: rows, limits, what can be drawn on, the base, the seed."""
        drawn = [[example.digest for example in part] for part in (self.development, self.pool)]
        limits = [self.task.max_new_tokens, self.job.advise.timed, self.job.seed, self.asker.dtype]
        return content_digest(self.task.digest, self.task.metric_name, drawn, limits, self.base.digest)

    @property
    def room(self) -> int:
        """How many tokens a prompt of the base may have, so that the answer fits behind it."""
        return self.context - self.task.max_new_tokens

    @cached_property
    def trainable(self) -> tuple[Record, ...]:
        """The rows that tuning may learn from, each content once, in the order in which smaller shares take them: all
        but quarantined ones, held-out questions and the development rows."""
        apart = {example.question for example in (*self.rows, *self.development)}
        found: dict[str, Record] = {}
        for record in self._training_rows():
            example = example_of(record)
            if example is not None and example.question not in apart:
                found[record.digest] = record
        return tuple(found[digest] for digest in sorted(found, key=lambda d: content_digest(self.job.seed, d)))

    def speaker(self) -> ModelSpeaker:
        """The base, loaded when it is first asked."""
        return ModelSpeaker(self.base.digest, self.load)

    def load(self) -> LoadedModel:
        """The base's weights, in memory from here on."""
        if self._loaded is None:
            self._loaded = load_model(self.job.model)
        return self._loaded

    def release(self) -> None:
        """Let go of the base's weights, for others need the memory."""
        self._loaded = None

    def fits(self, chat: Sequence[Message], row: Example) -> bool:
        """Whether the base has room for this chat and its answer."""
        return len(self.encoder.prompt(chat, row.tools)) <= self.room

    def ask(
        self,
        label: str,
        speaker: Speaker,
        ask: Ask,
        *,
        encoder: Encoder | None = None,
        asker: Asker | None = None,
    ) -> Replies:
        """A local model's answers to the held-out rows. `encoder` and `asker` are the base's unless given."""
        encoder, asker = encoder or self.encoder, asker or self.asker
        prompts = [encoder.prompt(ask(row), row.tools) for row in self.rows]
        replies = asker.replies(speaker, prompts, self.task.max_new_tokens, label)
        answers = tuple(
            _answer(encoder, row, prompt, reply) for row, prompt, reply in zip(self.rows, prompts, replies, strict=True)
        )
        some = self.rows[: self.job.advise.timed]
        return Replies(answers, self._timed(speaker, ask, encoder, some), len(some))

    def rehearse(self, label: str, ask: Ask) -> float:
        """The base's mean score on the development rows; minus infinity where none could be scored. Nothing comes from
        the cache, for what choosing takes is part of what a candidate costs."""
        prompts = [self.encoder.prompt(ask(row), row.tools) for row in self.development]
        texts = [""] * len(prompts)
        with progress(label, len(prompts)) as bar:

            def keep(index: int, reply: Reply) -> None:
                texts[index] = reply.text.strip()
                bar.advance()

            self.speaker().reply(prompts, self.task.max_new_tokens, keep)
        found = [self.task.metric.score(t, row.reference) for t, row in zip(texts, self.development, strict=True)]
        known = [score for score in found if score is not None]
        return statistics.fmean(known) if known else -math.inf

    def scores(self, answers: Iterable[Answer | None]) -> list[float | None]:
        """Each row's score; None for an answer that could not be had, or can't be scored."""
        return [
            None if answer is None else self.task.metric.score(answer.text, row.reference)
            for answer, row in zip(answers, self.rows, strict=True)
        ]

    def _timed(self, speaker: Speaker, ask: Ask, encoder: Encoder, rows: Sequence[Example]) -> float:
        """The median seconds from a question to its whole answer, one request at a time, after one to warm up."""
        took: list[float] = []
        for row in (rows[0], *rows):
            began = time.perf_counter()
            speaker.reply([encoder.prompt(ask(row), row.tools)], self.task.max_new_tokens, lambda _, reply: None)
            took.append(time.perf_counter() - began)
        return statistics.median(took[1:])

    def _training_rows(self) -> Iterable[Record]:
        records = read_records(self.run.file(self.dataset.train_path))
        return (record for record in records if str(record.source) not in self.quarantined)

    def _split(self) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
        """Development rows and the pool of examples.

        Raises: EvaluationError when there are too few rows for both.
        """
        settings = self.job.advise
        wanted = settings.development_rows + settings.pool
        found = choose(self._training_rows(), wanted, self.job.seed, self.rows)
        if len(found) < 4:
            raise EvaluationError(
                f"{self.dataset.train_path}: {len(found)} rows have a prompt and a reply that nobody holds out, "
                "expected at least 4; nothing was advised",
                hint="add rows, or lower data.heldout_fraction",
            )
        development = min(settings.development_rows, max(1, int(_MOST_DEVELOPMENT * len(found))))
        return tuple(found[:development]), tuple(found[development:])


def other_model(settings: ModelSettings) -> tuple[ModelIdentity, ModelSpeaker, Encoder]:
    """Another local model: who it is, itself, loaded when first asked, and its encoder.

    Raises: ModelError when it can't be had.
    """
    identity = identify(settings)
    loaded: list[LoadedModel] = []

    def load() -> LoadedModel:
        if not loaded:
            loaded.append(load_model(settings))
        return loaded[0]

    return identity, ModelSpeaker(identity.digest, load), Encoder(load_tokenizer(settings), context_of(identity))


def _answer(encoder: Encoder, row: Example, prompt: Tokens, reply: Reply) -> Answer:
    written = len(encoder.tokenizer(reply.text, add_special_tokens=False)["input_ids"])
    return Answer(
        row=row.prompt_digest,
        text=well_formed(reply.text.strip()),
        finish=reply.finish,
        tokens_in=len(prompt),
        tokens_out=written + (reply.finish == "stop"),
    )
