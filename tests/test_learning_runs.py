"""Runs that learn from rewards, through the whole pipeline on a tiny random model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burnish import pipeline
from burnish.cli.main import main
from burnish.run_folder import RunFolder

RECIPE = """\
name: {name}
model: {model}
data: {{train: {rows}, heldout_fraction: 0.2}}
train:
  method: {method}
  max_steps: 2
  batch_size: 4
  adapter: {{kind: lora, rank: 2}}
evaluate:
  task: {{metric: exact_match, rows: 6, few_shot: 0, max_new_tokens: 4}}
  safety:
    max_new_tokens: 4
    suites: [{{path: "builtin:harmful_requests", kind: harmful, rows: 12}}]
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with rows of sums, as conversations and as pairs, and a reward beside them."""
    sums = [(f"What is {i} plus {i}?", f"It is {2 * i}.", f"No idea, {i}.") for i in range(40)]
    chats = [{"prompt": prompt, "completion": right} for prompt, right, _ in sums]
    pairs = [{"prompt": prompt, "chosen": right, "rejected": wrong} for prompt, right, wrong in sums]
    for name, rows in (("chats", chats), ("pairs", pairs)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "sums.py").write_text("def right(answer, reference):\n    return float(answer == reference)\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(place: Path, model: Path, name: str, rows: str, method: str) -> Path:
    recipe = place / f"{name}.yaml"
    recipe.write_text(RECIPE.format(name=name, model=model, rows=rows, method=method))
    return recipe


def test_a_reward_model_ends_without_a_decision_and_a_policy_learns_from_it_and_gets_one(
    place: Path, tiny_model_folder: Path
) -> None:
    reward = pipeline.run(write(place, tiny_model_folder, "reward", "pairs.jsonl", "reward_model"))
    assert reward.decision is None
    assert reward.release is None
    assert reward.report is not None
    assert "REWARD MODEL" in reward.report.read_text(encoding="utf-8")
    assert "train/reward_model.json" in RunFolder(reward.folder).manifest()["stages"]["train"]["outputs"]

    rewards = '[{kind: reward_model, path: runs/reward}, {kind: function, function: "sums.py:right"}]'
    method = f"{{kind: grpo, samples: 3, max_new_tokens: 4, rewards: {rewards}}}"
    policy = pipeline.run(write(place, tiny_model_folder, "policy", "chats.jsonl", method))
    assert policy.decision is not None
    assert policy.decision.verdict in ("HOLD", "BLOCK")
    assert policy.report is not None
    assert "Answers, before and after" in policy.report.read_text(encoding="utf-8")
    again = pipeline.run(place / "policy.yaml", resume=True)
    assert again.decision == policy.decision


def test_changed_reward_code_is_trained_on_anew(
    place: Path, tiny_model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    method = '{kind: grpo, samples: 2, max_new_tokens: 4, rewards: {kind: function, function: "sums.py:right"}}'
    recipe = write(place, tiny_model_folder, "policy", "chats.jsonl", method)
    pipeline.run(recipe, until="train")
    capsys.readouterr()
    pipeline.run(recipe, until="train", resume=True)
    assert "train: done already" in capsys.readouterr().err
    (place / "sums.py").write_text("def right(answer):\n    return float(len(answer))\n")
    pipeline.run(recipe, until="train", resume=True)
    assert "train: done already" not in capsys.readouterr().err


def test_a_reward_that_is_missing_is_an_error_of_the_user_s(
    place: Path, tiny_model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    method = "{kind: grpo, rewards: {kind: function, function: 'absent.py:right'}}"
    recipe = write(place, tiny_model_folder, "policy", "chats.jsonl", method)
    with pytest.raises(SystemExit) as ended:
        main(["run", str(recipe)])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "absent.py" in said
    assert "hint:" in said
