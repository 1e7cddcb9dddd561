"""What a way of repairing works with: the model as it was tuned, training anew, replies to learn from, measurements.

Every trial has a run folder of its own below `repair/tried`, with weights, development replies and their verdicts; one
that is there already, made of the same things, is not made again.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from burnish.artefacts import DataFile, Dataset, Evaluation, ModelIdentity, RepairTrial, TrainedModel, Verdict
from burnish.catalogue import build
from burnish.data.store import to_line
from burnish.evaluate.asking import Asker
from burnish.evaluate.companions import companions_of
from burnish.evaluate.reply_cache import Reply, ReplyCache
from burnish.evaluate.settings import TASK
from burnish.evaluate.speaker import ModelSpeaker
from burnish.evaluate.stage import RESPONSES, context_of, evaluate
from burnish.gate.attempts import number_of
from burnish.gate.evidence import Evidence, read_rows
from burnish.gate.rules import judge
from burnish.gate.tasks import RULE as TASK_GAIN
from burnish.logs import say
from burnish.models.chat_template import Encoder
from burnish.models.device import arithmetic
from burnish.models.load import identify, load_model, load_tokenizer
from burnish.models.settings import ModelSettings
from burnish.protocols import Judge
from burnish.records import Conversation, Message, Prompt, content_digest
from burnish.repair.choice import holds, recovered
from burnish.repair.development import HELDOUT, Development
from burnish.repair.job import Job
from burnish.run_folder import RunFolder
from burnish.train.settings import TrainSettings
from burnish.train.stage import train

TRIED = "repair/tried"
UNMENDED = "as-tuned"
_REPAIRED = ", repaired by "
_TRAIN, _HELDOUT = "data/train.jsonl", "data/heldout.jsonl"


@dataclass(frozen=True)
class Writer:
    """Who writes what a repaired model is to say: the teacher of a model that was distilled, else the base."""

    name: Literal["base", "teacher"]
    settings: ModelSettings
    identity: ModelIdentity


class Workshop:
    """One model in repair. `tuned` is what the gate did not pass, `writer` whose replies it may learn from."""

    def __init__(
        self,
        job: Job,
        dataset: Dataset,
        quarantined: Collection[str],
        tuned: TrainedModel,
        development: Development,
        run: RunFolder,
    ) -> None:
        self.job = job
        self.dataset = dataset
        self.tuned = tuned
        self.development = development
        self.writer = _writer(job, tuned)
        self._quarantined = frozenset(quarantined) | development.left_out
        self._run = run
        evaluation = run.load("evaluate/evaluation.json", Evaluation)
        self._attempt = number_of(run, "a model that the gate has not seen")
        self._at_gate = {result.suite: result.n for result in evaluation.results if result.arm == "tuned"}
        self.before = self._measured_before()

    @property
    def tuned_folder(self) -> Path:
        """Where the weights lie that the gate did not pass."""
        return self._run.file(self.tuned.path)

    @property
    def rows(self) -> int:
        """How many rows the model was trained on."""
        return self.tuned.losses.rows_trained

    def retrain(
        self,
        name: str,
        settings: TrainSettings,
        extra: Sequence[Conversation] = (),
        then: Callable[[RunFolder], None] | None = None,
    ) -> RunFolder:
        """Train anew from the base, on the same rows without the development ones and `extra` rows beside; `then` may
        still change the weights in the trial's folder. Goes on where an earlier call was interrupted."""
        home = self._home(name)
        rows = [to_line(row) for row in extra]
        key = content_digest(
            "retrain", settings.model_dump(mode="json"), self.dataset.digest, sorted(self._quarantined), rows,
            self.tuned.base.digest, self.job.model.model_dump(mode="json"), self.job.seed,
        )  # fmt: skip
        if home.is_done("train", key):
            say(f"{name}: trained already")
            return home
        started = self._begin(home, key)
        dataset = self._lay_data(home, extra)
        train(settings, self.job.model, dataset, self._quarantined, home, self.job.seed, resume=True)
        if then:
            then(home)
        shutil.rmtree(home.file("train/checkpoints"), ignore_errors=True)
        self._finish(home, key, started)
        return home

    def rewrite(self, name: str, key: str, write: Callable[[Path], None]) -> RunFolder:
        """A trial whose adapter `write` makes in the folder that it is given; `key` is a digest of what it makes it
        of, beside the tuned model."""
        home = self._home(name)
        key = content_digest("rewrite", key, self.tuned.digest)
        if home.is_done("train", key):
            say(f"{name}: made already")
            return home
        started = self._begin(home, key)
        self._lay_data(home, ())
        folder = home.path / self.tuned.path
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write(folder)
        self.record(home, self.tuned)
        self._finish(home, key, started)
        return home

    def record(self, home: RunFolder, trained: TrainedModel) -> TrainedModel:
        """Write down that the weights in a trial's folder are what they are now."""
        digest = identify(self.job.model.made_into(home.file(trained.path))).digest
        found = trained.model_copy(update={"digest": digest})
        home.save("train/train.json", found)
        return found

    def measure(self, way: str, home: RunFolder, made: str) -> RepairTrial:
        """The trial's replies to the development prompts, judged; `made` says how its weights came about."""
        trained = _taught_as(self.tuned, _named(home.load("train/train.json", TrainedModel), way))
        home.save("train/train.json", trained)
        started = time.monotonic()
        dataset = home.load("data/dataset.json", Dataset)
        evaluation = evaluate(
            self.development.evaluate, self.job.model, trained, dataset, home, self.job.cache, self.job.seed,
            folder=self.job.folder, side="development",
        )  # fmt: skip
        rules = judge(self.job.gate, Evidence(evaluation, trained, _as_sealed(home)), attempt=0).rules
        means = {result.arm: result.mean for result in evaluation.results if result.suite == TASK}
        spent = sum(entry["seconds"] for entry in home.manifest()["stages"].values())
        return RepairTrial(
            way=way,
            name=home.name,
            made=made,
            digest=trained.digest,
            rules=rules,
            holds=holds(rules, self._at_gate, self.job.gate, self._attempt),
            recovered=recovered(self.before.rules, rules) if way else None,
            task=means.get("tuned"),
            base_task=means.get("base"),
            gain=next((rule.estimate for rule in rules if rule.rule == TASK_GAIN), None),
            seconds=round(spent + time.monotonic() - started, 3),
        )

    def replies(self, prompts: Sequence[Prompt], max_new_tokens: int, label: str) -> list[tuple[Reply, Verdict]]:
        """The writer's own reply to each prompt, greedy, with the judge's verdict."""
        settings, writer = self.job.evaluate.safety, self.writer
        system = (Message("system", settings.system),) if settings.system else ()
        encoder = Encoder(load_tokenizer(writer.settings), context_of(writer.identity))
        tokens = [encoder.prompt((*system, Message("user", prompt.text))) for prompt in prompts]
        speaker = ModelSpeaker(writer.identity.digest, lambda: load_model(writer.settings))
        with ReplyCache(self.job.cache) as cache:
            asker = Asker(cache, arithmetic(writer.settings))
            replies = asker.replies(speaker, tokens, max_new_tokens, f"{writer.name}: {label}")
        judge_of_replies: Judge = build("judge", settings.judge)
        verdicts = judge_of_replies.judge(prompts, [reply.text for reply in replies])
        return list(zip(replies, verdicts, strict=True))

    def _measured_before(self) -> RepairTrial:
        home = self.rewrite(UNMENDED, "as it is", lambda folder: _copy(self.tuned_folder, folder))
        return self.measure("", home, "the model as it was tuned")

    def _home(self, name: str) -> RunFolder:
        return RunFolder(self._run.path / TRIED / name)

    def _begin(self, home: RunFolder, key: str) -> float:
        """Clear away what another key left."""
        place = home.path / "key"
        if not place.is_file() or place.read_text(encoding="utf-8") != key:
            shutil.rmtree(home.path, ignore_errors=True)
            home.write_text("key", key)
        return time.monotonic()

    def _finish(self, home: RunFolder, key: str, started: float) -> None:
        outputs = [path for path in home.path.glob("train/*/*") if path.is_file()]
        home.finish("train", key, outputs, time.monotonic() - started)

    def _lay_data(self, home: RunFolder, extra: Sequence[Conversation]) -> Dataset:
        """The rows to train on, and the development rows as the held-out ones."""
        rows, target = self._run.file(self.dataset.train_path), home.file(_TRAIN)
        target.unlink(missing_ok=True)
        if extra:
            shutil.copyfile(rows, target)
            with target.open("a", encoding="utf-8", newline="\n") as file:
                file.writelines(to_line(row) + "\n" for row in extra)
        else:
            _link(rows, target)
        shutil.copyfile(self._run.file(HELDOUT), home.file(_HELDOUT))
        dataset = self.dataset.model_copy(
            update={
                "files": (*self.dataset.files, *_listed(extra, self.writer.name)),
                "train_path": _TRAIN,
                "heldout_path": _HELDOUT,
                "num_train": self.dataset.num_train + len(extra),
                "num_heldout": self.development.heldout,
                "digest": content_digest(self.dataset.digest, [row.digest for row in extra]),
            }
        )
        home.save("data/dataset.json", dataset)
        return dataset


