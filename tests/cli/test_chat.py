"""`burnish chat` with the engine's `stream` replaced: what it is asked, what is shown, what is remembered."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from burnish.cli import chat as chat_module
from burnish.cli.chat import chat
from burnish.errors import ModelError, RunFolderError
from burnish.run_folder import weights_of

app = typer.Typer()
app.command()(chat)


class Engine:
    """Stands in for the engine: writes the number of the question, and keeps every prompt as text."""

    def __init__(self) -> None:
        self.prompts: list[str] = []
        self.settings: list[Any] = []
        self.interrupt = False

    def stream(self, model: Any, tokenizer: Any, prompt: tuple[int, ...], settings: Any) -> Iterator[str]:
        self.prompts.append(tokenizer.decode(list(prompt)))
        self.settings.append(settings)
        yield "answer\x1b[2J "
        if self.interrupt:
            raise KeyboardInterrupt
        yield str(len(self.prompts))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    module = ModuleType("burnish.models.generate")
    vars(module).update(stream=engine.stream, GenerationSettings=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "burnish.models.generate", module)
    return engine


def talk(folder: Path, said: str | bytes, *options: str) -> str:
    result = CliRunner().invoke(app, [str(folder), *options], input=said)
    assert result.exception is None, result.exception
    return str(result.stdout)


def test_each_piped_line_is_a_turn_of_one_chat(engine: Engine, tiny_model_folder: Path) -> None:
    out = talk(tiny_model_folder, "hello\n\nand you\n", "--system", "be kind", "--max-new-tokens", "9")
    assert out == "answer\\x1b[2J 1\nanswer\\x1b[2J 2\n"
    assert (
        engine.prompts[0]
        == "<|im_start|>system\nbe kind<|im_end|>\n<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    )
    assert "assistant\nanswer\x1b[2J 1<|im_end|>\n<|im_start|>user\nand you<|im_end|>" in engine.prompts[1]
    assert (engine.settings[0].max_new_tokens, engine.settings[0].temperature) == (9, 0.0)


def test_commands_forget_set_the_system_message_and_end(engine: Engine, tiny_model_folder: Path) -> None:
    talk(tiny_model_folder, "one\n/reset\ntwo\n/system be brief\nthree\n/reset\nfour\n/nope\n/exit\nfive\n")
    assert len(engine.prompts) == 4
    assert "one" not in engine.prompts[1]
    assert "system" not in engine.prompts[1]
    assert engine.prompts[2].startswith("<|im_start|>system\nbe brief")
    assert "two" not in engine.prompts[2]
    assert engine.prompts[3].startswith("<|im_start|>system\nbe brief")


def test_two_models_answer_side_by_side(engine: Engine, tiny_model_folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(tiny_model_folder, tmp_path / "b")
    out = talk(tiny_model_folder, "hello\nagain\n", "--base", str(other))
    assert [line for line in out.splitlines() if "answer" in line and "1" in line and "2" in line]
    assert "\x1b" not in out
    assert len(engine.prompts) == 4
    assert engine.prompts[2].count("assistant\nanswer") == 1


def test_a_chat_that_outgrows_the_model_forgets_its_oldest_turn(
    engine: Engine, tiny_model_folder: Path, tmp_path: Path
) -> None:
    small = Path(shutil.copytree(tiny_model_folder, tmp_path / "small"))
    config = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 80}))
    talk(small, "alpha alpha\nbeta beta\ngamma\n", "--max-new-tokens", "10")
    assert "alpha" in engine.prompts[0]
    assert "alpha" not in engine.prompts[-1]
    assert "gamma" in engine.prompts[-1]


def test_interrupting_a_reply_forgets_the_question(engine: Engine, tiny_model_folder: Path) -> None:
    engine.interrupt = True
    talk(tiny_model_folder, "secret\nhello\n")
    assert len(engine.prompts) == 2
    assert "secret" not in engine.prompts[1]


@pytest.mark.usefixtures("engine")
def test_bytes_that_arent_text_are_no_crash(tiny_model_folder: Path) -> None:
    assert "answer" in talk(tiny_model_folder, b"caf\xe9\n")


def test_a_runs_folder_means_what_it_trained(tmp_path: Path) -> None:
    (tmp_path / "run" / "train" / "adapter").mkdir(parents=True)
    assert weights_of(str(tmp_path / "run")) == str(tmp_path / "run" / "train" / "adapter")
    assert weights_of("owner/model") == "owner/model"
    (tmp_path / "run" / "train" / "train.json").write_text('{"writes": false}')
    with pytest.raises(RunFolderError, match="a reward model, which scores text and writes none"):
        weights_of(str(tmp_path / "run"))


@pytest.mark.usefixtures("engine")
def test_a_model_that_isnt_there_is_an_error_with_a_hint() -> None:
    result = CliRunner().invoke(app, ["./nowhere"])
    assert isinstance(result.exception, ModelError)
    assert result.exception.hint


def test_the_prompt_ends_on_ctrl_d(monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter(["  hi ", ""])

    def ask(_: str) -> str:
        try:
            return next(said)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr(chat_module.sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", ask)
    assert list(chat_module._lines()) == ["hi"]
