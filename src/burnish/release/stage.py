"""The release: a passed model, written for others to use with its proof beside it. There is no other way out.

It decides again from the evidence before it writes, and checks that the weights on disk are those that were measured.
A release appears whole or not at all.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import yaml

from burnish.artefacts import Artefact, Calibration, Decision, Merge, Release
from burnish.errors import GateRefusal, ReleaseError
from burnish.gate.evidence import Evidence, read_evidence, without_folders
from burnish.gate.stage import ATTEMPTS as RUN_ATTEMPTS
from burnish.gate.stage import DECISION as RUN_DECISION
from burnish.gate.stage import decision_of, same_decision, settings_of_run
from burnish.models.base_form import read_base_form
from burnish.models.fingerprint import model_files
from burnish.models.settings import ModelSettings
from burnish.release import contents
from burnish.release.bill_of_materials import bill_of_materials
from burnish.release.compute import compute_of
from burnish.release.frameworks import frameworks
from burnish.release.model_card import Card, model_card
from burnish.release.proof import predicate_of, read_proof
from burnish.release.settings import ReleaseSettings
from burnish.release.signing import Signer, check_signer, sign
from burnish.release.verify import verify
from burnish.run_folder import RunFolder, file_digest
from burnish.statement import STATEMENT, Form, Statement, Waiver, is_release, read_statement, subjects

RUN_CALIBRATION = "evaluate/calibration.json"
_DRIFT_ROWS = 32


@dataclass(frozen=True)
class Waiving:
    """A person's word that the model is to go out against the verdict: why, and who says so."""

    reason: str
    by: str


@dataclass(frozen=True)
class Passed:
    """A decision that was made again and found the same, its evidence, and the weights that it is about. `waiver` is
    set when a person lets them out although it isn't PASS."""

    decision: Decision
    evidence: Evidence
    model: ModelSettings
    weights: Path
    waiver: Waiver | None = None


