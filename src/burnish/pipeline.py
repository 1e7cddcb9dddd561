"""The stages in order: prepare, audit, train, evaluate, gate, advise, repair, release, report. The only place that
knows it.

A stage that finished with the same inputs is not done again on resume; one that refuses ends the run there. Stages
hand on artefacts; everything they write lies in the run folder.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

from burnish.advice import Advice
from burnish.artefacts import (
    Artefact,
    AuditReport,
    Dataset,
    Decision,
    Evaluation,
    Release,
    Repair,
    TrainedModel,
)
from burnish.errors import RecipeError, RunFolderError
from burnish.logs import say
from burnish.models.settings import ModelSettings
from burnish.recipe import Recipe, dump_recipe, load_recipe, parse_recipe
from burnish.records import Conversation, content_digest
from burnish.repair.settings import RepairSettings
from burnish.run_advice import advise_beside_decision, give_advice
from burnish.run_folder import RunFolder, file_digest

Stage: TypeAlias = Literal["prepare", "audit", "train", "evaluate", "gate", "repair", "release"]
_ORDER: tuple[Stage, ...] = ("prepare", "audit", "train", "evaluate", "gate", "repair", "release")
_A = TypeVar("_A", bound=Artefact)


@dataclass(frozen=True)
class Outcome:
    """What a run came to; a part is None when the run was asked to stop before it. Where a repaired model went to the
    gate, `decision`, `release` and `report` are about that one, and `repaired` is its run folder."""

    folder: Path
    decision: Decision | None
    release: Release | None
    report: Path | None
    repaired: Path | None = None


@dataclass(frozen=True)
class Advised:
    """What advice came to."""

    folder: Path
    advice: Advice
    report: Path


def run(
    recipe: Recipe | Path | str,
    *,
    runs: Path = Path("runs"),
    folder: Path = Path(),
    resume: bool = False,
    until: Stage = "release",
) -> Outcome:
    """Carry out a recipe, in the run folder `runs`/name.

    `folder` is what relative paths of a `Recipe` start from; for a recipe file it is the file's own folder. With
    `resume`, finished stages are kept and training goes on from its last checkpoint.

    Raises: BurnishError of the stage that refuses or fails; RunFolderError when the folder holds a run already and
    `resume` wasn't asked for.
    """
    if not isinstance(recipe, Recipe):
        folder = Path(recipe).resolve().parent
        recipe = load_recipe(recipe)
    with _begun(recipe, runs, resume) as home:
        return _Run(recipe, home, folder, resume, until).carry_out()


def advise(
    recipe: Recipe | Path | str, *, runs: Path = Path("runs"), folder: Path = Path(), resume: bool = False
) -> Advised:
    """Whether to prompt or to fine-tune on a recipe's task; the stages before tuning are done if they aren't yet. Where
    the run folder holds the recipe's tuned model already, that one is measured. `folder` as in `run`.

    Raises: BurnishError of the stage that refuses or fails; RunFolderError as `run` does.
    """
    if not isinstance(recipe, Recipe):
        folder = Path(recipe).resolve().parent
        recipe = load_recipe(recipe)
    with _begun(recipe, runs, resume) as home:
        return _Run(recipe, home, folder, resume, "release").give_advice()


@contextmanager
def _begun(recipe: Recipe, runs: Path, resume: bool) -> Iterator[RunFolder]:
    """The recipe's run folder, held, with the recipe in it.

    Raises: RunFolderError when it holds a run already that isn't to be resumed.
    """
    home = RunFolder(runs / recipe.name)
    with home.locked():
        if home.file("recipe.yaml").exists() and not resume:
            raise RunFolderError(
                f"{home.path}: holds a run already; nothing was changed",
                hint="go on with it: add --resume; or start another: --set name=...",
            )
        home.write_text("recipe.yaml", dump_recipe(recipe))
        yield home


def repair(run: Path, *, ways: Sequence[str] = (), folder: Path = Path()) -> Outcome:
    """Mend the model of a run that the gate did not pass, by `ways` or else by those of its recipe; a run that passed
    is left as it is. `folder` is what relative paths of its recipe start from. What was tried before is kept.

    Raises: BurnishError of a stage; RunFolderError when the folder isn't a run's or is in use; RecipeError when no way
    is named, or one is unknown.
    """
    home = RunFolder(run)
    path = home.path / "recipe.yaml"
    if not path.is_file():
        raise RunFolderError(
            f"{path}: missing, expected a run folder with its resolved recipe; nothing was repaired",
            hint="give a run folder that burnish run made, such as runs/NAME",
        )
    overrides = [f"repair.ways={json.dumps(list(ways))}"] if ways else []
    recipe = parse_recipe(path.read_text(encoding="utf-8"), overrides, name=str(path))
    if not recipe.repair.ways:
        raise RecipeError(
            f"{path}: repair.ways is empty, expected at least one way; nothing was repaired",
            hint="name one: burnish repair RUN --way safety_mix",
        )
    with home.locked():
        return _Run(recipe, home, folder, True, "release").mend()


class _Run:
    """One run being carried out: each stage's key covers its settings and everything that it builds on."""

    def __init__(self, recipe: Recipe, home: RunFolder, folder: Path, resume: bool, until: Stage) -> None:
        self._recipe, self._home, self._folder = recipe, home, folder
        self._resume, self._last = resume, _ORDER.index(until)
        self._key = ""

    def carry_out(self) -> Outcome:
        recipe, home = self._recipe, self._home
        if not self._reaches("prepare"):
            return Outcome(home.path, None, None, None)
        dataset = self._dataset()
        if not self._reaches("audit"):
            return Outcome(home.path, None, None, None)
        self._find_model()
        audited = self._audit(dataset)
        if not self._reaches("train"):
            return self._reported(None, None)
        trained = self._train(dataset, audited)
        if not trained.writes:
            say("a reward model writes no text: there is nothing to evaluate, decide on or release; other runs use it")
        if not self._reaches("evaluate") or not trained.writes:
            return self._reported(None, None)
        self._evaluate(dataset, trained)
        if not self._reaches("gate"):
            return self._reported(None, None)
        from burnish.gate.stage import decide

        say("gate")
        decision = decide(recipe.gate, home)
        advise_beside_decision(recipe, home, self._folder, dataset, audited, trained)
        if decision.verdict != "PASS" and recipe.repair.ways and self._reaches("repair"):
            return self._mended(decision, self._repair(dataset, audited, trained, decision))
        return self._reported(decision, self._release(decision, home))

    def give_advice(self) -> Advised:
        """Up to the audit, then advice, with the tuned model where it is there."""
        from burnish.report.stage import write_report

        dataset = self._dataset()
        self._find_model()
        audited = self._audit(dataset)
        key = self._next_key("train", self._train_settings(audited))
        done = self._home.is_done("train", key)
        trained = self._home.load("train/train.json", TrainedModel) if done else None
        own = trained if trained and trained.writes else None
        advice = give_advice(self._recipe, self._home, self._folder, dataset, audited, own)
        return Advised(self._home.path, advice, write_report(self._home))

    def mend(self) -> Outcome:
        """From the decision on, in a run whose stages before it are done."""
        from burnish.gate.stage import decide

        home = self._home
        decision = decide(self._recipe.gate, home)
        if decision.verdict == "PASS":
            return self._reported(decision, None)
        dataset = home.load("data/dataset.json", Dataset)
        audited = home.load("audit/audit.json", AuditReport)
        trained = home.load("train/train.json", TrainedModel)
        home.write_text("recipe.yaml", dump_recipe(self._recipe))
        return self._mended(decision, self._repair(dataset, audited, trained, decision))

    def _reaches(self, stage: Stage) -> bool:
        return _ORDER.index(stage) <= self._last

    def _stage(
        self, name: Stage, settings: object, output: str, kind: type[_A], also: tuple[str, ...], work: Callable[[], _A]
    ) -> _A:
        """Do a stage, or take what it left if it is done already with these inputs. `also`: patterns of more files
        that it writes."""
        self._key = self._next_key(name, settings)
        if self._resume and self._home.is_done(name, self._key):
            say(f"{name}: done already")
            return self._home.load(output, kind)
        started = time.monotonic()
        say(name)
        artefact = work()
        outputs = [path for pattern in (output, *also) for path in self._home.path.glob(pattern)]
        self._home.finish(name, self._key, outputs, time.monotonic() - started)
        return artefact

    def _next_key(self, name: Stage, settings: object) -> str:
        return content_digest(name, settings, self._recipe.seed, self._key)

    def _dataset(self) -> Dataset:
        from burnish.data.stage import prepare

        recipe = self._recipe
        inputs = [_input_digest(s.path, self._folder) for s in (*recipe.data.train, *recipe.data.heldout)]
        writer = None
        if recipe.data.teacher_writes:
            from burnish.train.teacher_writing import teacher_writer

            writer = teacher_writer(recipe.data, recipe.train.method, recipe.model, recipe.seed)
        return self._stage(
            "prepare",
            [recipe.data.model_dump(mode="json"), inputs, *([writer.digest] if writer else [])],
            "data/dataset.json",
            Dataset,
            ("data/train.jsonl", "data/heldout.jsonl"),
            lambda: prepare(recipe.data, self._home, self._folder, recipe.seed, writer),
        )

    def _find_model(self) -> None:
        """Found before anything long begins, so that a missing model is told at once; later keys cover its weights."""
        from burnish.models.load import identify

        for companion in self._named_companions():
            identify(companion)
        self._key = content_digest(self._key, identify(self._recipe.model).digest)

    def _named_companions(self) -> list[ModelSettings]:
        return [named for named in (self._recipe.evaluate.teacher, self._recipe.evaluate.sibling) if named is not None]

    def _audit(self, dataset: Dataset) -> AuditReport:
        from burnish.audit.stage import Context, audit
        from burnish.data.store import read_records
        from burnish.evaluate.suites import every_row, load_suite
        from burnish.models.load import load_tokenizer

        recipe = self._recipe

        def work() -> AuditReport:
            texts = {
                suite.suite: [prompt.text for prompt in load_suite(every_row(suite), self._folder).prompts]
                for suite in recipe.evaluate.safety.suites
            }
            texts["heldout"] = [
                message.content
                for record in read_records(self._home.file(dataset.heldout_path))
                for message in (record.prompt() if isinstance(record, Conversation) else record.prompt)[-1:]
            ]
            tokens = load_tokenizer(recipe.model).all_special_tokens
            return audit(recipe.audit, dataset, self._home, Context(texts, tuple(tokens)))

        settings = [recipe.audit.model_dump(mode="json"), recipe.evaluate.model_dump(mode="json")]
        also = ("audit/findings.jsonl", "audit/quarantine.jsonl", "audit/candidates.jsonl", "audit/rows.jsonl")
        return self._stage("audit", settings, "audit/audit.json", AuditReport, also, work)

    def _train(self, dataset: Dataset, audited: AuditReport) -> TrainedModel:
        from burnish.train.stage import train

        recipe = self._recipe
        return self._stage(
            "train",
            self._train_settings(audited),
            "train/train.json",
            TrainedModel,
            ("train/adapter/*", "train/model/*", "train/reward_model.json", "train/samples.jsonl"),
            lambda: train(
                recipe.train,
                recipe.model,
                dataset,
                audited.quarantined,
                self._home,
                recipe.seed,
                self._resume,
                folder=self._folder,
            ),
        )

    def _train_settings(self, audited: AuditReport) -> list[object]:
        from burnish.train.stage import read_beside

        recipe = self._recipe
        beside = read_beside(recipe.train, self._folder)
        settings = [recipe.train.model_dump(mode="json"), recipe.model.model_dump(mode="json"), audited.quarantined]
        return [*settings, *([beside] if beside else [])]

    def _evaluate(self, dataset: Dataset, trained: TrainedModel) -> Evaluation:
        from burnish.evaluate.stage import evaluate
        from burnish.models.builtin import cache_folder
        from burnish.models.load import identify
        from burnish.release.lineage import root_of

        recipe, root = self._recipe, root_of(trained.base)
        beside = [identify(named).digest for named in self._named_companions()]
        beside += [trained.teacher.digest] if trained.teacher else []
        return self._stage(
            "evaluate",
            [recipe.evaluate.model_dump(mode="json"), trained.digest, root.release if root else None, *beside],
            "evaluate/evaluation.json",
            Evaluation,
            (
                "evaluate/responses.parquet",
                "evaluate/traces.jsonl",
                "evaluate/samples.jsonl",
                "evaluate/probe.json",
            ),
            lambda: evaluate(
                recipe.evaluate,
                recipe.model,
                trained,
                dataset,
                self._home,
                cache_folder().parent,
                recipe.seed,
                folder=self._folder,
                root=root,
            ),
        )

    def _repair(self, dataset: Dataset, audited: AuditReport, trained: TrainedModel, decision: Decision) -> Repair:
        from burnish.models.builtin import cache_folder
        from burnish.release.lineage import root_of
        from burnish.repair.job import Job
        from burnish.repair.stage import repair

        recipe = self._recipe
        job = Job(
            recipe.repair, recipe.model, recipe.train, recipe.evaluate, recipe.gate, recipe.seed,
            self._folder, cache_folder().parent, root_of(trained.base),
        )  # fmt: skip
        self._key = ""  # the decision's digests cover all that is mended, in `mend` as in a whole run
        alone = recipe.model_copy(update={"name": f"{recipe.name}-repaired", "repair": RepairSettings()})
        return self._stage(
            "repair",
            [recipe.repair.model_dump(mode="json"), recipe.gate.model_dump(mode="json"), decision.digests],
            "repair/repair.json",
            Repair,
            (),
            lambda: repair(job, dataset, audited.quarantined, trained, self._home, dump_recipe(alone)),
        )

    def _mended(self, decision: Decision, result: Repair) -> Outcome:
        """The outcome of a run with a repair: the repaired model's, where one went to the gate."""
        outcome = self._reported(decision, None)
        if not result.run:
            return outcome
        from burnish.repair.stage import repaired_run

        home = repaired_run(self._home, result)
        again = home.load("gate/decision.json", Decision)
        return self._reported(again, self._release(again, home), home)

    def _release(self, decision: Decision, home: RunFolder) -> Release | None:
        from burnish.release.stage import release, released_before

        target = self._recipe.release.to
        if not self._reaches("release") or not target or decision.verdict != "PASS":
            return None
        place = (self._folder / target).resolve()
        settings = self._recipe.release
        if settings.key:
            settings = settings.model_copy(update={"key": str(self._folder / settings.key)})
        if self._resume and (before := released_before(settings, home, place)):
            say("release: done already")
            return before
        say("release")
        return release(settings, home, place)

    def _reported(
        self, decision: Decision | None, released: Release | None, repaired: RunFolder | None = None
    ) -> Outcome:
        from burnish.report.stage import write_report

        report = write_report(repaired or self._home)
        return Outcome(self._home.path, decision, released, report, repaired.path if repaired else None)


def _input_digest(path: str, folder: Path) -> str:
    """What a source's content is known by: a local file's digest; for others their name, which pins what can be."""
    local = (folder / path).expanduser()
    return file_digest(local) if local.is_file() else path
