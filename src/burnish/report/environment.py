"""From values to HTML, for the report and for the web app: every value is escaped.

Before escaping, characters that a reader can't see are spelled out, so that no text from data or models can hide in a
page or turn its direction.
"""

from __future__ import annotations

from functools import cache

import jinja2
from markupsafe import Markup

from burnish.report import charts, scatter, text


@cache
def environment(package: str) -> jinja2.Environment:
    """The templates of a package, with the filters and charts that its pages may use."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        percent=text.percent,
        points=text.points,
        number=text.number,
        signed=text.signed,
        p_value=text.p_value,
        count=text.count,
        duration=text.duration,
        marked=text.marked,
        highlighted=text.highlighted,
    )
    made.globals.update(
        line_chart=charts.line_chart,
        scatter_chart=scatter.scatter_chart,
        rate_bar=charts.rate_bar,
        difference_track=charts.difference_track,
    )
    return made


def _finalized(value: object) -> object:
    return value if isinstance(value, Markup) else text.visible(str(value))
