"""`burnish init` says what is in a dataset and writes a recipe that loads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from burnish.cli.init import init
from burnish.cli.recipe_text import run_name
from burnish.errors import BurnishError, DataError, ModelError, RecipeError
from burnish.recipe import Recipe, load_recipe

app = typer.Typer()
app.command()(init)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")


def write(path: Path, rows: Iterable[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)


def recipe_for(*arguments: object, output: str = "recipe.yaml") -> tuple[Recipe, str]:
    result = call(*arguments)
    assert result.exception is None, result.exception
    return load_recipe(output), result.output


def test_a_label_set_gets_a_recipe_that_suits_it(tmp_path: Path, tiny_model_folder: Path) -> None:
    rows = [{"text": f"my card {i} is lost", "category": f"lost_{i % 7}"} for i in range(50)]
    write(tmp_path / "data" / "bank's: set.jsonl", [*rows, rows[0]])
    recipe, said = recipe_for("data/bank's: set.jsonl", "--model", tiny_model_folder)
    source = recipe.data.train[0]
    assert (source.path, source.format) == ("data/bank's: set.jsonl", "prompt_completion")
    assert (recipe.name, recipe.model.name) == ("bank-s-set", str(tiny_model_folder))
    assert recipe.train.max_length == 128
    text = (tmp_path / "recipe.yaml").read_text()
    assert "metric: exact_match" in text
    assert "# instruction:" in text
    assert '"text" is taken as the prompt' in text
    for words in ("51", "prompt_completion", "exact duplicates", "lost_0", "median", "first row"):
        assert words in said


def test_the_recipe_finds_its_data_from_its_own_folder(tmp_path: Path, tiny_model_folder: Path) -> None:
    write(tmp_path / "data" / "a.jsonl", [{"prompt": "q", "completion": "a"}] * 3)
    (tmp_path / "recipes").mkdir()
    output = "recipes/mine.yaml"
    recipe, _ = recipe_for("data/a.jsonl", "--model", tiny_model_folder, "-o", output, output=output)
    assert recipe.data.train[0].path == "../data/a.jsonl"


def test_rows_longer_than_the_model_can_read_are_told(tmp_path: Path, tiny_model_folder: Path) -> None:
    rows = [
        {"prompt": f"Tell me {i}.", "completion": "the dog and the cat. " * (2000 if i == 3 else 5)} for i in range(9)
    ]
    write(tmp_path / "a.jsonl", rows)
    recipe, said = recipe_for("a.jsonl", "--model", tiny_model_folder)
    assert recipe.train.max_length == 1024
    text = (tmp_path / "recipe.yaml").read_text()
    assert "1 rows would be cut" in text
    assert "metric: rouge_l" in text
    assert "cut at 1024" in said


def test_a_recipe_that_is_there_is_overwritten_only_by_force(tmp_path: Path, tiny_model_folder: Path) -> None:
    write(tmp_path / "a.jsonl", [{"prompt": "q", "completion": "a"}] * 3)
    (tmp_path / "recipe.yaml").write_text("mine")
    refused = call("a.jsonl", "--model", tiny_model_folder)
    assert isinstance(refused.exception, RecipeError)
    assert "--force" in refused.exception.hint
    assert (tmp_path / "recipe.yaml").read_text() == "mine"
    recipe_for("a.jsonl", "--model", tiny_model_folder, "--force")


@pytest.mark.parametrize(
    ("row", "method"),
    [
        ({"prompt": "Which {}?", "chosen": "a dog", "rejected": "a cat"}, "dpo"),
        ({"prompt": "Which {}?", "completion": "a dog", "label": True}, "kto"),
    ],
)
def test_preferences_get_a_recipe_with_a_method_that_learns_from_them(
    tmp_path: Path, tiny_model_folder: Path, row: dict[str, object], method: str
) -> None:
    write(tmp_path / "a.jsonl", ({**row, "prompt": f"Which {i}?"} for i in range(9)))
    recipe, said = recipe_for("a.jsonl", "--model", tiny_model_folder)
    assert recipe.train.method.kind == method
    assert recipe.evaluate.task is not None
    assert recipe.evaluate.task.metric.kind == "preference_accuracy"
    assert recipe.train.heldout_loss_every == 10
    assert method in said


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([{"alpha": 1}], DataError, "the format isn't known"),
        ([], DataError, "the file is empty"),
    ],
)
def test_what_cannot_be_trained_on_gets_no_recipe(
    tmp_path: Path, tiny_model_folder: Path, rows: list[object], error: type[BurnishError], message: str
) -> None:
    write(tmp_path / "a.jsonl", rows)
    result = call("a.jsonl", "--model", tiny_model_folder)
    assert isinstance(result.exception, error)
    assert message in result.exception.message
    assert not (tmp_path / "recipe.yaml").exists()


def test_a_model_that_was_named_must_be_there(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"prompt": "q", "completion": "a"}] * 3)
    assert isinstance(call("a.jsonl", "--model", "./nowhere").exception, ModelError)


def test_text_from_the_data_is_shown_not_obeyed(tmp_path: Path, tiny_model_folder: Path) -> None:
    write(tmp_path / "a.jsonl", [{"prompt": "\x1b[2J[red]q[/red]", "completion": "a", "x\ny: 1\u0085": 1}] * 3)
    _, said = recipe_for("a.jsonl", "--model", tiny_model_folder)
    assert "\x1b" not in said
    assert "\\x1b[2J[red]q[/red]" in said


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/bank.csv.gz", "bank"),
        ("hf:owner/my set", "my-set"),
        ("builtin:safety", "safety"),
        ("../../..", "run"),
        ("-x-.json", "x"),
    ],
)
def test_the_run_is_named_after_the_data(path: str, name: str) -> None:
    assert run_name(path) == name


def test_public_sets_get_recipes_that_load(
    shared_data: Callable[[str], Path], tmp_path: Path, tiny_model_folder: Path
) -> None:
    path = shared_data("task/banking77_test.csv")
    recipe, said = recipe_for(path, "--model", tiny_model_folder)
    assert recipe.data.train[0].path == str(path)
    assert "3,080" in said
