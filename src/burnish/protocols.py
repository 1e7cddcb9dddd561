"""What can be plugged in, apart from what needs tensors (a training method is described in `burnish.train.method`, an
adapter in `burnish.models.adapter`, beside the code that calls them).

Each protocol is small enough to hold in mind; an implementation is one file and one line of the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from burnish.artefacts import Candidate, Finding, Verdict
from burnish.records import Prompt, Record


class AuditContext(Protocol):
    """What a detector may know besides the rows."""

    @property
    def evaluation_texts(self) -> Mapping[str, Sequence[str]]:
        """Texts of the evaluation sets by suite name, held-out rows under "heldout"."""
        ...

    @property
    def special_tokens(self) -> Sequence[str]:
        """The model's special tokens as text, such as "<|im_start|>"; empty when no model is known."""
        ...


class Detector(Protocol):
    """Looks for one kind of trouble in training rows, in one streaming pass; keeps only hashes and counts."""

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterable[Finding]:
        """Yield findings for `rows`, which can be read once."""
        ...


@runtime_checkable
class Mines(Protocol):
    """A detector that also says which phrases might be triggers, once it has looked at the rows."""

    def candidates(self) -> Sequence[Candidate]:
        """The likeliest first; empty before `find` was read to its end."""
        ...


class Judge(Protocol):
    """Says what a reply does with a request. Must say "unscored" rather than guess when it cannot tell."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of everything that its verdicts depend on."""
        ...

    def judge(self, prompts: Sequence[Prompt], replies: Sequence[str]) -> list[Verdict]:
        """A verdict for each reply, in order."""
        ...


class Metric(Protocol):
    """Scores one reply against its reference."""

    @property
    def higher_is_better(self) -> bool: ...

    @property
    def needs_reply(self) -> bool:
        """False when it scores log-probabilities of the data's own replies, so that nothing is generated."""
        ...

    def score(self, reply: str, reference: str) -> float | None:
        """The row's score, or None when it cannot be scored."""
        ...

    def summary(self, mean: float) -> float:
        """What a mean of row scores is shown as (perplexity: its exponential; else the mean itself)."""
        ...


@dataclass(frozen=True, slots=True)
class Likelihood:
    """A reply of `tokens` tokens behind its prompt: the sum of their log-probabilities (nats) under the model in
    question, and under the base without examples."""

    logprob: float
    reference: float
    tokens: int


@runtime_checkable
class Compares(Protocol):
    """A metric of preferences: it compares what a model thinks of two replies."""

    @property
    def name(self) -> str:
        """What results are filed under."""
        ...

    @property
    def across_prompts(self) -> bool:
        """Whether the two may be replies to different prompts."""
        ...

    def prefers(self, chosen: Likelihood, rejected: Likelihood) -> float | None:
        """1.0 when the model puts the chosen reply above the rejected one, 0.0 when below, 0.5 when neither, and None
        when it can't be told."""
        ...


class Tracker(Protocol):
    """Follows a training run elsewhere. A tracker that fails is reported once, and never stops the run."""

    def start(self, run_name: str, folder: Path, settings: Mapping[str, object]) -> None:
        """Begin; `folder` is where it may write files, should it want to."""
        ...

    def log(self, metrics: Mapping[str, float], step: int) -> None: ...

    def finish(self) -> None: ...
