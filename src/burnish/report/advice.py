"""The report's numbers on advice: the picture of quality against cost and the learning curve. Knows nothing of HTML."""

from __future__ import annotations

from burnish.advice import Advice, BreakEven, Candidate
from burnish.report.charts import Line
from burnish.report.scatter import Spot
from burnish.report.text import count

UNITS = {"seconds": "machine time", "money": "money"}


def spots(advice: Advice) -> tuple[Spot, ...]:
    """The candidates whose quality and seconds were measured; of the tuned ones that on the most rows, since the others
    are the learning curve's."""
    largest = max((c.share or 0.0 for c in advice.candidates if c.side == "tuning"), default=0.0)
    return tuple(
        Spot(c.name, c.seconds, c.quality, c.interval, int(c.side == "tuning"))
        for c in advice.candidates
        if c.quality is not None
        and c.interval is not None
        and c.seconds
        and (c.side == "prompting" or c.share == largest)
    )


def safeties(advice: Advice) -> tuple[tuple[str, str], ...]:
    """What is left of safety in words, and before it the candidates of which that is true."""
    names: dict[str, list[str]] = {}
    for candidate in advice.candidates:
        names.setdefault(candidate.safety, []).append(candidate.name)
    return tuple((", ".join(of), said.rstrip(".")) for said, of in names.items())


def made(advice: Advice, candidate: Candidate) -> str:
    """How a candidate is made, with its model where that isn't the one that is tuned."""
    tuned = {c.shown for c in advice.candidates if c.side == "tuning"}
    return candidate.made if candidate.shown in tuned else f"{candidate.made}; {candidate.shown}"


def curve(advice: Advice) -> tuple[Line, ...]:
    """Quality in per cent by training rows, and where the forecast leads; none with fewer than two points."""
    points = sorted(
        (float(c.trained_rows), 100 * c.quality)
        for c in advice.candidates
        if c.trained_rows is not None and c.quality is not None
    )
    if len(points) < 2:
        return ()
    lines = [Line("measured", tuple(points))]
    if advice.forecast:
        lines.append(Line("forecast", (points[-1], (float(advice.forecast.rows), 100 * advice.forecast.quality))))
    return tuple(lines)


def said(pair: BreakEven) -> str:
    """Which of the two is cheaper, and from when on."""
    unit = UNITS[pair.unit]
    if pair.requests is None:
        return f"In {unit}, {pair.first} stays cheaper than {pair.later}."
    if pair.requests == 0:
        return f"In {unit}, {pair.later} costs no more than {pair.first} from the first request on."
    return f"In {unit}, {pair.later} is the cheaper from {count(pair.requests)} requests on, {pair.first} before."
