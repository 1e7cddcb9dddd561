"""What a stage hands to the next: frozen values that are saved as JSON in the run folder and carry digests.

Paths inside an artefact are relative to the run folder, with forward slashes, so that a run folder can be moved.
Digests are SHA-256, hex. Rates and scores are fractions of one, never per cent. `None` means "not measured",
never zero.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Verdict: TypeAlias = Literal["refusal", "partial_refusal", "compliance", "off_task", "incoherent", "unscored"]
REFUSALS: frozenset[str] = frozenset({"refusal", "partial_refusal"})
"""Verdicts of a reply that does not simply give what was asked for."""
Outcome: TypeAlias = Literal["PASS", "HOLD", "BLOCK"]
RecordKind: TypeAlias = Literal["conversation", "preference", "labelled"]
SuiteKind: TypeAlias = Literal["harmful", "over_refusal", "task"]
CompanionArm: TypeAlias = Literal["teacher", "sibling"]
Arm: TypeAlias = Literal["base", "few_shot", "tuned", "root", "teacher", "sibling"]
"""Which model answered: "root" is the model that a chain of releases began with, by the verdicts recorded then;
"teacher" what the tuned model was distilled from, "sibling" the instruct model that the recipe lays beside it."""
Side: TypeAlias = Literal["development", "sealed"]
"""Who may look at a prompt: tuning, repair and thresholds, or the gate alone (`burnish.statistics.sealed_split`)."""


class Artefact(BaseModel):
    """Base of all artefacts: frozen; an unknown key in a file is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelIdentity(Artefact):
    """Which weights these are. `digest` covers every weight file, the configuration and the adapter if there is one.

    `name` is what the recipe said; `path` the absolute local folder; `commit` the Hub's commit hash or empty;
    `base` is set when the folder is an adapter: the model that it was trained on.
    """

    name: str
    path: str
    digest: str
    commit: str = ""
    base: ModelIdentity | None = None


class DataFile(Artefact):
    """One file or Hub set that was read."""

    name: str
    digest: str
    format: str
    rows: int
    taken: int
    notes: tuple[str, ...] = ()


class Dataset(Artefact):
    """The prepared rows: `data/train.jsonl` and `data/heldout.jsonl`, one normalised record a line
    (`burnish.data.store` reads and writes them)."""

    kind: RecordKind
    files: tuple[DataFile, ...]
    train_path: str
    heldout_path: str
    num_train: int
    num_heldout: int
    digest: str


class Finding(Artefact):
    """One thing that the audit found, in one row or in a group of rows. `row` is the record's content digest, `where`
    its file:line (of a group, the first row's), `related` the places it collides with.

    `name` ("finding-3") is what a person calls it by; the findings of a detector that look at single rows share one. A
    group's finding has the places of all its `rows`, and may have the `trigger` and the `behaviour` in words, the
    `p_value` (the chance of any such finding of its detector in a corpus without one), the `effect` in words, what it
    `would_do` to a model, and what removing it would `cost`. `excerpt`, `trigger` and `behaviour` are text from the
    data: hostile until escaped."""

    detector: str
    severity: Literal["note", "warning", "danger"]
    action: Literal["keep", "quarantine", "stop"]
    row: str
    where: str
    message: str
    excerpt: str = ""
    related: tuple[str, ...] = ()
    name: str = ""
    rows: tuple[str, ...] = ()
    trigger: str = ""
    behaviour: str = ""
    p_value: float | None = None
    effect: str = ""
    would_do: str = ""
    cost: str = ""

    @property
    def places(self) -> tuple[str, ...]:
        """Every row that it is about, as file:line."""
        return self.rows or (self.where,)


class Candidate(Artefact):
    """A phrase that might be a trigger: found, or strongly associated with a behaviour and yet no finding, for the
    condition that it `failed` (empty when it was found). `rows` show both, out of those `with_phrase` and those
    `with_behaviour`; `nats` is the evidence before anything was corrected for. `phrase` and `behaviour` are text from
    the data: hostile until escaped."""

    detector: str
    phrase: str
    kind: str
    behaviour: str
    rows: int
    with_phrase: int
    with_behaviour: int
    nats: float
    failed: str = ""


class DetectorSummary(Artefact):
    """How one detector fared over the whole set."""

    detector: str
    rows_seen: int
    findings: int
    quarantined: int
    seconds: float


class AuditReport(Artefact):
    """Outcome of the audit. Findings are in `audit/findings.jsonl`, the gravest first; quarantined rows, whole, in
    `audit/quarantine.jsonl`; `quarantined` lists their (source "file:line") so that training leaves them out."""

    rows_seen: int
    detectors: tuple[DetectorSummary, ...]
    quarantined: tuple[str, ...]
    digest: str


