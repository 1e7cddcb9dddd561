"""The cases of the contest: who runs what, on how much, and what Burnish is to reach.

Plain values; imports nothing heavy, because the process that starts all others must stay small.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["sft", "dpo", "generation"]
Role: TypeAlias = Literal["burnish", "default", "best"]
LEARNING_RATE = {"lora": 2e-4, "qlora": 2e-4, "full": 2e-5}
MAX_LENGTH = 1024
MAX_NEW_TOKENS = 64
RANK = 16
ALPHA = 32


@dataclass(frozen=True)
class Contender:
    """One way of doing a case. Several of the role "best" stand for one peer: after the first round only the fastest
    of them runs on. `options` are the side's own: see `trl_side` and `transformers_side`."""

    name: str
    side: Literal["burnish", "trl", "transformers"]
    role: Role
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Goal:
    """How many times the speed of TRL's defaults and of TRL at its best, what part of its memory, and what share of the
    matrix-product ceiling; None where nothing is asked."""

    speed_default: float | None = None
    speed_best: float | None = None
    memory_default: float | None = None
    ceiling_share: float | None = None


@dataclass(frozen=True)
class Case:
    """One line of the contest. `batch` counts rows of a step; for generation `prompts` counts prompts."""

    name: str
    kind: Kind
    contenders: tuple[Contender, ...]
    goal: Goal
    adapter: Literal["lora", "qlora", "full"] = "lora"
    batch: int = 8
    steps: int = 3
    prompts: int = 0

    @property
    def unit(self) -> str:
        """What is counted a second."""
        return "pairs/s" if self.kind == "dpo" else "tokens/s"


@dataclass(frozen=True)
class Job:
    """What one process is to do once."""

    case: str
    kind: Kind
    adapter: str
    batch: int
    steps: int
    warmup: int
    model: str
    dtype: str
    seed: int
    workload: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """What one process measured: `amount` tokens or pairs in `seconds`, the peak of its resident memory, and the loss
    of every step, warm-up included. `failed` says why there is nothing."""

    amount: float = 0.0
    seconds: float = 0.0
    peak_bytes: int = 0
    losses: tuple[float, ...] = ()
    failed: str = ""

    @property
    def rate(self) -> float:
        """Amount a second; 0 when the run failed."""
        return self.amount / self.seconds if self.seconds else 0.0


BURNISH = Contender("burnish", "burnish", "burnish")
_SFT = (
    BURNISH,
    Contender("trl default", "trl", "default", ("checkpointing",)),
    Contender("trl grouped", "trl", "best", ("grouped",)),
    Contender("trl padding-free", "trl", "best", ("padding_free",)),
)
_DPO = (
    BURNISH,
    Contender("trl default", "trl", "default", ("checkpointing",)),
    Contender("trl precomputed", "trl", "best", ("grouped", "precomputed")),
)
_GENERATION = (
    BURNISH,
    Contender("generate, batch 8", "transformers", "best", ("8",)),
    Contender("generate, batch 32", "transformers", "best", ("32",)),
)
_LARGER = Contender("generate, batch 128", "transformers", "best", ("128",))
CASES = (
    Case("sft-lora", "sft", _SFT, Goal(6.0, 3.5, 0.4, 0.65)),
    Case("sft-full", "sft", _SFT, Goal(4.0, 3.0), adapter="full"),
    Case("sft-qlora", "sft", _SFT, Goal(4.0, 3.0, 0.35), adapter="qlora"),
    Case("dpo-lora", "dpo", _DPO, Goal(6.0, 4.0, 0.25), batch=4, steps=2),
    Case("generate-32", "generation", _GENERATION, Goal(speed_best=3.0), prompts=32),
    Case("generate-128", "generation", (*_GENERATION, _LARGER), Goal(speed_best=3.0), prompts=128),
)


def write(path: Path, value: Job | Measured) -> None:
    """Write a job or a result for another process."""
    path.write_text(json.dumps(asdict(value)), encoding="utf-8")


def read_job(path: str) -> Job:
    """The job that was written."""
    value: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return Job(**value | {"options": tuple(value["options"])})


def read_measured(path: Path) -> Measured:
    """The result that was written."""
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return replace(Measured(**value), losses=tuple(value["losses"]))
