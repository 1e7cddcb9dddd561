"""`burnish preview`: shows which tokens of a row are trained, before anything is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from burnish.catalogue import build, settings_of
from burnish.cli.context import context_of
from burnish.cli.visible import visible
from burnish.data.convert import read_source
from burnish.data.faults import Faults
from burnish.data.settings import SourceSettings
from burnish.data.stage import kind_of
from burnish.errors import DataError
from burnish.models.chat_template import Encoded, Encoder, continued, pair_sides
from burnish.models.chat_template import preview as runs_of
from burnish.models.settings import DEFAULT_MODEL, ModelSettings
from burnish.recipe import load_recipe
from burnish.records import Conversation, LabelledCompletion, PreferencePair, Record
from burnish.settings import PluginSettings
from burnish.train.settings import FITTING_METHOD, resolve_length


def preview(
    target: Annotated[str, typer.Argument(metavar="RECIPE_OR_DATA", help="A recipe (.yaml), or data as for init.")],
    row: Annotated[int, typer.Option(min=1, help="Which row, counted from 1 over all sources.")] = 1,
    model: Annotated[str, typer.Option(help="The model whose tokenizer is used, for data.")] = DEFAULT_MODEL,
    max_length: Annotated[int, typer.Option(min=1, help="Tokens that a row may have, for data.")] = 2048,
) -> None:
    """Show a row as the model will read it: trained tokens bright, masked ones dim."""
    from burnish.models.load import load_tokenizer

    if target.endswith((".yaml", ".yml")):
        recipe = load_recipe(target)
        sources, folder, seed = recipe.data.train, Path(target).parent, recipe.seed
        settings, max_length = recipe.model, resolve_length(recipe.train, context_of(recipe.model))
        method: PluginSettings | None = recipe.train.method
    else:
        sources, folder, seed = (SourceSettings(path=target),), Path(), 0
        settings, method = ModelSettings(name=model), None
    record = next(itertools.islice(_records(sources, folder, seed), row - 1, None), None)
    if record is None:
        raise DataError(f"{target}: has no row {row} that can be read", hint="count from 1")
    encoder = Encoder(load_tokenizer(settings), max_length)
    method = method or settings_of("method", FITTING_METHOD[kind_of(record)])
    show(encoder, record, build("method", method).encode(record, encoder), Console())


def _records(sources: tuple[SourceSettings, ...], folder: Path, seed: int) -> Iterator[Record]:
    for source in sources:
        yield from read_source(source, folder, Faults(), seed).records()


def show(encoder: Encoder, record: Record, encoded: Encoded, console: Console) -> None:
    """Print the runs of equal weight of each chat that the row stands for: in colour on a terminal that has it, else
    one run a line with its weight."""
    for title, chat in _chats(record):
        if title:
            console.print(Text(title, style="bold"))
        _show_runs(runs_of(encoder, chat), console)
    if encoded.group is None:
        console.print(Text(f"{record.source}: nothing of it is trained: {visible(encoded.dropped)}"))
        return
    trained = sum(weight > 0 for completion in encoded.group.completions for weight in completion.weights)
    cut = f", {encoded.tokens_truncated:,} cut off" if encoded.tokens_truncated else ""
    once = " (the prompt once)" if isinstance(record, PreferencePair) else ""
    console.print(
        Text(f"{record.source}: {encoded.group.num_tokens:,} tokens{once}, {trained:,} trained (weight above 0){cut}")
    )


def _show_runs(runs: list[tuple[str, float]], console: Console) -> None:
    if console.is_terminal and not console.no_color:
        text = Text()
        for piece, weight in runs:
            text.append(visible(piece), style="bold green" if weight else "dim")
        console.print(text)
        return
    for piece, weight in runs:
        console.print(Text(f"{weight:g}  {visible(piece)!r}"), soft_wrap=True)


def _chats(record: Record) -> list[tuple[str, Conversation]]:
    """The chats that a record stands for, each with its title."""
    if isinstance(record, Conversation):
        return [("", record)]
    if isinstance(record, LabelledCompletion):
        title = "desirable:" if record.desirable else "undesirable:"
        return [(title, continued(record.prompt, record.completion, record.source))]
    return list(zip(("chosen:", "rejected:"), pair_sides(record), strict=True))
