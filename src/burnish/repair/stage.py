"""The repair stage: tries the recipe's ways on development prompts, and takes the best that holds to the gate, once.

The model that the gate did not pass stays as it is, with its decision. A repaired one gets a run folder of its own
beside it, in which the gate decides and from which it is released like any other. Writes repair/repair.json last.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection

from burnish.artefacts import Dataset, Decision, Repair, RepairTrial, TrainedModel
from burnish.catalogue import build
from burnish.errors import RunFolderError
from burnish.evaluate.stage import evaluate
from burnish.gate.stage import ATTEMPTS, decide
from burnish.logs import say
from burnish.repair.choice import choose
from burnish.repair.development import prepare_development
from burnish.repair.job import Job
from burnish.repair.way import Way, WayUnfit
from burnish.repair.workshop import TRIED, Workshop
from burnish.run_folder import RunFolder

REPAIR = "repair/repair.json"
SUFFIX = "-repaired"


def repair(
    job: Job, dataset: Dataset, quarantined: Collection[str], tuned: TrainedModel, run: RunFolder, recipe: str
) -> Repair:
    """Try every way of the recipe. `recipe` is the text of the recipe that the repaired model's run folder gets.

    Raises: EvaluationError when there is nothing to measure a repair by; errors of training and evaluation, after
    which finished trials are kept.
    """
    development = prepare_development(job, dataset, run)
    workshop = Workshop(job, dataset, quarantined, tuned, development, run)
    trials: list[RepairTrial] = []
    unfit: dict[str, str] = {}
    for settings in job.repair.ways:
        way: Way = build("repair", settings)
        say(f"repair: {settings.kind}")
        try:
            found = way.tries(workshop)
        except WayUnfit as error:
            unfit[settings.kind] = str(error)
            say(f"{settings.kind} is not tried: it {error}")
            continue
        for trial in found:
            say(told(trial))
        trials += found
    chosen, reason = choose(trials, job.gate.min_task_gain)
    say(reason)
    result = Repair(
        before=workshop.before,
        trials=tuple(trials),
        unfit=unfit,
        prompts=development.prompts,
        chosen=chosen.name if chosen else "",
        reason=reason,
    )
    if chosen:
        home, decision = _take_to_gate(job, dataset, chosen, run, recipe)
        result = result.model_copy(update={"run": home.name, "verdict": decision.verdict, "attempt": decision.attempt})
    run.save(REPAIR, result)
    return result


def told(trial: RepairTrial) -> str:
    """A trial in one line."""
    parts = [f"{trial.name}: {'holds' if trial.holds else 'does not hold'}"]
    if trial.recovered is not None:
        parts.append(f"{trial.recovered:.0%} of the lost refusals are back")
    if trial.task is not None:
        parts.append(f"task {trial.task:.3f}")
    return ", ".join(parts)


def repaired_run(run: RunFolder, result: Repair) -> RunFolder:
    """The run folder of the repaired model, beside the run's own."""
    return RunFolder(run.path.parent / result.run)


def _take_to_gate(
    job: Job, dataset: Dataset, chosen: RepairTrial, run: RunFolder, recipe: str
) -> tuple[RunFolder, Decision]:
    """Evaluate the chosen model on the gate's own prompts, in a folder of its own, and have the gate decide; the
    attempt counts after those of the run that it mends."""
    trial = RunFolder(run.path / TRIED / chosen.name)
    home = RunFolder(run.path.parent / f"{run.name}{SUFFIX}")
    _claim(home, run)
    for part in ("data", "train"):
        shutil.copytree(trial.path / part, home.path / part)
    shutil.copyfile(run.file(dataset.heldout_path), home.file("data/heldout.jsonl"))
    if (run.path / "audit").is_dir():
        shutil.copytree(run.path / "audit", home.path / "audit")
    home.write_text("recipe.yaml", recipe)
    trained = home.load("train/train.json", TrainedModel)
    rows = home.load("data/dataset.json", Dataset).model_copy(update={"num_heldout": dataset.num_heldout})
    home.save("data/dataset.json", rows)
    evaluate(job.evaluate, job.model, trained, rows, home, job.cache, job.seed, folder=job.folder, root=job.root)
    shutil.copyfile(run.file(ATTEMPTS), home.file(ATTEMPTS))
    decision = decide(job.gate, home)
    shutil.copyfile(home.file(ATTEMPTS), run.file(ATTEMPTS))
    return home, decision


def _claim(home: RunFolder, run: RunFolder) -> None:
    """Make the repaired model's folder empty, if it is one that an earlier repair of this run made.

    Raises: RunFolderError when it is anything else.
    """
    mark = home.path / "repaired-from"
    if home.path.exists() and any(home.path.iterdir()):
        if not mark.is_file() or mark.read_text(encoding="utf-8").strip() != run.name:
            raise RunFolderError(
                f"{home.path}: holds something else than a repair of {run.name}; the repaired model was not taken to "
                "the gate",
                hint="move that folder away, and run the same command again with --resume",
            )
        shutil.rmtree(home.path)
    home.path.mkdir(parents=True, exist_ok=True)
    home.write_text("repaired-from", f"{run.name}\n")
