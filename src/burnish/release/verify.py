"""Checking a release: is every byte what it was, does the evidence in it still give its decision, does everything that
it says of itself follow from that evidence, and is it signed by whom it should be?

Reads the folder and nothing else; loads no model. Without a demanded signature it shows that the parts belong together,
not who made them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from burnish.artefacts import Decision, Outcome, TrainedModel
from burnish.errors import BurnishError, ReleaseError
from burnish.gate.stage import look, same_decision
from burnish.release import contents
from burnish.release.compute import estimated_flops
from burnish.release.files import Fault, check_files
from burnish.release.model_card import opening
from burnish.release.proof import Proof, predicate_of, read_proof
from burnish.release.signing import Trust, signature_fault
from burnish.statement import SIGNATURE, STATEMENT, Predicate, Statement, Waiver, read_statement
from burnish.strict_json import strict_json

SignatureState: TypeAlias = Literal["none", "unchecked", "good", "bad"]
_NOT_DERIVED = frozenset({"burnish_version", "signing"})


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What checking found. `digest` names the release as a whole (None when it can't be told), for comparing with one
    published elsewhere; `verdict` is that of the decision made again; `signature` is "unchecked" where there is one and
    none was demanded; `written_by` is the version of Burnish that the release names."""

    folder: Path
    files: int
    digest: str | None
    verdict: Outcome | None
    waiver: Waiver | None
    signature: SignatureState
    written_by: str
    faults: tuple[Fault, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found and the evidence gives PASS."""
        return not self.faults and self.verdict == "PASS"

    @property
    def is_waived(self) -> bool:
        """Whether nothing was found, and a person let the model out against the verdict."""
        return not self.faults and self.verdict != "PASS" and self.waiver is not None


def verify(folder: Path, trust: Trust | None = None) -> VerifyReport:
    """Check a release folder: every file, link and folder in it, its evidence, its decision, its weights' digest, what
    it says of itself and, where `trust` demands one, its signature.

    Raises: ReleaseError when `folder` isn't a release at all, or the signature can't be checked.
    """
    try:
        statement = read_statement(folder)
    except ReleaseError as error:
        if not os.path.lexists(folder / STATEMENT):
            raise
        what = error.message.removeprefix(f"{folder / STATEMENT}: ")
        return VerifyReport(folder, 0, None, None, None, "none", "", (Fault(STATEMENT, what),))
    faults = check_files(folder, statement.files, statement.predicate.weights)
    verdict, found = _check_evidence(folder, statement)
    signature, unsigned = _check_signature(folder, statement.predicate, trust or Trust())
    return VerifyReport(
        folder=folder,
        files=len(statement.subject),
        digest=statement.digest,
        verdict=verdict,
        waiver=statement.predicate.waiver,
        signature=signature,
        written_by=statement.predicate.burnish_version,
        faults=tuple(faults + found + unsigned),
    )


def _check_evidence(folder: Path, statement: Statement) -> tuple[Outcome | None, list[Fault]]:
    """The verdict that the evidence gives, and what doesn't fit it."""
    said = statement.predicate
    try:
        proof = read_proof(folder)
        again = proof.decided_again()
        expected = predicate_of(proof, said.form, said.signing, said.weights)
    except BurnishError as error:
        return None, [Fault("evidence", f"the decision can't be made again ({error.message.splitlines()[0]})")]
    faults = [
        *_check_decision(proof, again),
        *_check_weights(statement, proof.evidence.trained),
        *_check_compute(proof),
        *_check_predicate(said, expected),
        *_check_bill(folder, expected, proof),
        *_check_card(folder, again.verdict, proof.waiver),
    ]
    return again.verdict, faults


def _check_decision(proof: Proof, again: Decision) -> Iterator[Fault]:
    decision, waiver = proof.decision, proof.waiver
    if not same_decision(decision, again):
        yield Fault(contents.DECISION, f"isn't the decision that the evidence gives ({again.verdict})")
    if waiver is None and again.verdict != "PASS":
        yield Fault(contents.DECISION, f"the evidence gives {again.verdict}, and only PASS may be released")
    if waiver and (waiver.verdict != again.verdict or waiver.decision != proof.files[contents.DECISION]):
        yield Fault(contents.WAIVER, "is about another decision")
    entry = (look(again.digests, proof.evidence.evaluation), decision.verdict)
    if not 1 <= decision.attempt <= len(proof.attempts) or proof.attempts[decision.attempt - 1] != entry:
        yield Fault(contents.ATTEMPTS, f"doesn't have this decision as number {decision.attempt}")


def _check_weights(statement: Statement, trained: TrainedModel) -> Iterator[Fault]:
    """Whether the weights are those that the decision is about."""
    said = statement.predicate
    if said.tuned != trained.digest or contents.weights_digest(said.weights, trained) != trained.digest:
        yield Fault(STATEMENT, "names other weights than those that the decision is about")
    if said.form == "adapter" and trained.form != "adapter":
        yield Fault(STATEMENT, "says that it holds an adapter, but a whole model was measured")
    elif (trained.form == "adapter") == (said.form == "adapter"):
        files = statement.files
        for name, digest in said.weights.items():
            if files.get(name) != digest:
                yield Fault(name, "isn't the file that was measured")


def _check_compute(proof: Proof) -> Iterator[Fault]:
    compute, tokens = proof.compute, proof.evidence.trained.tokens_seen
    if compute is None:
        return
    flops = estimated_flops(compute.parameters, compute.trained, compute.tokens)
    if compute.tokens != tokens or compute.flops != flops:
        yield Fault(contents.COMPUTE, "isn't what the tokens and parameters come to")


def _check_predicate(said: Predicate, expected: Predicate) -> Iterator[Fault]:
    for name in Predicate.model_fields:
        if name not in _NOT_DERIVED and getattr(said, name) != getattr(expected, name):
            yield Fault(STATEMENT, f"what it says of {name} doesn't follow from the evidence")


def _check_bill(folder: Path, predicate: Predicate, proof: Proof) -> Iterator[Fault]:
    from burnish.release.bill_of_materials import bill_of_materials, is_same

    try:
        found = strict_json(_ordinary(folder / contents.BILL))
        name = str(found["metadata"]["component"]["name"])
        expected = strict_json(bill_of_materials(name, predicate, proof).encode())
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        yield Fault(contents.BILL, f"can't be understood ({error})")
        return
    if not is_same(found, expected):
        yield Fault(contents.BILL, "isn't the bill of what the evidence names")


def _check_card(folder: Path, verdict: Outcome, waiver: Waiver | None) -> Iterator[Fault]:
    try:
        text = _ordinary(folder / contents.CARD).decode("utf-8")
    except (OSError, ValueError) as error:
        yield Fault(contents.CARD, f"can't be read ({error})")
        return
    body = text.split("\n---\n\n", 1)[-1]
    if not body.startswith(opening(waiver) or "# ") or f"\n## Verdict: {verdict}\n" not in body:
        yield Fault(
            contents.CARD, f"doesn't tell the verdict {verdict}" + (", or that it was waived" if waiver else "")
        )


def _ordinary(path: Path) -> bytes:
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ValueError("is no ordinary file")
    return path.read_bytes()


def _check_signature(folder: Path, said: Predicate, trust: Trust) -> tuple[SignatureState, list[Fault]]:
    path = folder / SIGNATURE
    there = path.is_file() and not path.is_symlink()
    faults = []
    if there and said.signing == "none":
        faults.append(Fault(SIGNATURE, "was added: the statement says that the release isn't signed"))
    if not there and said.signing != "none":
        faults.append(Fault(SIGNATURE, "is missing, though the statement says that the release is signed"))
    if not trust.is_demanded:
        return ("unchecked" if there else "none"), faults
    if not there:
        return "none", [*faults, Fault(SIGNATURE, "isn't there, though a signature is demanded")]
    fault = signature_fault(folder, trust)
    if fault:
        return "bad", [*faults, Fault(SIGNATURE, f"isn't the demanded one over this folder: {fault[:300]}")]
    return "good", faults
