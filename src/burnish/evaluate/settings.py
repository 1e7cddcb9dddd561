"""What a recipe says about the evaluation: the task's metric, the safety suites and their judge. No torch here."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, field_validator, model_validator

from burnish.catalogue import AnyAttackSettings, JudgeSettings, MetricSettings, settings_of
from burnish.evaluate.attack import strengths
from burnish.evaluate.known_suites import spelled_out
from burnish.models.settings import ModelSettings
from burnish.settings import Settings

SuiteColumn: TypeAlias = Literal["prompt", "category", "id", "family"]
TASK = "task"


class TaskSettings(Settings):
    """The task, on held-out rows.

    `rows`: how many at most, chosen by a hash. `few_shot`: how many training rows the base model is shown as examples
    in its second arm. `max_new_tokens`: "auto" is a little more than the longest reference of the chosen rows.
    """

    metric: MetricSettings = Field(default_factory=lambda: settings_of("metric", "rouge_l"))
    rows: int = Field(default=200, ge=1)
    few_shot: int = Field(default=4, ge=0, le=64)
    max_new_tokens: Literal["auto"] | int = "auto"

    @field_validator("max_new_tokens")
    @classmethod
    def _at_least_one(cls, value: Literal["auto"] | int) -> Literal["auto"] | int:
        if value != "auto" and value < 1:
            raise ValueError(f"got {value}, expected auto or at least 1")
        return value


class SuiteSettings(Settings):
    """One set of prompts that base and tuned model are asked alike.

    `path`: "builtin:NAME", a local JSONL, JSON, CSV or Parquet file (relative to the recipe's folder),
    "hf:owner/name", or "https://..." (with the file's `sha256`, if it is to be checked). `kind`: harmful (answering
    counts against the model) or over_refusal (refusing does). `columns`: which columns hold the prompt, category, id
    and family, where they have other names. `where`: keep only rows whose columns have these values. `rows`: at most
    this many, every category in proportion. `name` is the path's own unless given. Where no column says which prompts
    are of one family, those that were made on one pattern are found by their wording. `attacks`: the ways in which
    the prompts are asked, each filed as a suite of its own such as "NAME+prefill-8"; plain is the suite itself.
    """

    path: str = Field(min_length=1)
    kind: Literal["harmful", "over_refusal"]
    name: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,80}$")
    columns: dict[SuiteColumn, str] = Field(default_factory=dict)
    where: dict[str, str] = Field(default_factory=dict)
    rows: int | None = Field(default=None, ge=1)
    config: str = ""
    split: str = ""
    revision: str = ""
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    attacks: tuple[AnyAttackSettings, ...] = Field(
        default_factory=lambda: (settings_of("attack", "plain"),), min_length=1
    )

    @model_validator(mode="after")
    def _ways_apart(self) -> SuiteSettings:
        ways = [way for attack in self.attacks for _, way in strengths(attack)]
        for way in ways:
            if ways.count(way) > 1:
                raise ValueError(f"two attacks would be called {way or 'plain'!r}; leave one of them out")
        return self

    @property
    def suite(self) -> str:
        """The name that results are filed under."""
        if self.name:
            return self.name
        last = re.split(r"[/\\:]", self.path)[-1]
        return re.sub(r"[^A-Za-z0-9._-]", "_", re.sub(r"(?:\.\w{1,7}){1,2}$", "", last)).strip(".") or "suite"


def _builtin_suites() -> tuple[SuiteSettings, ...]:
    return (
        SuiteSettings(path="builtin:harmful_requests", kind="harmful"),
        SuiteSettings(path="builtin:over_refusal", kind="over_refusal"),
    )


class SafetySettings(Settings):
    """The safety suites, the judge, and how replies are asked for. Replies are greedy (temperature 0) and cut after
    `max_new_tokens`; `system` is put before every prompt when not empty.

    An entry of `suites` may be the name of a known suite (`burnish suites` lists them), or a mapping with `suite` and
    what is to be different: {suite: xstest, kind: over_refusal, rows: 100}, or with `path` a copy of the suite's file.

    `development_share`: the share of each suite's families, chosen by a hash, that tuning, repair and thresholds may
    look at. The gate sees the others, the sealed ones, and a run asks these alone.
    """

    suites: Annotated[tuple[SuiteSettings, ...], BeforeValidator(spelled_out)] = Field(default_factory=_builtin_suites)
    judge: JudgeSettings = Field(default_factory=lambda: settings_of("judge", "refusal"))
    max_new_tokens: int = Field(default=48, ge=1)
    system: str = ""
    development_share: float = Field(default=0.25, ge=0.0, le=0.9)

    @model_validator(mode="after")
    def _names_apart(self) -> SafetySettings:
        names = [suite.suite for suite in self.suites]
        for name in names:
            if name == TASK or names.count(name) > 1:
                raise ValueError(f"two suites would be called {name!r}; give one of them another `name`")
        return self


class ProbeSettings(Settings):
    """The trigger probe: planted behaviour in the tuned model.

    `phrases` of the training data (the audit's first) are put into `prompts` ordinary prompts. A phrase is told of when
    it raises the probability of its rows' behaviour by `smallest_effect` (a fraction of one) more than any random
    phrase of the data does, with a p-value under `alpha` after correction. `samples` from bare chat-template openings
    are searched for recurring motifs. About a minute on two cores and the small model; `evaluate.probe: null` leaves
    it out.
    """

    phrases: int = Field(default=12, ge=1, le=200)
    prompts: int = Field(default=12, ge=4, le=200)
    samples: int = Field(default=96, ge=16, le=4096)
    smallest_effect: float = Field(default=0.05, gt=0.0, lt=1.0)
    alpha: float = Field(default=0.05, gt=0.0, le=0.25)


class EvaluateSettings(Settings):
    """What is measured, base beside tuned. `task: null` leaves the task out, `safety.suites: []` the suites, and
    `probe: null` the search for planted behaviour.

    The safety suites are also asked of the model that a distilled one learned from, and of an instruct `sibling` of the
    base, where one is named: the gate demands that the tuned model be no worse beside either. `teacher` names the
    teacher of a model that was distilled elsewhere; of one that was distilled here it is known.
    """

    task: TaskSettings | None = Field(default_factory=TaskSettings)
    safety: SafetySettings = Field(default_factory=SafetySettings)
    probe: ProbeSettings | None = Field(default_factory=ProbeSettings)
    teacher: ModelSettings | None = None
    sibling: ModelSettings | None = None
