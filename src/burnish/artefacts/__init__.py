"""What a stage hands to the next: frozen values that are saved as JSON in the run folder and carry digests.

Paths inside an artefact are relative to the run folder, with forward slashes, so that a run folder can be moved.
Digests are SHA-256, hex. Rates and scores are fractions of one, never per cent. `None` means "not measured",
never zero.
"""

from __future__ import annotations

from burnish.artefacts.audited import AuditReport, Candidate, DetectorSummary, Finding
from burnish.artefacts.decided import CalibratedRate, Calibration, CorrectedRule, Decision, RuleResult
from burnish.artefacts.evaluated import (
    RESPONSE_COLUMNS,
    Companion,
    Evaluation,
    Motif,
    PhraseTried,
    Probe,
    Root,
    SuiteResult,
)
from burnish.artefacts.ground import (
    REFUSALS,
    Arm,
    Artefact,
    CompanionArm,
    ModelIdentity,
    Outcome,
    RecordKind,
    Side,
    SuiteKind,
    Verdict,
)
from burnish.artefacts.prepared import DataFile, Dataset
from burnish.artefacts.released import Drift, Merge, Release
from burnish.artefacts.repaired import Repair, RepairTrial
from burnish.artefacts.trained import CalibrationBin, LengthBaseline, Losses, RewardModelReport, Share, TrainedModel

__all__ = [
    "REFUSALS",
    "RESPONSE_COLUMNS",
    "Arm",
    "Artefact",
    "AuditReport",
    "CalibratedRate",
    "Calibration",
    "CalibrationBin",
    "Candidate",
    "Companion",
    "CompanionArm",
    "CorrectedRule",
    "DataFile",
    "Dataset",
    "Decision",
    "DetectorSummary",
    "Drift",
    "Evaluation",
    "Finding",
    "LengthBaseline",
    "Losses",
    "Merge",
    "ModelIdentity",
    "Motif",
    "Outcome",
    "PhraseTried",
    "Probe",
    "RecordKind",
    "Release",
    "Repair",
    "RepairTrial",
    "RewardModelReport",
    "Root",
    "RuleResult",
    "Share",
    "Side",
    "SuiteKind",
    "SuiteResult",
    "TrainedModel",
    "Verdict",
]
