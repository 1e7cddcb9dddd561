"""`burnish sample`: two answers to each of a recipe's prompts, for a person to choose between."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

import typer

from burnish.cli.options import RecipeArgument, SetOption
from burnish.errors import LabelError
from burnish.logs import say, warn

_SECOND_TEMPERATURE = 1.0


def sample(
    recipe: RecipeArgument,
    set_: SetOption = None,
    pairs: Annotated[int, typer.Option(min=1, help="How many pairs to make.")] = 50,
    to: Annotated[Path, typer.Option("--to", help="The pairs file.")] = Path("pairs.jsonl"),
    against: Annotated[
        str, typer.Option(help="A second model or run to answer; the recipe's own unless set.", show_default=False)
    ] = "",
    temperature: Annotated[float, typer.Option(min=0.0, max=5.0, help="Of the recipe's model.")] = 0.7,
    against_temperature: Annotated[
        float | None,
        typer.Option(min=0.0, max=5.0, help="Of the second. [default: the same; 1.0 with one model]"),
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="The longest answer, in tokens.")] = 192,
    gold: Annotated[
        str, typer.Option(help="Preference rows whose better side is known, to mix in.", show_default=False)
    ] = "",
    gold_rows: Annotated[int, typer.Option(min=1, help="How many of them.")] = 5,
    doubt: Annotated[
        str,
        typer.Option(
            help="A reward model's run: of four times as many pairs, keep those that it is least sure of.",
            show_default=False,
        ),
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Make pairs to label: unlike prompts first, two answers each. Then: burnish ui PAIRS."""
    from burnish.data.convert import read_source
    from burnish.data.faults import Faults
    from burnish.data.settings import SourceSettings
    from burnish.labels.doubt import reward_doubt
    from burnish.labels.pair import Pair, write_pairs
    from burnish.labels.sampling import Voice, gold_pairs, mixed, prompts_of, sample_pairs
    from burnish.recipe import load_recipe

    if to.exists() and not force:
        raise LabelError(f"{to}: is there already; nothing was written", hint="overwrite it with --force, or name --to")
    chosen = load_recipe(recipe, set_ or [])
    folder, faults = recipe.resolve().parent, Faults()
    readings = [read_source(source, folder, faults, chosen.seed) for source in chosen.data.train]
    asked, without = prompts_of(record for reading in readings for record in reading.records())
    if chosen.data.on_bad_row == "stop":
        faults.stop("no pair was made")
    known: list[Pair] = []
    if gold:
        known_faults = Faults()
        known = list(gold_pairs(read_source(SourceSettings(path=gold), Path(), known_faults, chosen.seed).records()))
        known_faults.stop("no pair was made")
        if not known:
            raise LabelError(f"{gold}: holds no preference row of one reply a side; no pair was made")
    second = chosen.model.made_into(Path(against)) if against else chosen.model
    other = against_temperature if against_temperature is not None else temperature if against else _SECOND_TEMPERATURE
    voices = (Voice(chosen.model, temperature, chosen.seed), Voice(second, other, chosen.seed + 1))
    measure = reward_doubt(doubt, chosen.model) if doubt else None
    made = sample_pairs(asked, voices, pairs, max_new_tokens, measure)
    count = write_pairs(to, mixed(made.pairs, list(itertools.islice(known, gold_rows))))
    for number, why in (
        (without, "rows have no prompt"),
        (faults.total, "rows had faults"),
        (made.alike, "prompts were answered twice the same"),
        (made.too_long, "prompts are too long for a model"),
    ):
        if number:
            warn(f"{number} {why}; they gave no pair")
    say(f"{to}: {count} pairs of {len(asked):,} prompts; label them with: burnish ui {to}")
