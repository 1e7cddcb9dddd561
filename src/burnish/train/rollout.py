"""Answers that the policy writes to a step's prompts, scored: what the methods that sample learn from.

A row is a prompt; what the rewards need of it beside tokens is kept in its group's note. Answers are drawn from the
policy as it is (temperature 1), so that what is learned from is what the policy does.

Axes: T tokens of all answers laid end to end, C answers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from burnish.errors import DataError, TrainError
from burnish.models.chat_template import Encoded, Encoder
from burnish.models.generate import Generated, GenerationSettings
from burnish.models.groups import Completion, PromptGroup
from burnish.records import Conversation, LabelledCompletion, Message, Record
from burnish.train.engine import Engine
from burnish.train.method import Mean
from burnish.train.reward import Answer, Rewarded


@dataclass(frozen=True)
class Rollout:
    """`groups` hold the answers, one group a row, in the rows' order; `group_C` is each answer's. `logprobs_T` are
    those that the answers were drawn with, None where the model can't tell. `reward_C` is NaN where it wasn't given."""

    groups: tuple[PromptGroup, ...]
    lengths_C: torch.Tensor
    group_C: torch.Tensor
    finished_C: torch.Tensor
    logprobs_T: torch.Tensor | None
    reward_C: torch.Tensor
    metrics: Mapping[str, Mean]

    def spread(self, numbers_C: torch.Tensor) -> torch.Tensor:
        """A number of each answer for each of its tokens, (T,)."""
        return numbers_C.repeat_interleave(self.lengths_C)


def encode_prompt(record: Record, encoder: Encoder, max_new_tokens: int, method: str) -> Encoded:
    """The record's prompt as a group without completions, its last user turn and its reply in the note. A prompt that
    leaves no room for an answer of `max_new_tokens` within the encoder's length is dropped.

    Raises: DataError when the record is plain text.
    """
    prompt, reference, tools = _parts(record)
    if not any(message.role == "user" for message in prompt):
        raise DataError(
            f"{record.source}: got a row without a user's turn, expected a prompt, which train.method: {method} writes "
            "answers to; nothing was trained",
            hint="give rows with messages, or prompt and completion; the reply is passed to the rewards as reference",
        )
    tokens = encoder.prompt(prompt, tools)
    if len(tokens) + max_new_tokens > encoder.max_length:
        why = f"its prompt leaves no room for {max_new_tokens} tokens within max_length {encoder.max_length}"
        return Encoded(None, why, 0, record.source)
    question = next(message.content for message in reversed(prompt) if message.role == "user")
    note = json.dumps({"prompt": question, "reference": reference}, ensure_ascii=False)
    return Encoded(PromptGroup(tokens, (), note), "", 0, record.source)


def roll_out(
    rows: Sequence[PromptGroup],
    samples: int,
    max_new_tokens: int,
    engine: Engine,
    step: int,
    score: Callable[[Sequence[Answer]], Rewarded],
) -> Rollout:
    """`samples` answers to each row, drawn and scored.

    Raises: TrainError when no answer gets a reward, or a reward fails.
    """
    began = time.perf_counter()
    settings = GenerationSettings(max_new_tokens=max_new_tokens, temperature=1.0)
    written = engine.generate([row.prompt for row in rows for _ in range(samples)], settings, step, logprobs=True)
    drawn = time.perf_counter()
    answers = answers_of(rows, written, samples)
    rewarded = score(answers)
    if bool(rewarded.total_C.isnan().all()):
        raise TrainError(
            f"step {step + 1}: none of {len(answers)} answers got a reward, there is nothing to learn from; training "
            "stopped, earlier checkpoints are intact",
            hint="look at why the rewards can't tell (None)",
        )
    groups = tuple(
        replace(row, completions=tuple(_completion(one) for one in written[first : first + samples]))
        for row, first in zip(rows, range(0, len(written), samples), strict=True)
    )
    kept = [logprob for one in written for logprob in one.logprobs]
    lengths_C = torch.tensor([len(one.tokens) for one in written])
    return Rollout(
        groups=groups,
        lengths_C=lengths_C,
        group_C=torch.arange(len(rows)).repeat_interleave(samples),
        finished_C=torch.tensor([answer.finished for answer in answers]),
        logprobs_T=torch.tensor(kept) if len(kept) == int(lengths_C.sum()) else None,
        reward_C=rewarded.total_C,
        metrics={
            **reward_metrics(rewarded),
            "length": Mean(float(lengths_C.sum()), len(written)),
            "finished": Mean(float(sum(answer.finished for answer in answers)), len(written)),
            "rollout_seconds": Mean(drawn - began),
            "scoring_seconds": Mean(time.perf_counter() - drawn),
        },
    )


def answers_of(rows: Sequence[PromptGroup], written: Sequence[Generated], samples: int) -> list[Answer]:
    """What rewards are given, `samples` answers for each row."""
    answers: list[Answer] = []
    for number, one in enumerate(written):
        row = rows[number // samples]
        about = json.loads(row.note)
        answers.append(
            Answer(about["prompt"], one.text, about["reference"], row.prompt, one.tokens, one.finish == "stop")
        )
    return answers


def reward_metrics(rewarded: Rewarded, prefix: str = "") -> dict[str, Mean]:
    """Mean and spread of the sum, the mean of each reward, and how many answers got none."""
    known = rewarded.total_C[~rewarded.total_C.isnan()]
    spread = float(known.std()) if len(known) > 1 else 0.0
    metrics = {
        f"{prefix}reward": Mean(float(known.sum()), len(known)),
        f"{prefix}reward_spread": Mean(spread),
        f"{prefix}unscored": Mean(float(rewarded.total_C.isnan().sum()), len(rewarded.total_C)),
    }
    for name, numbers_C in rewarded.parts.items():
        given = numbers_C[~numbers_C.isnan()]
        metrics[f"{prefix}reward_{name}"] = Mean(float(given.sum()), len(given))
    return metrics


def within(groups: Sequence[PromptGroup], token_budget: int) -> list[PromptGroup]:
    """The groups with their answers in their order, those too large for one packed row in several with the same prompt,
    so that an update's memory doesn't grow with the number of answers."""
    return [part for group in groups for part in _split(group, token_budget)]


def _split(group: PromptGroup, token_budget: int) -> Iterator[PromptGroup]:
    taken: list[Completion] = []
    size = len(group.prompt)
    for completion in group.completions:
        if taken and size + len(completion.tokens) > token_budget:
            yield replace(group, completions=tuple(taken))
            taken, size = [], len(group.prompt)
        taken.append(completion)
        size += len(completion.tokens)
    yield replace(group, completions=tuple(taken))


def _completion(written: Generated) -> Completion:
    return Completion(written.tokens, (1.0,) * len(written.tokens))


def _parts(record: Record) -> tuple[tuple[Message, ...], str, str]:
    """Prompt, reference reply and tools."""
    if isinstance(record, Conversation):
        ends = bool(record.messages) and record.messages[-1].role == "user"  # a prompt without a reply
        return (record.messages, "", record.tools) if ends else (record.prompt(), record.reply(), record.tools)
    if isinstance(record, LabelledCompletion):
        return record.prompt, _last(record.completion) if record.desirable else "", ""
    return record.prompt, _last(record.chosen), ""


def _last(messages: Sequence[Message]) -> str:
    return next((message.content for message in reversed(messages) if message.role == "assistant"), "")