def release(
    settings: ReleaseSettings, run: RunFolder, target: Path, *, password: str = "", waiving: Waiving | None = None
) -> Release:
    """Write the run's model and its evidence to `target`, which must not exist or be empty. A relative `settings.key`
    is taken from the current folder; `password` opens it where it is encrypted.

    Raises: GateRefusal when the decision isn't PASS and nobody waives that, or there is nothing to waive, it isn't what
    the evidence gives, or is about other weights; ReleaseError when the form, the target or the signature can't be had;
    ModelError when the base can't be loaded for merging, or merging moves the model's replies too far.
    """
    passed = check_passed(run, waiving)
    form = _form(settings, passed)
    signer = _signer(settings, password)
    _check_target(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        made = _write(passed, run, form, settings, work / (target.resolve().name or "release"))
        if signer:
            sign(made, signer)
        os.chmod(made, 0o755)
        os.replace(made, target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise ReleaseError(
                f"{target}: no space left on the device; nothing was released", hint="free some space and try again"
            ) from error
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return _as_released(target, form)


def released_before(settings: ReleaseSettings, run: RunFolder, target: Path) -> Release | None:
    """The release that `target` holds already, if it is whole, of this run's very decision, and signed in the way that
    the settings say; else None."""
    if not is_release(target) or not verify(target).ok:
        return None
    said = read_statement(target).predicate
    if said.decision != file_digest(run.file(RUN_DECISION)) or said.signing != settings.signing:
        return None
    return _as_released(target, said.form)


def check_passed(run: RunFolder, waiving: Waiving | None = None) -> Passed:
    """Demand a PASS that still stands, or another verdict that still stands and a person who waives it.

    Raises: GateRefusal with the reason when there is none.
    """
    if not run.file(RUN_DECISION).is_file():
        raise GateRefusal(
            f"{run.path}: no decision was made on this model; nothing was released",
            hint=f"decide first: burnish gate {run.path}",
        )
    decision = run.load(RUN_DECISION, Decision)
    if decision.verdict != "PASS" and waiving is None:
        raise GateRefusal(f"the gate says {decision.verdict}; nothing was released. {decision.gist}")
    if decision.verdict == "PASS" and waiving is not None:
        raise GateRefusal(
            "the gate says PASS, so there is nothing to waive; nothing was released", hint="leave --waive out"
        )
    evidence = read_evidence(run)
    again = decision_of(settings_of_run(run), evidence, decision.attempt)
    if again.verdict != decision.verdict:
        raise GateRefusal(
            f"{run.path}: the recorded decision is {decision.verdict}, but the evidence gives {again.verdict}; nothing "
            f"was released. {again.reason}",
            hint=f"look at the decision made anew: burnish gate {run.path}",
        )
    if not same_decision(decision, again):
        raise GateRefusal(
            f"{run.file(RUN_DECISION)}: isn't the decision that the evidence gives; it was changed, or the evidence or "
            "the recipe was, and nothing was released",
            hint=f"decide anew: burnish gate {run.path}",
        )
    model, weights = _check_weights(run, evidence)
    return Passed(decision, evidence, model, weights, _waiver(run, decision, waiving))


def _waiver(run: RunFolder, decision: Decision, waiving: Waiving | None) -> Waiver | None:
    if waiving is None or decision.verdict == "PASS":
        return None
    reason, by = " ".join(waiving.reason.split()), " ".join(waiving.by.split())
    if not reason or not by:
        raise ReleaseError(
            "--waive: got an empty reason or name, expected who waives the verdict and why; nothing was released",
            hint='say both: --waive "reason" --by NAME',
        )
    return Waiver(reason=reason, by=by, verdict=decision.verdict, decision=file_digest(run.file(RUN_DECISION)))


def _signer(settings: ReleaseSettings, password: str) -> Signer | None:
    """Who signs, found able to; None when nobody does."""
    if settings.signing == "none":
        return None
    signer = Signer(Path(settings.key).expanduser(), password) if settings.signing == "key" else Signer()
    check_signer(signer)
    return signer


def _as_released(target: Path, form: Form) -> Release:
    files = contents.digests_of(target)
    return Release(path=str(target.resolve()), form=form, files=files, decision_digest=files[contents.DECISION])


def _check_weights(run: RunFolder, evidence: Evidence) -> tuple[ModelSettings, Path]:
    from burnish.models.load import identify

    folder = run.file(evidence.trained.path)
    if not folder.is_dir():
        raise GateRefusal(f"{folder}: the tuned weights are missing; nothing was released", hint="train again")
    model = ModelSettings.model_validate(yaml.safe_load(run.file("recipe.yaml").read_text(encoding="utf-8"))["model"])
    found = identify(model.made_into(folder)).digest
    if found != evidence.trained.digest:
        raise GateRefusal(
            f"{folder}: the weights' digest is {found[:12]}, but the decision is about {evidence.trained.digest[:12]}; "
            "they or their base were changed after they were measured, and nothing was released",
            hint="train, evaluate and decide again: burnish run RECIPE",
        )
    return model, folder


def _form(settings: ReleaseSettings, passed: Passed) -> Form:
    trained = passed.evidence.trained
    if settings.form == "auto":
        return "adapter" if trained.form == "adapter" else "merged"
    if settings.form == "adapter" and trained.form != "adapter":
        raise ReleaseError(
            f"release.form: got adapter, but adapter {trained.adapter!r} trained a whole model; nothing was released",
            hint="use the form merged, or auto",
        )
    return settings.form


def _check_target(target: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise ReleaseError(f"{target}: is a link or a file, expected a new folder; nothing was released")
    if target.exists() and any(target.iterdir()):
        raise ReleaseError(
            f"{target}: isn't empty, expected a new or empty folder; nothing was released",
            hint="choose another folder with --to",
        )


def _write(passed: Passed, run: RunFolder, form: Form, settings: ReleaseSettings, folder: Path) -> Path:
    trained = passed.evidence.trained
    merge = None
    if form == "merged" and trained.form == "adapter":
        from burnish.models.merge import merge_to_folder

        merge = merge_to_folder(
            passed.model, passed.weights, folder, expected=trained.base, exchanges=_some_replies(run),
            tolerance=settings.drift_tolerance,
        )  # fmt: skip
    else:
        folder.mkdir()
        _copy_weights(passed, folder)
    _write_evidence(passed, run, merge, folder)
    _write_pages(passed, run.name, form, settings, folder)
    return folder


def _write_pages(passed: Passed, name: str, form: Form, settings: ReleaseSettings, folder: Path) -> None:
    """What is said of the release, from the evidence that lies in the folder by now; the statement last, since it
    covers the rest."""
    proof = read_proof(folder)
    weights = {path.name: file_digest(path) for path in model_files(passed.weights)}
    predicate = predicate_of(proof, form, settings.signing, weights)
    card = Card(name, predicate, proof, passed.evidence.trained.base, read_base_form(passed.weights))
    for file, text in (
        (contents.BILL, bill_of_materials(name, predicate, proof)),
        (contents.FRAMEWORKS, frameworks(name, predicate, proof)),
        (contents.CARD, model_card(card)),
    ):
        _write_text(folder / file, text)
    statement = Statement(subject=subjects(contents.listed_files(folder)), predicate=predicate)
    _write_text(folder / STATEMENT, statement.to_text())


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _copy_weights(passed: Passed, folder: Path) -> None:
    """The tuned files as they are, byte for byte; the base's tokeniser and chat template where they bring none."""
    from burnish.models.load import load_tokenizer

    if not (passed.weights / "tokenizer_config.json").is_file():
        load_tokenizer(passed.model.made_into(passed.weights)).save_pretrained(str(folder))
    for path in model_files(passed.weights):
        shutil.copyfile(path, folder / path.name)


def _write_evidence(passed: Passed, run: RunFolder, merge: Merge | None, folder: Path) -> None:
    (folder / "evidence").mkdir()
    for source, name in (
        (RUN_DECISION, contents.DECISION),
        (RUN_ATTEMPTS, contents.ATTEMPTS),
        ("recipe.yaml", contents.RECIPE),
        ("data/dataset.json", contents.DATASET),
        ("audit/audit.json", contents.AUDIT),
        ("manifest.json", contents.MANIFEST),
    ):
        if run.file(source).is_file():
            shutil.copyfile(run.file(source), folder / name)
    evidence = passed.evidence
    parts: tuple[tuple[str, Artefact | None], ...] = (
        (contents.EVALUATION, evidence.evaluation),
        (contents.TRAINED, evidence.trained),
        (contents.CALIBRATION, _calibration(run, evidence)),
        (contents.COMPUTE, compute_of(evidence.trained, passed.weights)),
        (contents.MERGE, merge),
        (contents.WAIVER, passed.waiver),
    )
    for name, artefact in parts:
        if artefact is not None:
            _write_text(folder / name, contents.pretty(without_folders(artefact.model_dump(mode="json"))))
    responses = pl.read_parquet(run.file("evaluate/responses.parquet"))
    contents.verdict_table(responses).write_parquet(folder / contents.VERDICTS)


def _calibration(run: RunFolder, evidence: Evidence) -> Calibration | None:
    """The judge's calibration, if there is one and it was made on these very replies."""
    if not run.file(RUN_CALIBRATION).is_file():
        return None
    found = run.load(RUN_CALIBRATION, Calibration)
    return found if found.responses_digest == evidence.evaluation.responses_digest else None


def _some_replies(run: RunFolder) -> list[tuple[str, str]]:
    """What the tuned model was asked and answered, spread over the whole of its evaluation."""
    responses = pl.read_parquet(run.file("evaluate/responses.parquet"), columns=["arm", "prompt", "reply"])
    tuned = responses.filter((pl.col("arm") == "tuned") & (pl.col("reply") != ""))
    return tuned.gather_every(max(1, tuned.height // _DRIFT_ROWS)).head(_DRIFT_ROWS).select("prompt", "reply").rows()
