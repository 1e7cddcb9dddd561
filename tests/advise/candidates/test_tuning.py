"""The tuned model on shares of the rows, on the tiny model: trained once, taken up again, or the run's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from burnish.advise.bench import Finished
from burnish.advise.candidate import CandidateUnfit
from burnish.advise.candidates.tuning import Tuning, TuningSettings
from burnish.advise.safety import NOT_MEASURED
from burnish.artefacts import TrainedModel
from burnish.run_folder import RunFolder
from burnish.train.stage import train


def rows_of(home: RunFolder) -> set[str]:
    return set(home.file("data/train.jsonl").read_text(encoding="utf-8").splitlines())


def test_each_share_holds_the_one_before_and_is_trained_once(
    make_bench: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    bench = make_bench()
    found = Tuning(TuningSettings(shares=(0.5, 1.0))).measure(bench)
    assert [(one.name, one.share) for one in found] == [("tuned on 50%", 0.5), ("tuned on 100%", 1.0)]
    assert all(len(one.answers) == 6 and one.one_off_seconds > 0 for one in found)
    assert {one.safety for one in found} == {NOT_MEASURED}
    half, whole = (RunFolder(bench.run.path / "advise/tuned" / part) for part in ("0.5", "1"))
    assert len(rows_of(half)) == 9
    assert rows_of(half) < rows_of(whole)
    held = {row.question for row in (*bench.rows, *bench.development)}
    assert not any(json.loads(line)["messages"][-2]["content"] in held for line in rows_of(whole))

    capsys.readouterr()
    again = Tuning(TuningSettings(shares=(0.5, 1.0))).measure(bench)
    assert capsys.readouterr().err.count("trained already") == 2
    assert [one.answers for one in again] == [one.answers for one in found]


def test_other_settings_train_anew(make_bench: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    Tuning(TuningSettings(shares=(1.0,))).measure(make_bench())
    capsys.readouterr()
    Tuning(TuningSettings(shares=(1.0,))).measure(make_bench(recipe=["train.learning_rate=0.01"]))
    assert "trained already" not in capsys.readouterr().err


def test_the_runs_own_model_stands_for_the_whole(make_bench: Callable[..., Any]) -> None:
    bench = make_bench()
    trained = train(
        bench.job.train, bench.job.model, bench.dataset, (), bench.run, bench.job.seed, False, folder=bench.job.folder
    )
    assert isinstance(trained, TrainedModel)
    bench = make_bench(finished=Finished(trained, None))
    found = Tuning(TuningSettings(shares=(0.5, 1.0))).measure(bench)
    assert [one.name for one in found] == ["tuned on 50%", "tuned (this run's model)"]
    assert found[-1].one_off_seconds == trained.seconds
    assert not (bench.run.path / "advise/tuned/1").exists()


def test_a_method_that_shares_of_rows_say_nothing_of(make_bench: Callable[..., Any]) -> None:
    with pytest.raises(CandidateUnfit, match="tunes by dpo"):
        Tuning(TuningSettings()).measure(make_bench(recipe=["train.method=dpo"]))


def test_shares_that_do_not_grow_to_the_whole() -> None:
    for shares in ((0.5,), (0.5, 0.5, 1.0)):
        with pytest.raises(ValidationError, match="expected growing shares that end with 1"):
            TuningSettings(shares=shares)
