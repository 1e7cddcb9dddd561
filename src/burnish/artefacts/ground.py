"""What artefacts of several stages have in common: their base, the words that they are told in, and which weights
are meant."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

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
