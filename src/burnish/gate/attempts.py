"""Attempts: every look at the sealed prompts is counted, and spends from the error budget.

`alpha` is the budget of a whole ledger, not of one decision. Attempt k may pass a model at the level alpha / 2^k, half
of what the attempts before it left, so that however often one asks, models at the margin pass with a probability of at
most alpha in all. Only what can lead to PASS is spent from; a regression is told at alpha by every attempt, since to
block once too often lets nothing out.

The bound is a union bound, so that attempts may depend on each other; it takes each model as made without regard to
single sealed replies. What a ledger sees is its own run folder: a model retrained under another name has another.

Source: alpha-spending for a sequence of tests, Foster and Stine 2008 (J. R. Stat. Soc. B 70:429-444), section 2; as
control of the family-wise error, Tian and Ramdas 2021 (Stat. Methods Med. Res. 30:976-993), section 3. The geometric
series is one of the sequences that sum to one.
"""

from __future__ import annotations

import json

from burnish.artefacts import Outcome
from burnish.errors import RunFolderError
from burnish.run_folder import RunFolder

ATTEMPTS = "gate/attempts.jsonl"
"""One line for each attempt: its key ("evidence") and the verdict that it came to."""


def level(alpha: float, attempt: int) -> float:
    """The one-sided level at which an attempt (from 1) may pass a model. Attempt 0 spends nothing and has all of
    `alpha`: for one decision taken alone."""
    return alpha / 2.0**attempt


def number_of(run: RunFolder, key: str) -> int:
    """The attempt's number: what it was if this look was taken before, else the next.

    Raises: RunFolderError when the ledger is broken.
    """
    known = _keys(run)
    return known.index(key) + 1 if key in known else len(known) + 1


def record(run: RunFolder, key: str, verdict: Outcome) -> None:
    """Count an attempt; one that was counted before isn't counted again.

    Raises: RunFolderError when the ledger is broken.
    """
    if key not in _keys(run):
        with run.file(ATTEMPTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"evidence": key, "verdict": verdict}) + "\n")


def _keys(run: RunFolder) -> list[str]:
    path = run.file(ATTEMPTS)
    if not path.exists():
        return []
    try:
        return [str(json.loads(line)["evidence"]) for line in path.read_text(encoding="utf-8").splitlines()]
    except (ValueError, KeyError, TypeError) as error:
        raise RunFolderError(
            f"{path}: not a list of attempts ({error}); nothing was decided",
            hint="bring the file back as the gate wrote it; a ledger that can't be read counts nothing",
        ) from error
