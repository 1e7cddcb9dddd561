"""Filling Markdown templates. Names and texts that come from models, data and recipes are escaped, since a card is
shown as a web page."""

from __future__ import annotations

import html
import re

import jinja2

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~$])")


class Raw(str):
    """Text that is the page's own, and may hold markup."""


def rendered(template: str, **values: object) -> str:
    """The template filled with values, each escaped unless it is `Raw` or a number."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("burnish.release"),
        undefined=jinja2.StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters.update(raw=Raw, percent=_percent)
    return environment.get_template(template).render(values)


def escaped(text: str) -> str:
    """The text as Markdown that shows it literally, on one line."""
    one_line = " ".join(text.split())
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in one_line)
    return _MARKUP.sub(r"\\\1", html.escape(visible, quote=False))


def _finalized(value: object) -> object:
    return value if isinstance(value, Raw | int | float) else escaped(str(value))


def _percent(value: float | None) -> Raw:
    return Raw("-" if value is None else f"{100 * value:.1f}%")
