"""`burnish advise`: whether to prompt or to fine-tune, measured on the recipe's task."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from burnish import pipeline
from burnish.advice import Advice, Candidate
from burnish.cli.options import RecipeArgument, ResumeOption, RunsOption, SetOption
from burnish.cli.visible import visible
from burnish.logs import say
from burnish.recipe import load_recipe

_STYLES = {
    "prompt": "bold green",
    "fine-tune": "bold green",
    "no difference seen": "bold yellow",
    "collect more data": "bold yellow",
}


def advise(
    recipe: RecipeArgument, set_: SetOption = None, resume: ResumeOption = False, runs: RunsOption = Path("runs")
) -> None:
    """Prompt or fine-tune? Measures both on the recipe's task: quality, form, tokens, time, money and what is left of
    safety. Nothing is released. What was measured is kept; --resume takes it up."""
    settings = load_recipe(recipe, set_ or [])
    outcome = pipeline.advise(settings, runs=runs, folder=recipe.resolve().parent, resume=resume)
    show(outcome.advice)
    say(f"report: {outcome.report}")


def show(advice: Advice) -> None:
    """The advice as tables and a paragraph, on standard output."""
    console = Console(highlight=False)
    money = f"{advice.currency} a request" if advice.currency else ""
    table = Table(
        "candidate", advice.metric, "form", "tokens in", "out", "s a request", "s before", *([money] * bool(money))
    )
    for candidate in advice.candidates:
        table.add_row(*_cells(candidate, bool(money)))
    console.print(table)
    for comparison in advice.comparisons:
        low, high = (100 * end for end in comparison.interval)
        pair = f"{visible(comparison.tuned)} minus {visible(comparison.prompting)}"
        found = f"{100 * comparison.difference:+.1f} points ({low:+.1f} to {high:+.1f})"
        console.print(Text(f"{pair}: {found} on {comparison.rows:,} rows"), soft_wrap=True)
    for name, why in advice.unfit.items():
        console.print(Text(f"not measured: {visible(name)} {visible(why)}"), soft_wrap=True)
    console.print(Text(advice.recommendation, style=_STYLES[advice.recommendation]))
    console.print(Text(visible(advice.words)), soft_wrap=True)


def _cells(candidate: Candidate, money: bool) -> list[Text]:
    low, high = candidate.interval or (None, None)
    quality = "-" if candidate.quality is None else f"{candidate.quality:.1%}"
    span = "" if low is None or high is None else f" ({low:.0%} to {high:.0%})"
    missing = f", {candidate.missing} missing" if candidate.missing else ""
    cells = [
        visible(candidate.name),
        f"{quality}{span}{missing}",
        "-" if candidate.valid is None else f"{candidate.valid:.0%}",
        _number(candidate.tokens_in, "{:,.0f}"),
        _number(candidate.tokens_out, "{:,.1f}"),
        _number(candidate.seconds, "{:.2f}"),
        _number(candidate.one_off_seconds, "{:,.0f}"),
    ]
    if money:
        cells.append(_number(candidate.money, "{:.2g}"))
    return [Text(cell) for cell in cells]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
