"""`burnish preview` shows exactly what the encoder trains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from burnish.cli.preview import preview, show
from burnish.errors import DataError
from burnish.models.chat_template import Encoder
from burnish.models.load import load_tokenizer
from burnish.models.settings import ModelSettings
from burnish.records import Conversation, Message, Source

app = typer.Typer()
app.command()(preview)
ROWS = [{"prompt": "What is it?", "completion": "a dog"}, {"prompt": "And that?", "completion": "a \x1b[2Jcat"}]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_trained_text_and_masked_text_stand_apart(data: Path, tiny_model_folder: Path) -> None:
    result = CliRunner().invoke(app, [str(data), "--model", str(tiny_model_folder)])
    assert result.exception is None
    lines = result.output.splitlines()
    assert [line[:3] for line in lines[:2]] == ["0  ", "1  "]
    assert "What is it?" in lines[0]
    assert lines[1] == "1  'a dog<|im_end|>'"
    assert "trained (weight above 0)" in result.output


def test_a_row_is_chosen_by_number_and_shown_without_being_obeyed(data: Path, tiny_model_folder: Path) -> None:
    result = CliRunner().invoke(app, [str(data), "--row", "2", "--model", str(tiny_model_folder)])
    assert "And that?" in result.output
    assert "\x1b" not in result.output
    beyond = CliRunner().invoke(app, [str(data), "--row", "3", "--model", str(tiny_model_folder)])
    assert isinstance(beyond.exception, DataError)
    assert "has no row 3" in beyond.exception.message


def test_a_recipe_says_which_data_model_and_length(data: Path, tiny_model_folder: Path) -> None:
    recipe = data.parent / "recipe.yaml"
    recipe.write_text(f"name: a\nmodel: {tiny_model_folder}\ndata: {{train: a.jsonl}}\ntrain: {{max_length: 12}}\n")
    result = CliRunner().invoke(app, [str(recipe)])
    assert result.exception is None
    assert "cut" in result.output


def test_on_a_colour_terminal_trained_text_is_bright(tiny_model_folder: Path) -> None:
    console = Console(force_terminal=True, color_system="standard", no_color=False, record=True, width=200)
    encoder = Encoder(load_tokenizer(ModelSettings(name=str(tiny_model_folder))), 100)
    chat = (Message("user", "question"), Message("assistant", "reply"))
    record = Conversation(chat, Source("a", 1))
    show(encoder, record, encoder.conversation(record), console)
    said = console.export_text(styles=True)
    assert "\x1b[1;32mreply" in said
    assert "question" in said.partition("\x1b[1;32m")[0]


def test_both_sides_of_a_pair_are_shown_with_what_counts(tmp_path: Path, tiny_model_folder: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"prompt": "Which?", "chosen": "a dog", "rejected": "a cat"}))
    result = CliRunner().invoke(app, [str(path), "--model", str(tiny_model_folder)])
    assert result.exception is None
    lines = result.output.splitlines()
    assert [lines[0], lines[2], lines[4], lines[6]] == [
        "chosen:",
        "1  'a dog<|im_end|>'",
        "rejected:",
        "1  'a cat<|im_end|>'",
    ]
    assert "(the prompt once)" in " ".join(lines[8:])


def test_a_labelled_reply_is_shown_with_its_label(tmp_path: Path, tiny_model_folder: Path) -> None:
    path = tmp_path / "thumbs.jsonl"
    path.write_text(json.dumps({"prompt": "Which?", "completion": "a dog", "label": False}))
    result = CliRunner().invoke(app, [str(path), "--model", str(tiny_model_folder)])
    assert result.exception is None
    assert result.output.splitlines()[0] == "undesirable:"


def test_a_recipe_whose_method_does_not_fit_its_rows_is_told(tmp_path: Path, tiny_model_folder: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"prompt": "Which?", "chosen": "a dog", "rejected": "a cat"}))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"name: a\nmodel: {tiny_model_folder}\ndata: {{train: pairs.jsonl}}\ntrain: {{method: kto}}\n")
    result = CliRunner().invoke(app, [str(recipe)])
    assert isinstance(result.exception, DataError)
    assert "pairs are for dpo" in result.exception.hint
