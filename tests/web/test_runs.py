"""Runs as they are watched."""

from __future__ import annotations

import html
import json
from collections.abc import Callable

from burnish.run_folder import RunFolder
from burnish.web.app import Place
from burnish.web.run_list import find_runs, standing_of

from .conftest import Person


def test_a_run_at_work_is_told_from_one_that_stopped(place: Place) -> None:
    run = RunFolder(place.runs / "training")
    assert not run.is_worked_in()
    stopped = standing_of("training", run)
    assert (stopped.working, stopped.words) == ("", "done up to audit")
    with run.locked():
        working = standing_of("training", run)
        assert (working.working, working.method, working.max_steps) == ("train", "dpo", 40)
    assert not run.is_worked_in()


def test_the_newest_run_comes_first_and_those_one_deeper_are_found(place: Place) -> None:
    RunFolder(place.runs / "group/inner").write_text("recipe.yaml", "name: inner\n")
    assert next(iter(find_runs(place.runs))) == "group/inner"
    assert set(find_runs(place.runs)) == {"group/inner", "training", "evaluated"}


def test_a_run_is_shown_with_its_charts(place: Place, person: Callable[[str], Person]) -> None:
    ana = person("")
    page = ana.page("/runs/run/training")
    for title in ("Loss", "Reward", "Drift from the reference (KL)", "Throughput, tokens a second"):
        assert f"<figcaption>{title}" in page
    assert "data-live" not in page
    with RunFolder(place.runs / "training").locked():
        page = ana.page("/runs/run/training")
    assert 'data-live="/runs/events/training"' in page
    assert "Step 12 of 40, about 56.0 s of training to go" in page


def test_the_events_of_a_run_that_is_over_end(person: Callable[[str], Person]) -> None:
    answer = person("").client.get("/runs/events/training")
    assert answer.headers["content-type"].startswith("text/event-stream")
    frames = answer.text.split("\n\n")
    assert frames[0].startswith("event: live\ndata: <ol")
    assert frames[1] == "event: over\ndata: "


def test_the_list_links_a_report_once_there_is_one(place: Place, person: Callable[[str], Person]) -> None:
    ana = person("")
    assert "/runs/report/evaluated" not in ana.page("/runs")
    (place.runs / "evaluated/report.html").write_text("<h1>report</h1>", encoding="utf-8")
    assert 'href="/runs/report/evaluated"' in ana.page("/runs")


def test_a_run_whose_files_are_broken_is_shown_all_the_same(place: Place, person: Callable[[str], Person]) -> None:
    run = RunFolder(place.runs / "broken<b>")
    run.write_text("recipe.yaml", "[: nonsense")
    run.write_text("manifest.json", "{")
    page = person("").page("/runs")
    assert "broken<b>" not in page
    assert "broken<b>" in html.unescape(page)


def test_without_runs_the_page_says_how_to_start_one(place: Place, person: Callable[[str], Person]) -> None:
    import shutil

    shutil.rmtree(place.runs)
    assert "burnish run recipe.yaml" in person("").page("/runs")


def test_what_another_run_trained_is_called_by_that_run(place: Place) -> None:
    run = RunFolder(place.runs / "training")
    assert standing_of("training", run).base == "a-model"
    run.write_text("recipe.yaml", f"model: {{name: '{place.runs.resolve()}/evaluated/train/adapter'}}\n")
    assert standing_of("training", run).base == "run evaluated"


def test_the_newest_held_out_numbers_stay_beside_later_steps(place: Place, person: Callable[[str], Person]) -> None:
    rows = [
        {"step": 1, "reward": 0.1, "kl": 0.0, "heldout_win_rate": 0.5, "heldout_win_rate_low": 0.4,
         "heldout_win_rate_high": 0.6},
        {"step": 2, "reward": 0.2, "kl": 0.01},
    ]  # fmt: skip
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    RunFolder(place.runs / "training").write_text("train/metrics.jsonl", lines)
    page = person("").page("/runs/run/training")
    assert "<dt>reward</dt><dd>0.2</dd>" in page
    assert "<dt>held-out win rate</dt><dd>50.0% <small>0.4 to 0.6</small></dd>" in page
