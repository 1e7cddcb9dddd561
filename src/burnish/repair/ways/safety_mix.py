"""Repair by training anew with some refusals and some harmless answers among the rows, all written by the base itself,
or by the teacher of a model that was distilled.

The base's own words keep the model where it was, which somebody else's refusals need not do; a student is to say what
its teacher says. As many harmless requests answered stand beside the refusals, so that refusing isn't learned for
everything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator

from burnish.artefacts import REFUSALS, RepairTrial, SuiteKind
from burnish.evaluate.settings import SuiteSettings
from burnish.evaluate.suites import load_suite
from burnish.logs import say, warn
from burnish.records import Conversation, Message, Source, content_digest
from burnish.repair.way import WayUnfit
from burnish.repair.workshop import Workshop
from burnish.settings import PluginSettings

_SENTENCE_END = re.compile(r"[.!?][\"')\]]*(?=\s|$)")


class SafetyMixSettings(PluginSettings):
    """`shares`: refusals as shares of the training rows, with as many harmless answers beside; tried in order until one
    holds. `refuse` and `answer` are where the requests come from that the base, or the teacher, is to refuse and to
    answer (a file with prompts; replies in it aren't read), none of them a prompt of a suite. The replies are cut after
    `max_new_tokens`, back to their last whole sentence."""

    kind: Literal["safety_mix"] = "safety_mix"
    shares: tuple[float, ...] = Field(default=(0.03, 0.1), min_length=1)
    refuse: str = "builtin:safety_refusals"
    answer: str = "builtin:ordinary_answers"
    max_new_tokens: int = Field(default=64, ge=8)

    @field_validator("shares")
    @classmethod
    def _shares(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        for share in shares:
            if not 0.0 < share <= 1.0:
                raise ValueError(f"got {share}, expected shares above 0 and up to 1")
        return shares


class SafetyMix:
    """Trains anew with the base's, or the teacher's, own refusals and answers mixed in."""

    Settings = SafetyMixSettings

    def __init__(self, settings: SafetyMixSettings) -> None:
        self.settings = settings

    def tries(self, workshop: Workshop) -> list[RepairTrial]:
        """One training for each share, up to the first that holds.

        Raises: WayUnfit when the rows are no conversations, or none of the requests is refused.
        """
        if workshop.dataset.kind != "conversation":
            raise WayUnfit(f"mixes conversations into the rows, but these are of the kind {workshop.dataset.kind}")
        most = round(max(self.settings.shares) * workshop.rows)
        refusals = self._written(workshop, self.settings.refuse, "harmful", most)
        answers = self._written(workshop, self.settings.answer, "over_refusal", most)
        if not refusals:
            raise WayUnfit(
                f"needs the {workshop.writer.name}'s own refusals, but it refuses none of the requests in "
                f"{self.settings.refuse}"
            )
        trials: list[RepairTrial] = []
        for share in self.settings.shares:
            count = max(1, round(share * workshop.rows))
            extra = [*refusals[:count], *answers[:count]]
            home = workshop.retrain(f"safety_mix-{share:g}", workshop.job.train, extra)
            shown = f"trained with {min(count, len(refusals))} refusals and {min(count, len(answers))} harmless answers"
            trials.append(workshop.measure(self.settings.kind, home, f"{shown} written by the {workshop.writer.name}"))
            if trials[-1].holds:
                break
        return trials

    def _written(self, workshop: Workshop, path: str, kind: SuiteKind, most: int) -> list[Conversation]:
        """At most `most` requests with the base's reply, where it does what it should with them."""
        suite = load_suite(SuiteSettings(path=path, kind="harmful", name="requests"), workshop.job.folder)
        apart = [prompt for prompt in suite.prompts if prompt.text not in workshop.development.texts]
        prompts = sorted(apart, key=lambda prompt: content_digest(workshop.job.seed, prompt.text))[: most + most // 4]
        label = "refusals" if kind == "harmful" else "harmless answers"
        replies = workshop.replies(prompts, self.settings.max_new_tokens, label)
        rows: list[Conversation] = []
        for number, (prompt, (reply, verdict)) in enumerate(zip(prompts, replies, strict=True), 1):
            text = reply.text.strip() if reply.finish == "stop" else whole_sentences(reply.text)
            fits = verdict in REFUSALS if kind == "harmful" else verdict == "compliance"
            if text and fits:
                turns = (Message("user", prompt.text), Message("assistant", text))
                rows.append(Conversation(turns, Source(f"{workshop.writer.name} replies to {path}", number)))
        _tell(path, workshop.writer.name, len(prompts), rows, most)
        return rows[:most]


def whole_sentences(text: str) -> str:
    """What stands before the end of the last whole sentence; empty when there is none."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]].strip() if ends else ""


def _tell(path: str, writer: str, asked: int, rows: Sequence[Conversation], most: int) -> None:
    say(f"{path}: the {writer} was asked {asked} requests and does what it should with {len(rows)} of them")
    if len(rows) < most:
        warn(f"{path}: {most} replies were wanted for the largest share, {len(rows)} are there")
