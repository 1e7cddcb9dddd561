"""The gate's decision, and what people's labels say of the judge that it went by."""

from __future__ import annotations

from burnish.artefacts.ground import Arm, Artefact, Outcome


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
