"""`burnish suites`: the safety suites that are known by name."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table


def suites() -> None:
    """List the safety suites that a recipe can name: {suite: NAME} under evaluate.safety.suites."""
    from burnish.evaluate.known_suites import known_suites

    table = Table("suite", "asks", "kind", "prompts", "licence", "access")
    for name, suite in known_suites().items():
        for part, about in suite.parts.items():
            access = "gated" if suite.access else "open"
            table.add_row(name, part, about.kind, f"{about.prompts:,}", suite.licence, access)
    console = Console()
    console.print(table)
    for name, suite in known_suites().items():
        if suite.access:
            console.print(f"{name}: {suite.access}", soft_wrap=True, highlight=False, markup=False)