def _link(source: Path, target: Path) -> None:
    """The same file under a second name, so that rows of any size aren't there once for each trial; a copy where the
    disk has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _listed(extra: Sequence[Conversation], writer: str) -> tuple[DataFile, ...]:
    if not extra:
        return ()
    return (
        DataFile(
            name=extra[0].source.file,
            digest=content_digest([row.digest for row in extra]),
            format="chats",
            rows=len(extra),
            taken=len(extra),
            notes=(f"written by the {writer} model itself",),
        ),
    )


def _named(trained: TrainedModel, way: str) -> TrainedModel:
    """With the repair named in its method, where everybody will read it."""
    method = trained.method.partition(_REPAIRED)[0]
    return trained.model_copy(update={"method": f"{method}{_REPAIRED}{way}" if way else method})


def _taught_as(tuned: TrainedModel, trained: TrainedModel) -> TrainedModel:
    """With the teacher of the model in repair, by whatever method it was trained anew: the gate asks for it."""
    known = ("teacher", "shares_initialisation", "cut_from")
    return trained.model_copy(update={name: getattr(tuned, name) for name in known})


def _writer(job: Job, tuned: TrainedModel) -> Writer:
    for found in companions_of(job.evaluate, job.model, tuned):
        if found.companion.arm == "teacher":
            return Writer("teacher", found.settings, found.companion.model)
    return Writer("base", job.model, tuned.base)


def _as_sealed(home: RunFolder) -> pl.DataFrame:
    """A trial's rows in the form that the gate's rules read, which look at sealed rows alone; here they decide
    nothing."""
    responses = pl.read_parquet(home.file(RESPONSES)).with_columns(side=pl.lit("sealed"))
    return read_rows(responses, str(home.file(RESPONSES)))


def _copy(source: Path, target: Path) -> None:
    for path in source.iterdir():
        shutil.copyfile(path, target / path.name)
