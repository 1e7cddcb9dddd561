"""Distillation: a student learns from another model, its teacher, by what that writes or by what it thinks of tokens.

What passes from one to the other, and how it is measured, is the `distillation` family's to say; here stand what those
ways share: who the teacher is, and how the loop meets it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, ValidationError, model_validator

from burnish.catalogue import DistillationSettings, PluginSettingsError, build
from burnish.models.chat_template import Encoded, Encoder
from burnish.models.endpoint import ServerSettings
from burnish.models.groups import PromptGroup
from burnish.models.load import identify
from burnish.models.logprobs import ScoredGroups
from burnish.models.settings import ModelSettings
from burnish.records import Record
from burnish.settings import PluginSettings, Settings
from burnish.train.distillation.logits import Logits
from burnish.train.engine import Engine
from burnish.train.method import Batch, Loss, Method, Role, Writes
from burnish.train.teacher import Top


class ServedTeacherSettings(ServerSettings):
    """A teacher behind an OpenAI-compatible server, which only writes: `url` is the server's base, such as
    https://host/v1, and `model` the name that it knows. At most `concurrency` requests run at once. Prices are per
    million tokens. How long replies may be is `data.writing`'s to say, and `max_tokens` stays 0."""

    kind: Literal["endpoint"]
    max_tokens: Literal[0] = 0


def _teacher_meant(raw: object) -> object:
    """Settings of the kind that is meant, so that none but its faults are told."""
    if raw is None or isinstance(raw, Settings):
        return raw
    served = isinstance(raw, dict) and ("kind" in raw or "url" in raw)
    model: type[Settings] = ServedTeacherSettings if served else ModelSettings
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise PluginSettingsError(error, model) from error


class DistillSettings(PluginSettings):
    """`teacher` is a model as `model` names one, or one behind a server (`kind: endpoint`); left out, it is the
    recipe's `model` with all of its layers, whose `layers` say how many the student has. `by` is how it teaches:
    "sequence" (it writes, where a source of `data.train` has `replies: teacher`), "logits" (its distributions at the
    rows' tokens) or "on_policy" (at what the student writes)."""

    kind: Literal["distill"] = "distill"
    teacher: Annotated[ServedTeacherSettings | ModelSettings | None, BeforeValidator(_teacher_meant)] = None
    by: DistillationSettings = "sequence"  # type: ignore[assignment]  # a name is made into settings by its validator

    @model_validator(mode="after")
    def _check_what_a_server_can_teach(self) -> DistillSettings:
        kind = getattr(self.by, "kind", self.by)
        if isinstance(self.teacher, ServedTeacherSettings) and kind != "sequence":
            raise ValueError(f"by is {kind}, expected sequence: a teacher behind a server shows what it writes alone")
        return self


class Distill:
    """Learns from a teacher, in the way that the settings name."""

    Settings = DistillSettings

    def __init__(self, settings: DistillSettings) -> None:
        self.settings = settings
        self.way: Method = build("distillation", settings.by)

    @property
    def roles(self) -> frozenset[Role]:
        """The teacher, but where it has written beforehand."""
        return self.way.roles

    @property
    def learning_rate_share(self) -> float:
        """The way's."""
        return self.way.learning_rate_share

    @property
    def top(self) -> Top | None:
        """What is kept of the teacher's distributions on disk, if anything is."""
        return self.way.top if isinstance(self.way, Logits) else None

    def encode(self, record: Record, encoder: Encoder) -> Encoded:
        """As the way wants it. Raises: DataError when the record isn't a conversation."""
        return self.way.encode(record, encoder)

    def compared(self, rows: Sequence[PromptGroup]) -> Sequence[PromptGroup]:
        """The groups that the teacher will be asked about, where they are known beforehand."""
        return self.way.compared(rows)

    def batches(self, rows: Sequence[PromptGroup], engine: Engine, step: int) -> Iterable[Batch]:
        """The way's."""
        return self.way.batches(rows, engine, step)

    def loss(self, scored: ScoredGroups) -> Loss:
        """The way's."""
        return self.way.loss(scored)

    def digest(self, folder: Path) -> str:
        """Of the teacher's weights, where the settings name it. Raises: ModelError when there is no such model."""
        return identify(self.settings.teacher).digest if isinstance(self.settings.teacher, ModelSettings) else ""

    def longest(self, row: int) -> int:
        """Tokens of the longest group that comes of a row of so many."""
        return self.way.longest(row) if isinstance(self.way, Writes) else row
