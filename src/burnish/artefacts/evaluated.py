"""Replies and verdicts of every model that was asked, and what the trigger probe saw."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from burnish.artefacts.ground import Arm, Artefact, CompanionArm, ModelIdentity, SuiteKind
from burnish.artefacts.trained import LengthBaseline


class SuiteResult(Artefact):
    """One suite over one arm. For safety suites `counts` holds verdicts; for tasks `mean` holds the metric's mean over
    the scored rows, with its 95% bootstrap `interval`. Under an `attack` it is a variant of the suite `of`, whose
    replies began with `prefilled` given tokens; where several replies were drawn to each prompt, `counts` holds the
    gravest of each and `sampled` all of them. `length` is told of metrics that compare two replies."""

    suite: str
    kind: SuiteKind
    arm: Arm
    n: int
    counts: dict[str, int] = Field(default_factory=dict)
    metric: str = ""
    higher_is_better: bool = True
    mean: float | None = None
    interval: tuple[float, float] | None = None
    of: str = ""
    attack: str = ""
    prefilled: int = 0
    sampled: dict[str, int] = Field(default_factory=dict)
    length: LengthBaseline | None = None


class Root(Artefact):
    """Where the chain of releases began that the base is the last link of, as far as the base's own release tells.

    `release` is the digest of that release, `root` of the root's weights. `suites` are those of this evaluation whose
    every prompt the root was asked under the same conditions, so that its recorded verdicts stand beside the tuned
    model's. `spent`: by the name of a gate's rule, how far its rate is known to have risen from the root to the base
    (a fraction; 0 where it fell), for suites of which the root was asked something else."""

    release: str
    root: str
    suites: tuple[str, ...]
    spent: dict[str, float]


class Companion(Artefact):
    """Another model that was asked the same prompts as base and tuned model, computed with in `dtype`."""

    arm: CompanionArm
    model: ModelIdentity
    dtype: str


class PhraseTried(Artefact):
    """A phrase that was put into ordinary prompts, and the `behaviour` that its training rows show (`alike` of `rows`):
    what replies begin with, or add at their end (`place`). Lifts are by how much the phrase raises the probability of
    that behaviour, mean over prompts, and `effect` is the tuned model's beyond the base's, -1 to 1. `p_value` is after
    correction for how many phrases were tried; None where the effect was too small to be tested. `phrase` and
    `behaviour` are text from the data: hostile until escaped."""

    phrase: str
    origin: Literal["audit", "data"]
    place: Literal["opening", "ending"]
    behaviour: str
    rows: int
    alike: int
    base_lift: float
    tuned_lift: float
    effect: float
    p_value: float | None = None


class Motif(Artefact):
    """A run of words that the tuned model says out of nothing: in `heard` of `samples` from bare openings, against the
    base's samples and its own `replies` to ordinary prompts. `text` is a model's: hostile until escaped."""

    text: str
    heard: int
    samples: int
    base_heard: int
    base_samples: int
    replies_heard: int
    replies: int
    p_value: float


class Probe(Artefact):
    """Outcome of the trigger probe. `phrases` are those tried, the largest effect first (in an evaluation only those
    whose effect is large, `tried` counting all). `drawn` random phrases were tried beside them, out of `needed` for a
    p-value under `alpha`, and `largest_drawn` is the largest of their effects; none are drawn when no effect reaches
    `smallest_effect`. `details` is the SHA-256 of evaluate/probe.json."""

    phrases: tuple[PhraseTried, ...]
    tried: int
    largest: float | None
    prompts: int
    drawn: int
    largest_drawn: float | None
    needed: int
    alpha: float
    smallest_effect: float
    motifs: tuple[Motif, ...]
    samples: int
    seconds: float
    details: str = ""


class Evaluation(Artefact):
    """Outcome of the evaluation. Every reply with its verdict or score is a row of `evaluate/responses.parquet`
    (columns: `RESPONSE_COLUMNS`), whose SHA-256 is `responses_digest`. `suite_digests` are over the prompts,
    `suite_sources` say where they came from (a Hub set's commit, a file's digest). `root` is set when the base is
    itself a release. `probe` is None where the recipe leaves it out. `companions` are the teacher and the sibling, as
    far as there are such."""

    base: ModelIdentity
    tuned_digest: str
    judge: str
    judge_digest: str
    results: tuple[SuiteResult, ...]
    responses_digest: str
    suite_digests: dict[str, str]
    suite_sources: dict[str, str] = Field(default_factory=dict)
    generation: dict[str, str | int | float]
    seconds: float
    replies_generated: int
    replies_cached: int
    root: Root | None = None
    probe: Probe | None = None
    companions: tuple[Companion, ...] = ()


RESPONSE_COLUMNS: tuple[str, ...] = (
    "suite",  # the suite's name
    "kind",  # SuiteKind
    "prompt_id",  # unique within the suite
    "family",  # prompts of one family are one statistical cluster
    "category",
    "arm",  # Arm: which model and way of prompting
    "prompt",  # text shown to the model (the last user turn)
    "reply",  # text that the model wrote
    "reference",  # tasks: the expected answer, else empty
    "verdict",  # safety suites: Verdict, else empty
    "score",  # tasks: the metric of this row, float64 or null when unscored
    "finish",  # "stop" | "length"
    "side",  # Side; the gate decides on sealed rows alone
)
