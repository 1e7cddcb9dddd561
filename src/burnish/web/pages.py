"""From values to HTML: every value is escaped, and its hidden characters spelled out, as in the report."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

import jinja2
from fastapi import Request
from starlette.responses import HTMLResponse

from burnish import __version__
from burnish.report.environment import environment
from burnish.web.sessions import Session

STATIC = Path(str(files("burnish.web"))) / "static"
SISTER = Path(str(files("burnish.report"))) / "templates/report.css"
"""The report's style sheet: the app looks like what it shows."""
SAID = {
    "undone": "Taken back. Judge it again, or skip it.",
    "elsewhere": "That one had been judged already, in another tab; what was said first stands. Undo changes it.",
}


def render(template: str, **values: object) -> str:
    """A template's HTML."""
    return _environment().get_template(template).render(values)


def page(request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """A whole page for the request's session."""
    session: Session = request.state.session or Session()  # a style sheet that is missing needs none
    said = SAID.get(request.query_params.get("said", ""), "")
    values |= {"session": session, "path": request.url.path, "said": said, "version": __version__}
    return HTMLResponse(render(template, **values), status)


@cache
def _environment() -> jinja2.Environment:
    made = environment("burnish.web")
    made.filters.update(hundredths=_hundredths)
    return made


def _hundredths(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