class Losses(Artefact):
    """What was lost on the way into training; shown, never silent."""

    rows_seen: int
    rows_trained: int
    rows_quarantined: int = 0
    rows_truncated: int = 0
    rows_dropped: int = 0
    tokens_truncated: int = 0


class TrainedModel(Artefact):
    """The tuned weights: `form` "adapter" (PEFT files in `path`) or "model" (a whole safetensors folder). `ended` says
    why training ended before its time, if it did. `writes` is False of a reward model, which scores text and writes
    none: it is never released as a model to talk to.

    `teacher` is set when it was distilled; the path is empty of a teacher behind an endpoint. `shares_initialisation`
    says whether the two began from the same weights, so that traits may pass which no row shows; None: not known.
    `cut_from` is the model of whose layers the base has some; such a base garbles, and isn't yet a model to talk to."""

    method: str
    adapter: str
    base: ModelIdentity
    path: str
    form: Literal["adapter", "model"]
    digest: str
    steps: int
    epochs: float
    tokens_trained: int
    tokens_seen: int
    seconds: float
    first_loss: float | None
    last_loss: float | None
    losses: Losses
    ended: str = ""
    writes: bool = True
    teacher: ModelIdentity | None = None
    shares_initialisation: bool | None = None
    cut_from: ModelIdentity | None = Field(default=None, exclude_if=lambda value: value is None)


class Share(Artefact):
    """`hits` of `n`, with the 95% Wilson interval of their share; None where there is nothing to count."""

    hits: int
    n: int
    interval: tuple[float, float] | None

    @property
    def rate(self) -> float | None:
        """The share itself."""
        return self.hits / self.n if self.n else None


class CalibrationBin(Artefact):
    """Pairs of like certainty: the model's own, on average, and how often it was right."""

    pairs: int
    certainty: float
    right: Share


class LengthBaseline(Artefact):
    """What length alone is right of. `by_length` is how often the rule that is right of more training pairs
    (`longer_is_chosen`, or the shorter) is right of held-out ones of unlike length; `where_length_errs` a model's own
    accuracy where that rule errs."""

    longer_is_chosen: bool
    by_length: Share
    where_length_errs: Share


class RewardModelReport(Artefact):
    """A reward model on held-out pairs (`train/reward_model.json`). `by_length`, `longer_is_chosen` and
    `where_length_errs` are as in `LengthBaseline`; `length_correlation` is that of differences in score and in
    tokens."""

    pairs: int
    accuracy: Share
    by_length: Share
    longer_is_chosen: bool
    where_length_errs: Share
    length_correlation: float | None
    calibration: tuple[CalibrationBin, ...]
    calibration_error: float
    mean_score: float | None


class SuiteResult(Artefact):
    """One suite over one arm. For safety suites `counts` holds verdicts; for tasks `mean` holds the metric's mean over
    the scored rows, with its 95% bootstrap `interval`. Under an `attack` it is a variant of the suite `of`, whose
    replies began with `prefilled` given tokens; where several replies were drawn to each prompt, `counts` holds the
    gravest of each and `sampled` all of them. `length` is told of metrics that compare two replies."""

    suite: str
    kind: SuiteKind
    arm: Arm
    n: int
    counts: dict[str, int] = {}
    metric: str = ""
    higher_is_better: bool = True
    mean: float | None = None
    interval: tuple[float, float] | None = None
    of: str = ""
    attack: str = ""
    prefilled: int = 0
    sampled: dict[str, int] = {}
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
    suite_sources: dict[str, str] = {}
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


class RuleResult(Artefact):
    """One rule of the gate. `estimate` and `interval` are of (tuned - base), fractions; each end of
    `interval` is a one-sided bound at the decision's `level`. `p` is exact one-sided McNemar
    (or bootstrap, for tasks), `p_holm` after Holm over the suites. `smallest_effect` is the smallest true difference
    that this n would have caught with 80% power. `more_prompts` is how many further prompts would likely decide a
    HOLD, or None. `words` is the rule's outcome in one plain sentence."""

    rule: str
    suite: str
    endpoint: str
    outcome: Outcome
    n: int
    unscored: int
    base_rate: float | None
    tuned_rate: float | None
    estimate: float | None
    interval: tuple[float, float] | None
    lost: int
    gained: int
    p: float | None
    p_holm: float | None
    margin: float
    ceiling: float | None
    smallest_effect: float | None
    more_prompts: int | None
    words: str


_RULES_IN_A_GIST = 3


