"""On-policy distillation: the student writes, and at each of its tokens its distribution is drawn to the teacher's.

So the student is corrected where it goes itself, not only along what others wrote. Both distributions are whole: the
teacher's are made again from its last hidden states, a few targets at a time. No gradient goes through the drawing of
the tokens.

Source: Agarwal et al., "On-Policy Distillation of Language Models" (GKD), 2024, section 3 and algorithm 1. Departing
from it, whose replies are learned from is drawn for each row, not for a whole batch.

Axes: T targets, N some of them, V vocabulary.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field, PositiveInt

from burnish.errors import DataError
from burnish.models.chat_template import Encoded, Encoder, continued
from burnish.models.generate import GenerationSettings
from burnish.models.groups import Completion, PromptGroup
from burnish.models.logprobs import ScoredGroups
from burnish.models.memory import give_back_freed_memory
from burnish.records import Conversation, Message, Record
from burnish.settings import PluginSettings
from burnish.train.batches import step_seed
from burnish.train.divergences import forward_kl, jensen_shannon, reverse_kl
from burnish.train.engine import Engine
from burnish.train.method import Batch, Loss, Mean, Role
from burnish.train.teacher import Teacher

TEACHER = "teacher"


class OnPolicySettings(PluginSettings):
    """The student writes replies of up to `max_new_tokens` to the share `own_share` of the rows (to all that have no
    reply); of the others the rows' own replies are learned from. `divergence` says what is made small: "reverse_kl"
    (the student should say nothing that the teacher wouldn't), "forward_kl" (and miss nothing that the teacher would),
    or "jensen_shannon", from a mixture of both that holds the share `beta` of the teacher."""

    kind: Literal["on_policy"] = "on_policy"
    max_new_tokens: PositiveInt = 128
    own_share: float = Field(default=1.0, ge=0.0, le=1.0)
    divergence: Literal["reverse_kl", "forward_kl", "jensen_shannon"] = "reverse_kl"
    beta: float = Field(default=0.5, gt=0.0, lt=1.0)


class OnPolicy:
    """Learns to think of its own tokens as the teacher does."""

    Settings = OnPolicySettings

    def __init__(self, settings: OnPolicySettings) -> None:
        self.settings = settings

    @property
    def roles(self) -> frozenset[Role]:
        """The teacher."""
        return frozenset({"teacher"})

    @property
    def learning_rate_share(self) -> float:
        """All of it: the teacher says of every token what it should have been."""
        return 1.0

    def encode(self, record: Record, encoder: Encoder) -> Encoded:
        """The chat up to its last reply, and that reply where there is one. A prompt that leaves no room for a reply of
        `max_new_tokens` within the encoder's length is dropped.

        Raises: DataError when the record isn't a chat.
        """
        if not isinstance(record, Conversation) or not any(message.role == "user" for message in record.messages):
            raise DataError(
                f"{record.source}: got a {type(record).__name__} without a user's turn, expected a prompt, which the "
                "student of train.method: distill, by: on_policy, writes to; nothing was trained",
                hint="give rows with messages, or prompt and completion, or format: prompts",
            )
        group, truncated = self._encode(record, encoder)
        if len(group.prompt) + self.settings.max_new_tokens > encoder.max_length:
            room = f"{self.settings.max_new_tokens} tokens within max_length {encoder.max_length}"
            return Encoded(None, f"its prompt leaves no room for {room}", 0, record.source)
        return Encoded(group, "", truncated, record.source)

    def compared(self, rows: Sequence[PromptGroup]) -> Sequence[PromptGroup]:
        """None: replies aren't known beforehand."""
        return ()

    def longest(self, row: int) -> int:
        """Tokens of a row whose reply the student has written."""
        return row + self.settings.max_new_tokens

    def batches(self, rows: Sequence[PromptGroup], engine: Engine, step: int) -> list[Batch]:
        """The rows with their replies, and the teacher's last hidden states beside them."""
        teacher = engine.teacher
        assert teacher is not None, "there is no teacher"
        groups, metrics = self._replied(rows, engine, step)
        give_back_freed_memory()
        began = time.perf_counter()
        states_TD = teacher.states(groups)
        metrics["teacher_seconds"] = Mean(time.perf_counter() - began)
        return [Batch(groups, {TEACHER: states_TD}, metrics=metrics, reading=self._reading(teacher))]

    def loss(self, scored: ScoredGroups) -> Loss:
        """The weighted divergences of the targets, summed, and the sum of the weights."""
        assert scored.read_T is not None
        entropy = Mean(-float(scored.logprobs_T.detach().sum()), float(len(scored.logprobs_T)))
        return Loss((scored.read_T * scored.weights_T).sum(), float(scored.weights_T.sum()), {"surprise": entropy})

    def _encode(self, record: Conversation, encoder: Encoder) -> tuple[PromptGroup, int]:
        last = record.messages[-1]
        prompt = record.prompt() if last.role == "assistant" else record.messages
        if last.role == "assistant":
            chat = continued(prompt, (Message("assistant", last.content),), record.source)
            encoded = encoder.conversation(replace(chat, tools=record.tools))
            if encoded.group is not None:
                return encoded.group, encoded.tokens_truncated
        return PromptGroup(encoder.prompt(prompt, record.tools), ()), 0

    def _replied(
        self, rows: Sequence[PromptGroup], engine: Engine, step: int
    ) -> tuple[list[PromptGroup], dict[str, Mean]]:
        """The rows, those that are the student's to reply to with what it writes now."""
        began = time.perf_counter()
        draw = random.Random(step_seed(engine.seed, step))
        shares = [draw.random() for _ in rows]
        own = [n for n, row in enumerate(rows) if not row.completions or shares[n] < self.settings.own_share]
        how = GenerationSettings(max_new_tokens=self.settings.max_new_tokens, temperature=1.0)
        written = engine.generate([rows[number].prompt for number in own], how, step) if own else []
        groups = list(rows)
        for number, reply in zip(own, written, strict=True):
            completion = Completion(reply.tokens, (1.0,) * len(reply.tokens))
            groups[number] = replace(rows[number], completions=(completion,))
        return groups, {
            "own": Mean(float(len(own)), float(len(rows))),
            "length": Mean(float(sum(len(reply.tokens) for reply in written)), float(len(own))),
            "finished": Mean(float(sum(reply.finish == "stop" for reply in written)), float(len(own))),
            "writing_seconds": Mean(time.perf_counter() - began),
        }

    def _reading(self, teacher: Teacher) -> _Reading:
        return _Reading(self.settings, teacher)


class _Reading:
    """The divergence at each target, (N,)."""

    def __init__(self, settings: OnPolicySettings, teacher: Teacher) -> None:
        self._settings = settings
        self._teacher = teacher

    def __call__(self, logprobs_NV: torch.Tensor, beside: Mapping[str, torch.Tensor]) -> torch.Tensor:
        teacher_NV = self._teacher.logprobs(beside[TEACHER])
        student_NV = self._teacher.common(logprobs_NV)
        if self._settings.divergence == "jensen_shannon":
            return jensen_shannon(teacher_NV, student_NV, self._settings.beta)
        measure = reverse_kl if self._settings.divergence == "reverse_kl" else forward_kl
        return measure(teacher_NV, student_NV)
