"""`burnish chat`: talk to a model in the terminal, or to two side by side."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from burnish.cli.visible import visible
from burnish.logs import say
from burnish.models.settings import ModelSettings
from burnish.records import Message
from burnish.run_folder import weights_of

_COMMANDS = "/reset forgets the chat, /system TEXT sets the system message, /exit ends (so does Ctrl-D)"


@dataclass
class Talk:
    """One model's side of a chat. `length` is the longest row in tokens that the model reads, reply included."""

    name: str
    loaded: Any
    encoder: Any
    length: int
    settings: Any
    system: str = ""
    turns: list[Message] = field(default_factory=list)

    def reply(self, text: str) -> Iterator[str]:
        """Yield the reply to `text` in pieces as it is written, and remember both; what was said first is forgotten
        when the chat outgrows the model."""
        from burnish.models.device import products
        from burnish.models.generate import stream

        self.turns.append(Message("user", text))
        written = ""
        with products(self.loaded.products):
            for piece in stream(self.loaded.model, self.loaded.tokenizer, self._prompt(), self.settings):
                written += piece
                yield piece
        self.turns.append(Message("assistant", written))

    def reset(self, system: str) -> None:
        """Begin anew under another system message (empty for the template's own)."""
        self.system = system
        self.turns.clear()

    def _prompt(self) -> tuple[int, ...]:
        opening = [Message("system", self.system)] if self.system else []
        while True:
            tokens: tuple[int, ...] = self.encoder.prompt([*opening, *self.turns])
            if len(tokens) + self.settings.max_new_tokens <= self.length or len(self.turns) < 3:
                return tokens
            del self.turns[:2]
            say(f"({self.name} can't hold all of this chat: the oldest turn was forgotten)")


def chat(
    model: Annotated[
        str,
        typer.Argument(help="A built-in name, the folder of a model, adapter or run, or a Hub id.", show_default=False),
    ],
    base: Annotated[str | None, typer.Option(help="A second model, shown beside the first.")] = None,
    system: Annotated[str, typer.Option(help="The system message; empty for the model's own.")] = "",
    max_new_tokens: Annotated[int, typer.Option(min=1, help="The longest reply, in tokens.")] = 256,
    temperature: Annotated[float, typer.Option(min=0.0, max=5.0, help="0 always takes the likeliest token.")] = 0.0,
) -> None:
    """Talk to a model, or to base and tuned side by side. Piped input is read as one prompt a line."""
    names = [base, model] if base else [model]
    talks = [_open(name, system, max_new_tokens, temperature) for name in names]
    if sys.stdin.isatty():
        say(_COMMANDS)
    for line in _lines():
        if line == "/exit":
            return
        if line == "/reset" or line == "/system" or line.startswith("/system "):
            said = talks[0].system if line == "/reset" else line.removeprefix("/system").strip()
            for talk in talks:
                talk.reset(said)
            say("the chat begins anew")
        elif line.startswith("/"):
            say(f"no command is called {visible(line.split()[0], 40)}: {_COMMANDS}")
        else:
            _answer(talks, line)


def _open(name: str, system: str, max_new_tokens: int, temperature: float) -> Talk:
    from burnish.models.chat_template import Encoder
    from burnish.models.generate import GenerationSettings
    from burnish.models.load import load_model

    loaded = load_model(ModelSettings(name=weights_of(name)))
    length = int(getattr(loaded.model.config, "max_position_embeddings", 0)) or sys.maxsize
    settings = GenerationSettings(max_new_tokens=max_new_tokens, temperature=temperature)
    return Talk(name, loaded, Encoder(loaded.tokenizer, length), length, settings, system)


def _lines() -> Iterator[str]:
    """What the user writes, stripped; empty lines left out; ends with the input, or with Ctrl-C at the prompt."""
    asked = sys.stdin.isatty()
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    while True:
        try:
            line = input("> ") + "\n" if asked else sys.stdin.readline()
        except (EOFError, KeyboardInterrupt):
            return
        if not line:
            return
        if line.strip():
            yield line.strip()


def _answer(talks: list[Talk], text: str) -> None:
    """Show the reply: of one model as it is written, of two in a table when both are done. Ctrl-C takes the question
    back, so that both models remember the same chat."""
    remembered = [list(talk.turns) for talk in talks]
    try:
        if len(talks) == 1:
            for piece in talks[0].reply(text):
                typer.echo(visible(piece), nl=False)
            typer.echo()
        else:
            table = Table()
            for talk in talks:
                table.add_column(Text(visible(talk.name)))
            table.add_row(*(Text(visible("".join(talk.reply(text)))) for talk in talks))
            Console().print(table)
    except KeyboardInterrupt:
        for talk, turns in zip(talks, remembered, strict=True):
            talk.turns = turns
        typer.echo()
        say("(cut short; the question is forgotten)")
