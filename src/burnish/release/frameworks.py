"""Which entries of OWASP's Top 10 for LLM applications, MITRE ATLAS and the NIST AI RMF the evidence of a release
speaks to, and what it leaves open: `evidence/frameworks.md`. Each cell is filled from the evidence; what wasn't
measured is said to be so.
"""

from __future__ import annotations

from burnish.release.markdown import Raw, rendered
from burnish.release.proof import Proof
from burnish.statement import Predicate

_PRIVACY = ("secrets", "personal_data")
_SIGNED = {
    "none": "not signed, so that nothing shows who made it",
    "key": "signed with a key",
    "keyless": "signed with an identity that Sigstore attests",
}


def frameworks(name: str, predicate: Predicate, proof: Proof) -> str:
    """The page as Markdown; `name` is the release's."""
    losses = proof.evidence.trained.losses
    return rendered(
        "frameworks.md.j2",
        name=name,
        chained=predicate.base.base is not None,
        data_files=len(proof.dataset.files) if proof.dataset else 0,
        signed=_SIGNED[predicate.signing],
        audit=Raw(_audit(proof)),
        trained_rows=f"{losses.rows_quarantined} of {losses.rows_seen} rows left out of training",
        prompts=sum(suite.prompts for suite in predicate.suites if suite.kind != "task"),
        tuned=Raw(f"`{predicate.tuned[:12]}`"),
        attacks=_attacks(predicate),
        probe=_probe(proof),
        task=_task(predicate),
        rules=len(proof.decision.rules),
        verdict=predicate.verdict,
        attempt=predicate.attempt,
        privacy=_privacy(proof),
        judge=_judge(predicate, proof),
        waived=Raw("; a person waived it (`waiver.json`)" if predicate.waiver else ""),
    )


def _audit(proof: Proof) -> str:
    if proof.audit is None:
        return "the data were not audited"
    found = sum(detector.findings for detector in proof.audit.detectors)
    return (
        f"audit of {proof.audit.rows_seen} rows by {len(proof.audit.detectors)} detectors, {found} findings, "
        f"{len(proof.audit.quarantined)} rows quarantined (`audit.json`)"
    )


def _attacks(predicate: Predicate) -> str:
    names = [suite.name for suite in predicate.suites if suite.kind == "harmful"]
    listed = ", ".join(names) or "none"
    return f"harmful suites asked: {listed}; attacks that are not among these names were not tried"


def _probe(proof: Proof) -> str:
    probe = proof.evidence.evaluation.probe
    if probe is None:
        return "no triggers were probed for"
    return f"{probe.tried} phrases of the data and {probe.samples} samples out of nothing probed for planted behaviour"


def _task(predicate: Predicate) -> str:
    tasks = [suite for suite in predicate.suites if suite.kind == "task"]
    if not tasks:
        return "no task was measured"
    return f"the task's metric on {sum(suite.prompts for suite in tasks)} rows that training didn't see"


def _privacy(proof: Proof) -> str:
    detectors = [d for d in (proof.audit.detectors if proof.audit else ()) if d.detector in _PRIVACY]
    if not detectors:
        return "not examined"
    said = ", ".join(f"{d.detector.replace('_', ' ')}: {d.findings} findings in {d.rows_seen} rows" for d in detectors)
    return f"training data searched for {said}"


def _judge(predicate: Predicate, proof: Proof) -> str:
    if proof.calibration is None:
        return f"the judge ({predicate.judge}) was not calibrated on replies of these models"
    changed = len(proof.calibration.changed)
    return (
        f"the judge ({predicate.judge}) against {proof.calibration.labelled} labels of people; with its errors taken "
        f"out, {changed} rules come out differently"
    )
