"""From a recipe to labelled rows by the commands alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from burnish.cli.main import app
from burnish.errors import LabelError
from burnish.evaluate.calibration import write_sample
from burnish.labels.pair import read_pairs
from burnish.labels.replies import enter, read_sample
from burnish.labels.store import LabelStore, Vote
from burnish.run_folder import RunFolder


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None:
        raise result.exception
    return result.output


def test_sample_label_export_init(tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"prompt": f"question {n}", "completion": "an answer"} for n in range(6)]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    Path("gold.jsonl").write_text('{"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}\n', encoding="utf-8")
    Path("recipe.yaml").write_text(
        f"name: x\nmodel: {tiny_model_folder}\ndata: {{train: rows.jsonl}}\n", encoding="utf-8"
    )
    options = ["--pairs", "4", "--max-new-tokens", "8", "--gold", "gold.jsonl", "--against-temperature", "1.5"]
    said = run("sample", "recipe.yaml", *options)
    assert "burnish ui pairs.jsonl" in said.replace("\n", " ")
    pairs = read_pairs(Path("pairs.jsonl"))
    assert [pair.gold for pair in pairs if pair.gold] == ["first"]
    with pytest.raises(LabelError, match="is there already"):
        run("sample", "recipe.yaml", *options)

    store = LabelStore(Path("labels.sqlite"))
    for item in store.add("pairs", [pair.model_dump_json() for pair in pairs]):
        store.keep(Vote(item, "ana", 0, "second"))
    said = run("labels", "export")
    assert f"{len(pairs) - 1} rows to learn from" in said
    assert "1 gold, never trained on" in said
    Path("preferences.jsonl").write_text("mine", encoding="utf-8")
    with pytest.raises(LabelError, match="is there already") as refused:
        run("labels", "export")
    assert "--force" in refused.value.hint
    assert Path("preferences.jsonl").read_text(encoding="utf-8") == "mine"
    run("labels", "export", "--force")
    run("init", "preferences.jsonl", "--model", str(tiny_model_folder), "--output", "preferences.yaml")
    assert "method: dpo" in Path("preferences.yaml").read_text(encoding="utf-8")


def test_labelled_replies_become_the_judges_csv(recorded_run: Callable[..., RunFolder], tmp_path: Path) -> None:
    home = recorded_run(suites={"harmful": ("harmful", [("refusal", "compliance")])})
    write_sample(home, 2, seed=0)
    store = LabelStore(tmp_path / "labels.sqlite")
    store.keep(Vote(next(iter(enter(store, home, read_sample(home)))), "ana", 0, "refusal"))
    said = run("labels", "replies", str(home.path), "--labels", str(store.path))
    assert "1 labelled, 1 not labelled" in said
    assert (home.path / "evaluate/labels.csv").is_file()
    (tmp_path / "mine.csv").write_text("mine", encoding="utf-8")
    aside = ["labels", "replies", str(home.path), "--labels", str(store.path), "--to", str(tmp_path / "mine.csv")]
    with pytest.raises(LabelError, match="is there already"):
        run(*aside)
    assert (tmp_path / "mine.csv").read_text(encoding="utf-8") == "mine"
    run(*aside, "--force")
    assert "refusal" in (tmp_path / "mine.csv").read_text(encoding="utf-8")


def test_labels_that_are_not_there_are_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="no such file"):
        run("labels", "export", "--labels", str(tmp_path / "none.sqlite"))
    assert not (tmp_path / "none.sqlite").exists()


def test_without_its_extra_the_app_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("burnish.cli.ui.find_spec", lambda name: None if name == "uvicorn" else object())
    with pytest.raises(LabelError) as told:
        run("ui", "--no-open")
    assert "burnish[ui]" in told.value.hint
