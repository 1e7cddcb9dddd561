"""The task's part of the evaluation: the same held-out rows and the same metric for every arm.

Chooses rows and examples, makes each arm's prompts and scores the answers. Knows nothing of safety suites.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from burnish.artefacts import Arm, Dataset
from burnish.catalogue import build
from burnish.data.store import read_records
from burnish.errors import EvaluationError
from burnish.evaluate.asking import Asker
from burnish.evaluate.few_shot import Example, choose, with_examples
from burnish.evaluate.reply_cache import Reply
from burnish.evaluate.settings import TASK, TaskSettings
from burnish.evaluate.speaker import Speaker, Tokens
from burnish.logs import warn
from burnish.models.chat_template import Encoder
from burnish.models.groups import Completion, PromptGroup
from burnish.protocols import Compares, Metric
from burnish.records import content_digest
from burnish.run_folder import RunFolder

_SPARE_TOKENS = 8
_MOST_TOKENS = 512


@dataclass(frozen=True)
class Task:
    """What is asked of every arm. `plain[i]` and `few_shot[i]` are the token ids of row i's prompts; `examples` the
    few-shot arm's; `too_long` counts rows that don't fit the model's context and were left out of all arms."""

    rows: tuple[Example, ...]
    examples: tuple[Example, ...]
    plain: tuple[Tokens, ...]
    few_shot: tuple[Tokens, ...]
    max_new_tokens: int
    metric: Metric
    metric_name: str
    digest: str
    too_long: int


@dataclass(frozen=True)
class Scored:
    """One arm's answers: a reply (empty where the metric needs none) and a score for each row. `logprobs`: where two
    replies are compared, the sum of each one's log-probabilities (nats), two for each row."""

    arm: Arm
    replies: tuple[Reply, ...]
    scores: tuple[float | None, ...]
    logprobs: tuple[float, ...] = ()


def prepare_task(
    settings: TaskSettings, dataset: Dataset, run: RunFolder, encoder: Encoder, context: int, seed: int
) -> Task:
    """Choose rows and examples by hash, and encode their prompts so that every arm fits into `context` tokens:
    examples are dropped until it does, then rows.

    Raises: EvaluationError when there is no held-out row with a prompt and a reply, or the metric is one of
    preferences, which have no one right reply.
    """
    metric: Metric = build("metric", settings.metric)
    if isinstance(metric, Compares):
        raise EvaluationError(
            f"evaluate.task.metric: {settings.metric.kind} compares two replies of the data, and can't score one that "
            "is written; nothing was evaluated",
            hint="choose a metric that compares a reply with the row's own, such as rouge_l",
        )
    rows = choose(read_records(run.file(dataset.heldout_path)), settings.rows, seed)
    if not rows:
        raise EvaluationError(
            f"{dataset.heldout_path}: none of {dataset.num_heldout:,} held-out rows has a prompt and a reply to "
            "compare with; nothing was evaluated",
            hint="raise data.heldout_fraction, name data.heldout, or set evaluate.task: null",
        )
    replies = [len(encoder.tokenizer(row.reference, add_special_tokens=False)["input_ids"]) for row in rows]
    limit = _limit(settings.max_new_tokens, replies)
    room = context - (limit if metric.needs_reply else max(replies) + 1)
    fitting = [(row, tokens) for row in rows if len(tokens := encoder.prompt(row.prompt, row.tools)) <= room]
    if not fitting:
        raise EvaluationError(
            f"{dataset.heldout_path}: no held-out prompt fits into the model's context of {context} tokens with "
            f"{limit} for the reply; nothing was evaluated",
            hint="lower evaluate.task.max_new_tokens, or set evaluate.task: null",
        )
    kept = [row for row, _ in fitting]
    wanted = choose(read_records(run.file(dataset.train_path)), settings.few_shot, seed, kept)
    examples, few_shot = _fit_examples(encoder, kept, wanted, room)
    _tell(len(rows) - len(kept), len(wanted) - len(examples))
    return Task(
        rows=tuple(kept),
        examples=tuple(examples),
        plain=tuple(tokens for _, tokens in fitting),
        few_shot=tuple(few_shot),
        max_new_tokens=limit,
        metric=metric,
        metric_name=settings.metric.kind,
        digest=content_digest([[row.prompt_digest, row.reference] for row in kept]),
        too_long=len(rows) - len(kept),
    )


def score_arm(task: Task, arm: Arm, speaker: Speaker, asker: Asker, encoder: Encoder) -> Scored:
    """Ask one arm everything and score it."""
    prompts = task.few_shot if arm == "few_shot" else task.plain
    label = f"{TASK}: {arm.replace('_', '-')}"
    if not task.metric.needs_reply:
        groups = [_group(encoder, p, row.reference) for p, row in zip(prompts, task.rows, strict=True)]
        surprises = asker.surprises(speaker, groups, label)
        return Scored(arm, (Reply("", "stop"),) * len(groups), tuple(surprises))
    replies = [_stripped(reply) for reply in asker.replies(speaker, prompts, task.max_new_tokens, label)]
    scores = [task.metric.score(reply.text, row.reference) for reply, row in zip(replies, task.rows, strict=True)]
    return Scored(arm, tuple(replies), tuple(scores))


def _limit(setting: Literal["auto"] | int, reply_tokens: Iterable[int]) -> int:
    if setting != "auto":
        return setting
    longest = max(reply_tokens)
    return min(_MOST_TOKENS, longest + longest // 4 + _SPARE_TOKENS)


def _fit_examples(
    encoder: Encoder, rows: Sequence[Example], wanted: Sequence[Example], room: int
) -> tuple[list[Example], list[Tokens]]:
    """As many of the examples as every row has room for, and the rows' prompts with them."""
    examples = list(wanted)
    while True:
        prompts = [encoder.prompt(with_examples(row.prompt, examples), row.tools) for row in rows]
        if not examples or max(map(len, prompts)) <= room:
            return examples, prompts
        examples.remove(max(examples, key=lambda e: len(e.question) + len(e.reference)))


def _group(encoder: Encoder, prompt: Tokens, reference: str) -> PromptGroup:
    """The reference after a prompt, every token counting, its end of turn too."""
    tokens = list(encoder.tokenizer(reference, add_special_tokens=False)["input_ids"])
    if encoder.end_of_turn is not None:
        tokens.append(encoder.end_of_turn)
    return PromptGroup(prompt, (Completion(tuple(tokens), (1.0,) * len(tokens)),))


def _stripped(reply: Reply) -> Reply:
    return replace(reply, text=reply.text.strip())


def _tell(rows_left_out: int, examples_left_out: int) -> None:
    if rows_left_out:
        warn(f"{rows_left_out:,} held-out rows are too long for the model's context and were left out of every arm")
    if examples_left_out:
        warn(f"{examples_left_out} few-shot examples were dropped so that every prompt fits into the model's context")
