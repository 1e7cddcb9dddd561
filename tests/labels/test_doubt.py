"""A reward model as the measure of doubt: its own scores, and pairs that it can't read last."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from burnish import pipeline
from burnish.cli.main import app
from burnish.errors import ModelError
from burnish.labels.doubt import reward_doubt
from burnish.labels.pair import Answer, Pair, Turn, read_pairs
from burnish.models.reward_head import load_reward_model
from burnish.models.settings import ModelSettings
from burnish.recipe import parse_recipe


def pair(question: str, first: str, second: str) -> Pair:
    return Pair(prompt=(Turn(role="user", content=question),), answers=(Answer(text=first), Answer(text=second)))


@pytest.fixture
def reward_run(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """The run folder of a reward model that likes "good" better than "bad"."""
    rows = [{"prompt": f"question {n}", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in range(24)]
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    recipe = f"""
name: reward
model: {tiny_model_folder}
data: {{train: labels.jsonl}}
audit: {{detectors: [hidden_characters]}}
train: {{method: reward_model, learning_rate: 0.005, batch_size: 6, max_steps: 20}}
"""
    outcome = pipeline.run(parse_recipe(recipe), runs=tmp_path / "runs", folder=tmp_path, until="train")
    return outcome.folder


def test_the_differences_are_the_reward_models_own(reward_run: Path, tiny_model_folder: Path) -> None:
    pairs = [pair("question 1", "good 1", "bad 1"), pair("question 2", "bad 2", "good 2")]
    settings = ModelSettings(name=str(tiny_model_folder))
    differences = list(reward_doubt(str(reward_run), settings)(pairs))
    assert differences[0] > 0 > differences[1]

    loaded, head = load_reward_model(settings.made_into(reward_run))
    scores = []
    for reply in ("good 1", "bad 1"):
        chat = [{"role": "user", "content": "question 1"}, {"role": "assistant", "content": reply}]
        text = loaded.tokenizer.apply_chat_template(chat, tokenize=False)
        tokens = torch.tensor([loaded.tokenizer.encode(text, add_special_tokens=False)])
        with torch.no_grad():
            states = loaded.model.model(tokens).last_hidden_state[0]
        end = tokens[0].tolist().index(loaded.tokenizer.eos_token_id, len(tokens[0]) - 3)
        scores.append(float(head(states[end : end + 1])))
    assert differences[0] == pytest.approx(scores[0] - scores[1], abs=1e-3)


def test_a_pair_that_cannot_be_read_comes_last(reward_run: Path, tiny_model_folder: Path) -> None:
    long = pair("question " * 5000, "good", "bad")
    found = reward_doubt(str(reward_run), ModelSettings(name=str(tiny_model_folder)))([long, pair("q", "good", "bad")])
    assert found[0] == math.inf
    assert math.isfinite(found[1])


def test_what_is_no_reward_model_is_told_before_anything_is_written(tiny_model_folder: Path) -> None:
    with pytest.raises(ModelError, match="expected a reward model"):
        reward_doubt(str(tiny_model_folder), ModelSettings(name=str(tiny_model_folder)))


def test_sample_keeps_the_pairs_that_the_reward_model_is_least_sure_of(
    reward_run: Path, tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(json.dumps({"prompt": f"question {n}", "completion": "an answer"}) + "\n" for n in range(12))
    Path("rows.jsonl").write_text(rows, encoding="utf-8")
    Path("recipe.yaml").write_text(f"name: x\nmodel: {tiny_model_folder}\ndata: {{train: rows.jsonl}}\n", "utf-8")
    options = ["--max-new-tokens", "6", "--temperature", "1", "--against-temperature", "1.5"]
    measure = reward_doubt(str(reward_run), ModelSettings(name=str(tiny_model_folder)))

    def sampled(to: str, *more: str) -> list[float]:
        result = CliRunner().invoke(app, ["sample", "recipe.yaml", "--to", to, *options, *more])
        assert result.exception is None, result.output
        return sorted(abs(difference) for difference in measure(read_pairs(Path(to))))

    every = sampled("all.jsonl", "--pairs", "12")
    least = sampled("least.jsonl", "--pairs", "3", "--doubt", str(reward_run))
    assert least == pytest.approx(every[:3], abs=1e-4)
