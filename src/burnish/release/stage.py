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
from typing import Any, Literal

import polars as pl
import yaml

from burnish import __version__
from burnish.artefacts import AuditReport, Dataset, Decision, Merge, Release
from burnish.errors import GateRefusal, ReleaseError
from burnish.gate.evidence import Evidence, read_evidence, without_folders
from burnish.gate.stage import DECISION as RUN_DECISION
from burnish.gate.stage import decision_of, same_decision, settings_of_run
from burnish.models.base_form import read_base_form
from burnish.models.fingerprint import model_files
from burnish.models.settings import ModelSettings
from burnish.release import contents
from burnish.release.model_card import Card, model_card
from burnish.release.settings import ReleaseSettings
from burnish.release.verify import verify
from burnish.run_folder import RunFolder, file_digest

Form = Literal["adapter", "merged"]
_DRIFT_ROWS = 32


@dataclass(frozen=True)
class Passed:
    """A decision that was made again and found the same, its evidence, and the weights that it is about."""

    decision: Decision
    evidence: Evidence
    model: ModelSettings
    weights: Path


def release(settings: ReleaseSettings, run: RunFolder, target: Path) -> Release:
    """Write the run's model and its evidence to `target`, which must not exist or be empty.

    Raises: GateRefusal when the decision isn't PASS, isn't what the evidence gives, or is about other weights;
    ReleaseError when the form or the target can't be had; ModelError when the base can't be loaded for merging, or
    merging moves the model's replies too far.
    """
    passed = check_passed(run)
    form = _form(settings, passed)
    _check_target(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        made = _write(passed, run, form, settings.drift_tolerance, work / "release")
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
    files = contents.digests_of(target)
    return Release(path=str(target.resolve()), form=form, files=files, decision_digest=files[contents.DECISION])


def released_before(run: RunFolder, target: Path) -> Release | None:
    """The release that `target` holds already, if it is whole and of this run's very decision; else None."""
    if not (target / contents.CONTENTS).is_file() or not verify(target).ok:
        return None
    if file_digest(target / contents.DECISION) != file_digest(run.file(RUN_DECISION)):
        return None
    listed = contents.Contents.model_validate_json((target / contents.CONTENTS).read_text(encoding="utf-8"))
    files = contents.digests_of(target)
    return Release(path=str(target.resolve()), form=listed.form, files=files, decision_digest=files[contents.DECISION])


def check_passed(run: RunFolder) -> Passed:
    """Demand a PASS that still stands.

    Raises: GateRefusal with the reason when there is none.
    """
    if not run.file(RUN_DECISION).is_file():
        raise GateRefusal(
            f"{run.path}: no decision was made on this model; nothing was released",
            hint=f"decide first: burnish gate {run.path}",
        )
    decision = run.load(RUN_DECISION, Decision)
    if decision.verdict != "PASS":
        raise GateRefusal(f"the gate says {decision.verdict}; nothing was released. {decision.reason}")
    evidence = read_evidence(run)
    again = decision_of(settings_of_run(run), evidence, decision.attempt)
    if again.verdict != "PASS":
        raise GateRefusal(
            f"{run.path}: the recorded decision is PASS, but the evidence gives {again.verdict}; nothing was released. "
            f"{again.reason}",
            hint=f"look at the decision made anew: burnish gate {run.path}",
        )
    if not same_decision(decision, again):
        raise GateRefusal(
            f"{run.file(RUN_DECISION)}: isn't the decision that the evidence gives; it was changed, or the evidence or "
            "the recipe was, and nothing was released",
            hint=f"decide anew: burnish gate {run.path}",
        )
    model, weights = _check_weights(run, evidence)
    return Passed(decision, evidence, model, weights)


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


def _write(passed: Passed, run: RunFolder, form: Form, tolerance: float, folder: Path) -> Path:
    trained = passed.evidence.trained
    merge = None
    if form == "merged" and trained.form == "adapter":
        from burnish.models.merge import merge_to_folder

        replies = _some_replies(run)
        merge = merge_to_folder(
            passed.model, passed.weights, folder, expected=trained.base, exchanges=replies, tolerance=tolerance
        )
    else:
        folder.mkdir()
        _copy_weights(passed, folder)
    _write_evidence(passed, run, folder)
    if merge:
        (folder / contents.MERGE).write_text(merge.model_dump_json(indent=2) + "\n", encoding="utf-8", newline="\n")
    (folder / "README.md").write_text(_card(passed, run, form, merge), encoding="utf-8", newline="\n")
    listed = contents.Contents(
        form=form,
        tuned_digest=trained.digest,
        weights={path.name: file_digest(path) for path in model_files(passed.weights)},
        files=contents.digests_of(folder),
        burnish_version=__version__,
    )
    (folder / contents.CONTENTS).write_text(listed.sealed().to_text(), encoding="utf-8", newline="\n")
    return folder


def _copy_weights(passed: Passed, folder: Path) -> None:
    """The tuned files as they are, byte for byte; the base's tokeniser and chat template where they bring none."""
    from burnish.models.load import load_tokenizer

    if not (passed.weights / "tokenizer_config.json").is_file():
        load_tokenizer(passed.model.made_into(passed.weights)).save_pretrained(str(folder))
    for path in model_files(passed.weights):
        shutil.copyfile(path, folder / path.name)


def _write_evidence(passed: Passed, run: RunFolder, folder: Path) -> None:
    (folder / "evidence").mkdir()
    shutil.copyfile(run.file(RUN_DECISION), folder / contents.DECISION)
    shutil.copyfile(run.file("recipe.yaml"), folder / contents.RECIPE)
    for name, artefact in (
        (contents.EVALUATION, passed.evidence.evaluation),
        (contents.TRAINED, passed.evidence.trained),
    ):
        text = contents.pretty(without_folders(artefact.model_dump(mode="json")))
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    for source in ("data/dataset.json", "audit/audit.json", "manifest.json"):
        if run.file(source).is_file():
            shutil.copyfile(run.file(source), folder / "evidence" / Path(source).name)
    responses = pl.read_parquet(run.file("evaluate/responses.parquet"))
    contents.verdict_table(responses).write_parquet(folder / contents.VERDICTS)


def _some_replies(run: RunFolder) -> list[tuple[str, str]]:
    """What the tuned model was asked and answered, spread over the whole of its evaluation."""
    responses = pl.read_parquet(run.file("evaluate/responses.parquet"), columns=["arm", "prompt", "reply"])
    tuned = responses.filter((pl.col("arm") == "tuned") & (pl.col("reply") != ""))
    return tuned.gather_every(max(1, tuned.height // _DRIFT_ROWS)).head(_DRIFT_ROWS).select("prompt", "reply").rows()


def _card(passed: Passed, run: RunFolder, form: Form, merge: Merge | None) -> str:
    def load(relative: str, kind: Any) -> Any:
        return run.load(relative, kind) if run.file(relative).is_file() else None

    return model_card(
        Card(
            name=run.name,
            form=form,
            decision=passed.decision,
            trained=passed.evidence.trained,
            evaluation=passed.evidence.evaluation,
            dataset=load("data/dataset.json", Dataset),
            audit=load("audit/audit.json", AuditReport),
            merge=merge,
            base_form=read_base_form(passed.weights),
        )
    )
