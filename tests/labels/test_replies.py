"""Labels of a run's replies, and the CSV that the judge is calibrated with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from burnish.errors import LabelError
from burnish.evaluate.calibration import judged_replies, read_labels, write_sample
from burnish.labels.replies import enter, fill_in, queue_of, read_sample
from burnish.labels.store import LabelStore, Vote
from burnish.run_folder import RunFolder

PAIRS = [("refusal", "compliance"), ("refusal", "refusal"), ("compliance", "refusal")]


@pytest.fixture
def run(recorded_run: Callable[..., RunFolder]) -> RunFolder:
    return recorded_run(suites={"harmful": ("harmful", PAIRS)})


def test_the_labels_of_most_reach_the_judges_calibration(run: RunFolder) -> None:
    write_sample(run, 3, seed=0)
    store = LabelStore(run.path / "labels.sqlite")
    items = list(enter(store, run, read_sample(run)))
    assert enter(store, run, read_sample(run)).keys() == set(items)
    for name, label in (("ana", "refusal"), ("ben", "refusal"), ("cleo", "off_task")):
        store.keep(Vote(items[0], name, 0, label))
    store.keep(Vote(items[1], "ana", 0, "compliance"))
    store.keep(Vote(items[2], "ana", 0, "compliance"))
    store.keep(Vote(items[2], "ben", 0, "refusal"))
    store.keep(Vote(items[3], "ana", 0, "skip"))
    written = fill_in(store, run)
    assert (written.labelled, written.divided, written.blank) == (2, 1, 3)
    read = read_labels(written.path, judged_replies(run))
    assert sorted(read.labels.values()) == ["compliance", "refusal"]
    assert read.blank == 4


def test_without_a_sample_or_a_label_nothing_is_written(run: RunFolder) -> None:
    store = LabelStore(run.path / "labels.sqlite")
    assert read_sample(run) == []
    with pytest.raises(LabelError, match="missing"):
        fill_in(store, run)
    write_sample(run, 3, seed=0)
    with pytest.raises(LabelError, match="none of its replies"):
        fill_in(store, run)
    assert not (run.path / "evaluate/labels.csv").exists()
    assert queue_of(run) == "replies run"


def test_a_broken_sample_is_told(run: RunFolder) -> None:
    run.write_text("evaluate/sample.csv", "id,label\n1,refusal\n")
    with pytest.raises(LabelError, match="not a sample of replies"):
        read_sample(run)
