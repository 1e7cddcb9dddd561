"""Runs the contenders of a case in turn, each time in a process of its own, as many rounds as asked."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from contest.plan import Case, Contender, Job, Measured, read_measured, write
from contest.process import python


@dataclass(frozen=True)
class Choice:
    """What the command line chose: the same for all contenders."""

    model: str
    dtype: str
    repeats: int
    steps: int | None
    warmup: int
    seed: int = 0


@dataclass
class Outcome:
    """All that was measured in a case: for each contender a result a round (None in rounds that it did not run in),
    and the ceiling of each round, in operations a second. `work` describes the rows."""

    case: Case
    work: dict[str, object]
    rounds: dict[str, list[Measured | None]] = field(default_factory=dict)
    ceilings: list[float] = field(default_factory=list)

    def fastest(self, role: str) -> Contender | None:
        """The contender of that role with the highest median rate; None when none of them finished a round."""
        able = [contender for contender in self.case.contenders if contender.role == role and self.rates(contender)]
        return max(able, key=lambda contender: median(self.rates(contender)), default=None)

    def rates(self, contender: Contender) -> list[float]:
        """The rates of the rounds that it finished."""
        return [found.rate for found in self.rounds.get(contender.name, []) if found and not found.failed]


def contest(case: Case, choice: Choice, only: str | None, tell: Callable[[str], None]) -> Outcome:
    """Measure one case. `only` leaves out all sides but one."""
    chosen = [c for c in case.contenders if only is None or (c.side == "burnish") == (only == "burnish")]
    with tempfile.TemporaryDirectory(prefix="burnish-bench-") as name:
        folder = Path(name)
        job = _job(case, choice, folder / "workload.json")
        work = _prepare(job, folder)
        outcome = Outcome(replace(case, contenders=tuple(chosen)), work, {c.name: [] for c in chosen})
        for number in range(choice.repeats):
            outcome.ceilings.append(_run("ceiling", job, folder).rate)
            for contender in chosen:
                runs = number == 0 or contender.role != "best" or contender == outcome.fastest("best")
                found = (
                    _run(f"{contender.side}_side", replace(job, options=contender.options), folder) if runs else None
                )
                outcome.rounds[contender.name].append(found)
                if found:
                    tell(f"{case.name}, round {number + 1}: {contender.name}: {_in_words(found, case)}")
    return outcome


def _job(case: Case, choice: Choice, workload: Path) -> Job:
    return Job(
        case=case.name,
        kind=case.kind,
        adapter=case.adapter,
        batch=case.prompts if case.kind == "generation" else case.batch,
        steps=choice.steps or case.steps,
        warmup=choice.warmup,
        model=choice.model,
        dtype=choice.dtype,
        seed=choice.seed,
        workload=str(workload),
        options=(),
    )


def _prepare(job: Job, folder: Path) -> dict[str, object]:
    """Choose the rows, in a process of its own; what they come to."""
    import json

    path = folder / "job.json"
    write(path, job)
    done = python(["-m", "contest.workload", str(path), job.workload])
    if done.returncode:
        sys.exit(f"{job.case}: the rows can't be prepared:\n{done.stderr[-3000:]}")
    work = json.loads(Path(job.workload).read_text(encoding="utf-8"))
    first = job.warmup * job.batch
    return {
        "data": work["data"],
        "tokens": sum(work["tokens"][first:]),
        "targets": sum(work["targets"][first:]),
        "linear_parameters": work["linear_parameters"],
        "head_parameters": work["head_parameters"],
    }


def _run(module: str, job: Job, folder: Path) -> Measured:
    job_path, result = folder / "job.json", folder / "result.json"
    write(job_path, job)
    result.unlink(missing_ok=True)
    done = python(["-m", f"contest.{module}", str(job_path), str(result)])
    if done.returncode == 0 and result.exists():
        return read_measured(result)
    if done.returncode < 0:
        return Measured(failed=f"killed by signal {-done.returncode} (out of memory?)")
    said = [line for line in done.stderr.strip().splitlines() if line.strip() and not line.startswith("hint:")]
    return Measured(failed=said[-1][:300] if said else f"exit code {done.returncode}")


def _in_words(found: Measured, case: Case) -> str:
    if found.failed:
        return f"failed: {found.failed}"
    losses = f", loss {found.losses[0]:.4f} -> {found.losses[-1]:.4f}" if found.losses else ""
    return f"{found.rate:.4g} {case.unit}, peak {found.peak_bytes / 1e9:.2f} GB{losses}"
