"""The tuned weights, and a reward model's own report."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from burnish.artefacts.ground import Artefact, ModelIdentity


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