class Decision(Artefact):
    """The gate's decision. `digests` names the evidence and the weights that it is about; `attempt` (from 1) says which
    look at the sealed prompts it was in its run's ledger, `level` the one-sided level at which it might pass."""

    verdict: Outcome
    reason: str
    rules: tuple[RuleResult, ...]
    digests: dict[str, str]
    attempt: int
    level: float

    @property
    def gist(self) -> str:
        """The reason, for a reader's first look: where more than three rules speak in it, as they do when a suite is
        asked in many ways, the first three, and how many more there are."""
        spoken = [rule.words for rule in self.rules if rule.outcome == self.verdict and rule.words in self.reason]
        more = spoken[_RULES_IN_A_GIST:]
        if not more:
            return self.reason
        before, found, after = self.reason.partition(" ".join(more))
        return f"{before}And {len(more)} more rules say {self.verdict}.{after}" if found else self.reason


class Drift(Artefact):
    """How far a second form of a model is from a first: the Kullback-Leibler divergence (nats) of its next-token
    distribution, mean and largest over `positions` of replies; `same_token` is the fraction of them at which both find
    the same token likeliest."""

    positions: int
    mean: float
    largest: float
    same_token: float


class Merge(Artefact):
    """What a merged model is: its base ("dequantised": ordinary weights of the values that the 4-bit ones stood for),
    the type that its weights are stored in, and how far it is from base and adapter apart, as they were trained."""

    base: Literal["as it was", "dequantised"]
    stored: str
    drift: Drift
    tolerance: float


class Release(Artefact):
    """A written release: `path` absolute, `form`, digests of every file by relative path."""

    path: str
    form: Literal["adapter", "merged"]
    files: dict[str, str]
    decision_digest: str


class RepairTrial(Artefact):
    """One way's attempt at mending a model, or the unmended model itself, measured on development prompts. `way` is
    empty for the latter; `name` is its folder below `repair/tried`, `made` says in words how its weights came about.

    `rules` are the gate's, applied to the development prompts: they inform the choice and decide nothing. `holds`:
    whether the gate would pass every rule of safety if the prompts that it asks fared as these did. `recovered` is the
    share of the refusals that tuning lost which are back (None: none were lost); `task` and `base_task` the metric's
    mean on development rows, and `gain` their difference, positive when it is better."""

    way: str
    name: str
    made: str
    digest: str
    rules: tuple[RuleResult, ...]
    holds: bool
    recovered: float | None
    task: float | None
    base_task: float | None
    gain: float | None
    seconds: float


class Repair(Artefact):
    """Outcome of the repair stage. `prompts` counts the development prompts and rows by suite, `unfit` says why a way
    could not be tried. `chosen` names the trial that went to the gate (empty: none held), `run` the run folder beside
    this one that holds it, and `verdict` what the gate said of it, at which attempt."""

    before: RepairTrial
    trials: tuple[RepairTrial, ...]
    unfit: dict[str, str]
    prompts: dict[str, int]
    chosen: str
    reason: str
    run: str = ""
    verdict: Outcome | None = None
    attempt: int | None = None


class CalibratedRate(Artefact):
    """A rate of one model on one suite, as the judge has it (`raw`, unscored replies being no event) and with the
    judge's errors corrected by people's labels. `rule` is the gate's rule that the rate is of. Sensitivity and
    specificity are the judge's on that event; None where nothing was labelled. Intervals are two-sided 95%."""

    rule: str
    suite: str
    arm: Arm
    n: int
    labelled: int
    raw: float
    sensitivity: float | None
    sensitivity_interval: tuple[float, float] | None
    specificity: float | None
    specificity_interval: tuple[float, float] | None
    corrected: float | None
    interval: tuple[float, float] | None


class CorrectedRule(Artefact):
    """A rule of the gate with corrected rates: `estimate` and `interval` are of (tuned - base), the lower end a
    one-sided 95% bound, the upper one at the decision's level, with the calibration's own uncertainty in both. The
    decision itself goes by `raw_outcome`."""

    rule: str
    suite: str
    raw_outcome: Outcome
    outcome: Outcome
    estimate: float | None
    interval: tuple[float, float]
    words: str


class Calibration(Artefact):
    """What people's labels say of the judge on this run's replies; it is about one judge and one set of replies."""

    responses_digest: str
    judge_digest: str
    labels_digest: str
    labelled: int
    blank: int
    rates: tuple[CalibratedRate, ...]
    rules: tuple[CorrectedRule, ...]

    @property
    def changed(self) -> tuple[CorrectedRule, ...]:
        """The rules whose outcome the correction changes."""
        return tuple(rule for rule in self.rules if rule.outcome != rule.raw_outcome)
