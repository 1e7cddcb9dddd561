"""The base model tuned as the recipe says, on growing shares of the training rows; or the run's own tuned model."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator

from burnish.advice import Measured
from burnish.advise.bench import Bench
from burnish.advise.candidate import CandidateUnfit
from burnish.advise.safety import NOT_MEASURED, of_finished
from burnish.artefacts import Dataset, TrainedModel
from burnish.data.store import to_line
from burnish.evaluate.few_shot import Example
from burnish.evaluate.speaker import Weights
from burnish.logs import say
from burnish.records import Message, content_digest
from burnish.run_folder import RunFolder
from burnish.settings import PluginSettings
from burnish.train.settings import TrainSettings
from burnish.train.stage import train

_METHODS = ("sft", "constrained_sft")
_FEWEST_ROWS = 8
_TRAIN, _HELDOUT = "data/train.jsonl", "data/heldout.jsonl"


class TuningSettings(PluginSettings):
    """`shares` of the training rows, each holding the one before, the last of them 1. `finished`: whether the run's own
    tuned model, where there is one, stands for the whole instead of another."""

    kind: Literal["tuning"] = "tuning"
    name: str = ""
    shares: tuple[Annotated[float, Field(gt=0.0, le=1.0)], ...] = Field(default=(0.25, 0.5, 1.0), min_length=1)
    finished: bool = True

    @field_validator("shares")
    @classmethod
    def _growing(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        if shares[-1] != 1.0 or any(a >= b for a, b in pairwise(shares)):
            raise ValueError(f"got {list(shares)}, expected growing shares that end with 1")
        return shares


class Tuning:
    """Trains below `advise/tuned`; what is there already, made of the same things, is not made again."""

    Settings = TuningSettings

    def __init__(self, settings: TuningSettings) -> None:
        self._settings = settings

    def depends_on(self, bench: Bench) -> str:
        """How it is trained, on what, and the run's own model."""
        own = bench.finished.trained.digest if bench.finished else ""
        decision = bench.finished.decision if bench.finished else None
        rows = [record.digest for record in bench.trainable]
        return content_digest(_plain(bench.job.train), rows, own, decision.model_dump() if decision else None)

    def measure(self, bench: Bench) -> Sequence[Measured]:
        """One candidate for each share.

        Raises: CandidateUnfit when the recipe tunes by a method that the rows' replies alone say nothing of, or there
        are too few rows; errors of training.
        """
        bench.release()
        name = self._settings.name or "tuned"
        method = bench.job.train.method.kind
        own = bench.finished if self._settings.finished else None
        if method not in _METHODS and not own:
            raise CandidateUnfit(f"tunes by {method}, and shares of the rows are tuned by {' or '.join(_METHODS)} only")
        if len(bench.trainable) < _FEWEST_ROWS:
            raise CandidateUnfit(f"has {len(bench.trainable)} rows to learn from, expected at least {_FEWEST_ROWS}")
        found = []
        for share in self._settings.shares if method in _METHODS else (1.0,):
            if share == 1.0 and own:
                found.append(self._measured(bench, f"{name} (this run's model)", own.trained, bench.run, 1.0))
            else:
                home, trained = self._tuned(bench, share)
                found.append(self._measured(bench, f"{name} on {share:.0%}", trained, home, share))
        return found

    def _measured(self, bench: Bench, name: str, trained: TrainedModel, home: RunFolder, share: float) -> Measured:
        own = bench.finished if home is bench.run else None
        speaker = Weights(bench.job.model, trained, home.file(trained.path)).speakers(bench.base)[1]
        replies = bench.ask(f"advise: {name}", speaker, _as_it_is)
        return Measured(
            name=name,
            side="tuning",
            made=f"tuned by {trained.method}, {trained.adapter}, on {trained.losses.rows_trained:,} rows",
            shown=bench.job.model.name,
            answers=replies.answers,
            seconds=replies.seconds,
            timed=replies.timed,
            one_off_seconds=trained.seconds,
            safety=of_finished(own) if own else NOT_MEASURED,
            share=share,
            trained_rows=trained.losses.rows_trained,
            verdict=own.decision.verdict if own and own.decision else None,
        )

    def _tuned(self, bench: Bench, share: float) -> tuple[RunFolder, TrainedModel]:
        """Train on the first `share` of the rows, unless that was done."""
        rows = bench.trainable[: math.ceil(share * len(bench.trainable))]
        settings = _plain(bench.job.train)
        home = RunFolder(bench.run.path / "advise/tuned" / f"{share:g}")
        key = content_digest(
            settings, [row.digest for row in rows], bench.base.digest, bench.job.model.model_dump(mode="json"),
            bench.job.seed,
        )  # fmt: skip
        if home.is_done("train", key):
            say(f"tuned on {share:.0%}: trained already")
            return home, home.load("train/train.json", TrainedModel)
        say(f"tuning on {share:.0%}: {len(rows):,} rows")
        _clear(home, key)
        began = time.monotonic()
        home.write_text(_TRAIN, "".join(to_line(row) + "\n" for row in rows))
        home.write_text(_HELDOUT, "")
        dataset = bench.dataset.model_copy(
            update={
                "train_path": _TRAIN, "heldout_path": _HELDOUT, "num_train": len(rows), "num_heldout": 0,
                "digest": content_digest([row.digest for row in rows]),
            }
        )  # fmt: skip
        home.save("data/dataset.json", Dataset.model_validate(dataset))
        used = TrainSettings.model_validate(settings)
        trained = train(used, bench.job.model, dataset, (), home, bench.job.seed, True, folder=bench.job.folder)
        shutil.rmtree(home.path / "train/checkpoints", ignore_errors=True)
        outputs = [path for path in home.path.glob("train/*/*") if path.is_file()]
        home.finish("train", key, [*outputs, home.file("train/train.json")], time.monotonic() - began)
        return home, trained


def _clear(home: RunFolder, key: str) -> None:
    """Take away what was begun of other things."""
    place = home.path / "key"
    if not place.is_file() or place.read_text(encoding="utf-8") != key:
        shutil.rmtree(home.path, ignore_errors=True)
        home.write_text("key", key)


def _plain(settings: TrainSettings) -> dict[str, object]:
    """The recipe's way of training, without what only watches it."""
    return {**settings.model_dump(mode="json"), "trackers": (), "heldout_loss_every": None}


def _as_it_is(row: Example) -> tuple[Message, ...]:
    return row.prompt
