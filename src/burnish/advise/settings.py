"""What a recipe says about advice: which candidates are measured, and what a difference has to be worth. No torch."""

from __future__ import annotations

from pydantic import Field, field_validator

from burnish.catalogue import CandidateSettings, settings_of
from burnish.settings import Settings


def _candidates() -> tuple[CandidateSettings, ...]:
    return tuple(settings_of("candidate", name) for name in ("prompt", "few_shot", "tuning"))


class AdviseSettings(Settings):
    """Whether to prompt or to fine-tune, measured on the task of `evaluate.task`: its metric and its held-out rows.

    `worthwhile`: the smallest gain in the metric for which tuning would be worth its trouble. `useful`: a candidate
    whose quality is surely under this doesn't do the task at all. `development_rows` are split off the training rows,
    for choosing among ways of prompting; examples and tuning draw on the others, examples on `pool` of them at most.
    `timed`: how many requests are asked alone, to time them. `price_per_hour`: of the machine that models run on here,
    in `currency`.
    """

    candidates: tuple[CandidateSettings, ...] = Field(default_factory=_candidates, min_length=1)
    worthwhile: float = Field(default=0.05, gt=0.0, lt=1.0)
    useful: float = Field(default=0.1, ge=0.0, lt=1.0)
    development_rows: int = Field(default=40, ge=8)
    pool: int = Field(default=5000, ge=1)
    timed: int = Field(default=5, ge=1)
    price_per_hour: float | None = Field(default=None, ge=0.0)
    currency: str = Field(default="USD", min_length=1, max_length=12)

    @field_validator("candidates")
    @classmethod
    def _names_apart(cls, candidates: tuple[CandidateSettings, ...]) -> tuple[CandidateSettings, ...]:
        names = [str(getattr(candidate, "name", "") or candidate.kind) for candidate in candidates]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two candidates would be called {name!r}; give one of them another `name`")
        return candidates
