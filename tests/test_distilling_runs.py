"""Runs that distil, through the whole pipeline on a tiny random model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from burnish import pipeline
from burnish.artefacts import Evaluation, TrainedModel
from burnish.recipe import parse_recipe
from burnish.run_folder import RunFolder

RECIPE = """\
name: student
model: {model}
data:
  train:
    - rows.jsonl
    - {{path: prompts.jsonl, replies: teacher, heldout: false}}
  writing: {{max_new_tokens: 6}}
train: {{method: {{kind: distill, teacher: {teacher}, by: {by}}}, max_steps: 2, batch_size: 4, adapter: full}}
evaluate:
  task: null
  safety:
    max_new_tokens: 4
    suites:
      - {{path: "builtin:harmful_requests", kind: harmful, rows: 12}}
      - {{path: "builtin:over_refusal", kind: over_refusal, rows: 12}}
  probe: null
"""
SECRET = "AKIA" + "Q3EXAMPLE7K2LMNOP"[:16]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with rows that have replies, and others that the teacher replies to."""
    for name, n in (("rows", 12), ("prompts", 8)):
        rows = [{"prompt": f"What is {i} plus {i}, of {name}?", "completion": f"It is {2 * i}."} for i in range(n)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_student_with_fewer_layers_is_laid_beside_its_teacher(place: Path, tiny_model_folder: Path) -> None:
    text = RECIPE.format(model=f"{{name: {tiny_model_folder}, layers: 2}}", teacher="null", by="logits")
    text = text.replace("{path: prompts.jsonl, replies: teacher, heldout: false}", "prompts.jsonl")
    outcome = pipeline.run(parse_recipe(text), folder=place)
    run = RunFolder(outcome.folder)
    trained = run.load("train/train.json", TrainedModel)
    assert trained.cut_from == trained.teacher is not None
    assert outcome.decision is not None
    rules = [rule.rule for rule in outcome.decision.rules]
    assert "over_refusal_beside_teacher" in rules
    assert "over_refusal" not in rules
    assert outcome.report is not None
    assert "judged beside the teacher" in outcome.report.read_text(encoding="utf-8")


def test_a_teacher_behind_a_server_writes_is_audited_and_its_student_is_held(
    place: Path, tiny_model_folder: Path, chat_server: Any
) -> None:
    """Of eight replies one can't be had, one is cut off, and one holds a secret."""

    def answer(body: dict[str, Any]) -> Any:
        asked = body["messages"][-1]["content"]
        if "What is 0 " in asked:
            return 200, {}, b"{"
        if "What is 1 " in asked:
            return chat_server.completion("It goes on and", finish="length")
        key = f" My key is {SECRET}." if "What is 2 " in asked else ""
        return chat_server.completion(f"That makes it {asked[8:10].strip()} twice.{key}")

    chat_server.answer = answer
    server = f"{{kind: endpoint, url: '{chat_server.url}', model: m, attempts: 1, requests_per_minute: 6000}}"
    recipe = parse_recipe(RECIPE.format(model=tiny_model_folder, teacher=server, by="sequence"))
    outcome = pipeline.run(recipe, folder=place)
    run = RunFolder(outcome.folder)
    rows = [json.loads(line) for line in run.file("data/train.jsonl").read_text(encoding="utf-8").splitlines()]
    by_teacher = [row for row in rows if row["source"]["file"].endswith("prompts.jsonl")]
    assert len(by_teacher) == 6
    assert all("That makes it" in row["messages"][-1]["content"] for row in by_teacher)
    findings = [json.loads(line) for line in run.file("audit/findings.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [found["where"] for found in findings if found["detector"] == "secrets"] == ["prompts.jsonl:3"]
    trained = run.load("train/train.json", TrainedModel)
    assert trained.teacher is not None
    assert (trained.teacher.digest, trained.losses.rows_quarantined) == ("", 1)
    assert run.load("evaluate/evaluation.json", Evaluation).companions == ()
    assert outcome.decision is not None
    assert outcome.decision.verdict in ("HOLD", "BLOCK")
    (held,) = [rule for rule in outcome.decision.rules if rule.rule == "inheritance"]
    assert held.outcome == "HOLD"

    asked = len(chat_server.bodies)
    assert pipeline.run(recipe, folder=place, resume=True).decision == outcome.decision
    assert len(chat_server.bodies) == asked
