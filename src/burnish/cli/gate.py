"""`burnish gate`: the decision, made again from the recorded evidence alone."""

from __future__ import annotations

from collections.abc import Sequence

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from burnish.artefacts import Calibration, Decision, Outcome, RuleResult
from burnish.cli.options import EXIT_CODES, RunArgument
from burnish.cli.visible import visible
from burnish.run_folder import RunFolder

_STYLES: dict[Outcome, str] = {"PASS": "bold green", "HOLD": "bold yellow", "BLOCK": "bold red"}
_COLUMNS = ("rule\nsuite", "n", "base\ntuned", "change\nbounds", "p (Holm)\ncould see")


def gate(run: RunArgument) -> None:
    """Decide again from the recorded evidence, offline. Exit code 0 PASS, 10 BLOCK, 11 HOLD."""
    from burnish.gate.stage import decide, settings_of_run

    home = RunFolder(run)
    settings = settings_of_run(home)
    with home.locked():
        decision = decide(settings, home)
    _show(decision, _corrected(home, decision))
    raise typer.Exit(EXIT_CODES[decision.verdict])


def _show(decision: Decision, corrected: Sequence[str]) -> None:
    console = Console(highlight=False)
    table = Table("", *_COLUMNS, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.columns[1].overflow, table.columns[1].min_width = "fold", 20
    for rule in decision.rules:
        table.add_row(*_cells(rule))
    console.print(table)
    for rule in decision.rules:
        console.print(Text(f"{rule.outcome:<5} {rule.rule}: {visible(rule.words)}"), soft_wrap=True)
    attempt = f" (attempt {decision.attempt} in this run folder, tested at the level {decision.level:.2g})"
    for line in corrected:
        console.print(Text(line, style="bold yellow"), soft_wrap=True)
    console.print(Text(f"{decision.verdict}{attempt}", style=_STYLES[decision.verdict]))


def _corrected(home: RunFolder, decision: Decision) -> list[str]:
    """What a calibration of the judge on these replies would change."""
    if not (home.path / "evaluate/calibration.json").is_file():
        return []
    calibration = home.load("evaluate/calibration.json", Calibration)
    if calibration.responses_digest not in decision.digests.values():
        return []
    outcomes = {(rule.rule, rule.suite): rule.outcome for rule in decision.rules}
    return [
        f"{rule.rule} on {visible(rule.suite)}: {rule.words}"
        for rule in calibration.changed
        if outcomes.get((rule.rule, rule.suite)) == rule.raw_outcome
    ]


def _cells(rule: RuleResult) -> list[Text]:
    in_percent = rule.rule != "task_gain"
    low, high = rule.interval or (None, None)
    bounds = f"\n{_number(low, in_percent)} to {_number(high, in_percent)}" if rule.interval else ""
    unscored = f"\n{rule.unscored} unscored" if rule.unscored else ""
    return [
        Text(rule.outcome, style=_STYLES[rule.outcome]),
        Text(f"{rule.rule}\n{visible(rule.suite)}"),
        Text(f"{rule.n}{unscored}"),
        Text(f"{_number(rule.base_rate, in_percent)}\n{_number(rule.tuned_rate, in_percent)}"),
        Text(f"{_number(rule.estimate, in_percent)}{bounds}"),
        Text(f"{'-' if rule.p_holm is None else f'{rule.p_holm:.2g}'}\n{_number(rule.smallest_effect, in_percent)}"),
    ]


def _number(value: float | None, in_percent: bool) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f}%" if in_percent else f"{value:.3f}"
