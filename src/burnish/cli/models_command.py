"""`burnish models`: the built-in models, and fetching one."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(no_args_is_help=True, help="Built-in small models.")


@app.command("list")
def list_models() -> None:
    """Show the built-in models, and where those lie that were pulled."""
    from burnish.models.builtin import BUILTINS, pulled, route_of

    table = Table("name", "parameters", "what it is", "pulled")
    for model in BUILTINS.values():
        folder = pulled(model.name)
        where = f"{folder} (from the {'Hub' if route_of(folder) == 'hub' else 'package'})" if folder else "not yet"
        table.add_row(model.name, f"{model.parameters:,}", model.about, where)
    Console().print(table)


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="A built-in model's name; see: burnish models list.")],
    again: Annotated[bool, typer.Option("--again", help="Fetch it anew, even if it is there.")] = False,
) -> None:
    """Fetch a built-in model into the cache, and print its folder."""
    from burnish.models.builtin import pull as fetch

    typer.echo(fetch(name, again=again))
