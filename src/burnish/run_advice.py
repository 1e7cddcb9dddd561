"""Advice on a recipe's task, in the recipe's own run folder: its parts put together for the advice stage.

Apart from the stages in order, since nothing builds on it: it keeps its own account of what is measured.
"""

from __future__ import annotations

from pathlib import Path

from burnish.advice import Advice
from burnish.advise.settings import AdviseSettings
from burnish.artefacts import AuditReport, Dataset, Decision, TrainedModel
from burnish.errors import BurnishError, RecipeError
from burnish.logs import say, warn
from burnish.recipe import Recipe
from burnish.run_folder import RunFolder


def give_advice(
    recipe: Recipe, home: RunFolder, folder: Path, dataset: Dataset, audited: AuditReport, trained: TrainedModel | None
) -> Advice:
    """Prompt or fine-tune; `trained` is the run's own model, where it has one that writes. `folder` is where relative
    paths start.

    Raises: RecipeError when the recipe has no task; BurnishError of what is measured.
    """
    from burnish.advise.bench import Finished
    from burnish.advise.job import Job
    from burnish.advise.stage import advise
    from burnish.models.builtin import cache_folder

    if recipe.evaluate.task is None:
        raise RecipeError(
            "evaluate.task: null, but advice is measured on the task; nothing was advised",
            hint="give the task a metric: evaluate.task.metric",
        )
    say("advise")
    job = Job(
        recipe.advise or AdviseSettings(), recipe.model, recipe.train, recipe.evaluate.task, recipe.seed,
        folder, cache_folder().parent,
    )  # fmt: skip
    finished = Finished(trained, _decision_on(trained, home)) if trained else None
    return advise(job, dataset, audited.quarantined, home, finished)


def advise_beside_decision(
    recipe: Recipe, home: RunFolder, folder: Path, dataset: Dataset, audited: AuditReport, trained: TrainedModel
) -> None:
    """The same where the recipe asks for it; where it can't be had the run goes on."""
    if not recipe.advise:
        return
    try:
        give_advice(recipe, home, folder, dataset, audited, trained)
    except BurnishError as error:
        warn(f"no advice: {error.message}")


def _decision_on(trained: TrainedModel, home: RunFolder) -> Decision | None:
    """The gate's decision on these weights, if it has made one."""
    if not (home.path / "gate/decision.json").is_file():
        return None
    decision = home.load("gate/decision.json", Decision)
    return decision if trained.digest in decision.digests.values() else None
