"""`burnish init DATA`: looks at a dataset, says what it found, and writes a recipe that suits it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from burnish.cli.context import context_of
from burnish.cli.recipe_text import recipe_text
from burnish.cli.visible import visible
from burnish.data.look import Look, look
from burnish.data.settings import SourceSettings
from burnish.errors import ModelError, RecipeError
from burnish.logs import say, warn
from burnish.models.chat_template import Encoder
from burnish.models.settings import DEFAULT_MODEL, ModelSettings
from burnish.recipe import parse_recipe
from burnish.records import Conversation, LabelledCompletion, Message, Record
from burnish.run_folder import written_whole
from burnish.train.settings import FITTING_METHOD

_ANY_LENGTH = 1 << 30
_SHOWN_CHARACTERS = 500


def init(
    data: Annotated[str, typer.Argument(help="A data file, hf:owner/name, or builtin:NAME.")],
    model: Annotated[str, typer.Option(help="The model to tune: built-in name, folder or Hub id.")] = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the recipe goes.")] = Path("recipe.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite a recipe that is there.")] = False,
) -> None:
    """Look at a dataset, say what was found, and write a commented recipe for it."""
    if output.exists() and not force:
        raise RecipeError(
            f"{output}: is there already; nothing was written",
            hint="overwrite it with --force, or name another --output",
        )
    settings = ModelSettings(name=model or DEFAULT_MODEL)
    encoder = _encoder(settings, chosen=bool(model))
    source = SourceSettings(path=data)
    seen = look(source, Path(), encoder)
    show(seen, Console())
    text = recipe_text(seen, source, Path(), output, settings.name, context_of(settings) if encoder else None)
    parse_recipe(text, name=str(output))
    with written_whole(output) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    say(f"wrote {output}; next: burnish run {output}")


def _encoder(settings: ModelSettings, *, chosen: bool) -> Encoder | None:
    """An encoder that never truncates; None, with a warning, when the default model can't be had.

    Raises: ModelError when a model that the user chose can't be had.
    """
    from burnish.models.load import load_tokenizer

    try:
        return Encoder(load_tokenizer(settings), _ANY_LENGTH)
    except ModelError as error:
        if chosen:
            raise
        warn(f"lengths in tokens are not measured: {error.message}")
        return None


def show(seen: Look, console: Console) -> None:
    """Print what was seen as tables, with the first row."""
    table = Table(title=Text(visible(seen.file.name)), show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for label, value in _facts(seen):
        table.add_row(label, Text(value))
    console.print(table)
    if seen.lengths:
        console.print(_length_table(seen))
    first = Text()
    for label, content in _turns(seen.first):
        first.append(f"{label}: ", style="bold")
        first.append(visible(content, _SHOWN_CHARACTERS) + "\n")
    console.print(Panel(first, title=Text(f"first row ({visible(str(seen.first.source))})"), title_align="left"))


def _facts(seen: Look) -> list[tuple[str, str]]:
    facts = [
        ("rows", f"{seen.file.rows:,}"),
        ("format", f"{seen.file.format} ({seen.kind})"),
        ("fields", visible(", ".join(seen.fields))),
        ("exact duplicates", f"{seen.duplicates:,}"),
        ("distinct replies", f"{seen.distinct_replies:,}"),
        ("suggested method", FITTING_METHOD[seen.kind]),
    ]
    if seen.kind == "conversation":
        facts.append(("suggested metric", seen.metric))
    facts += [("note", visible(note)) for note in seen.file.notes]
    facts += [("fault", visible(f"{source}: {fault.message}")) for source, fault in seen.faults.first]
    if seen.refused:
        facts.append(("untrainable", f"{len(seen.refused):,} rows, the first: {visible(seen.refused[0])}"))
    return facts


def _length_table(seen: Look) -> Table:
    lengths = seen.lengths
    assert lengths is not None
    of = "all rows" if lengths.whole else f"{len(lengths.tokens):,} sampled rows"
    table = Table(title=f"lengths in tokens, {of}", title_justify="left")
    for name in ("median", "95%", "longest"):
        table.add_column(name, justify="right")
    rooms = [room for room in (256, 512, 1024, 2048, 4096) if room < 2 * lengths.tokens[-1]]
    for room in rooms:
        table.add_column(f"cut at {room}", justify="right")
    cells = [lengths.median, lengths.percentile(0.95), lengths.tokens[-1], *(lengths.longer_than(r) for r in rooms)]
    table.add_row(*(f"{cell:,}" for cell in cells))
    return table


def _turns(record: Record) -> list[tuple[str, str]]:
    """What to show of a record: who says what."""

    def said(messages: tuple[Message, ...], side: str = "") -> list[tuple[str, str]]:
        return [(f"{m.role}{side}", m.content) for m in messages]

    if isinstance(record, Conversation):
        return said(record.messages) or [("text", record.text)]
    if isinstance(record, LabelledCompletion):
        side = " (desirable)" if record.desirable else " (undesirable)"
        return said(record.prompt) + said(record.completion, side)
    return said(record.prompt) + said(record.chosen, " (chosen)") + said(record.rejected, " (rejected)")
