"""The advice in a paragraph that a person can act on. Knows nothing of how anything was measured."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.advice import BreakEven, Candidate, Forecast
from burnish.advise.choice import Choice, has_say


def paragraph(
    choice: Choice,
    tuned: Candidate,
    prompting: Sequence[Candidate],
    break_even: Sequence[BreakEven],
    forecast: Forecast | None,
) -> str:
    """Why, what it costs, what it leaves of the base's safety, and what more rows would do."""
    best = max(prompting, key=lambda c: c.quality or 0.0)
    other = next((c for c in prompting if c.name == choice.candidate), best)
    parts = [choice.why, _cost(tuned, other, break_even)]
    if choice.recommendation == "fine-tune":
        parts.append(f"What tuning leaves of the base's safety: {tuned.safety.rstrip('.')}.")
    elif choice.recommendation == "prompt":
        parts.append(f"What this leaves of safety: {other.safety.rstrip('.')}.")
    if forecast and choice.recommendation != "collect more data":
        low, high = forecast.gain_interval
        parts.append(
            f"Twice the training rows would likely change the tuned model by {100 * forecast.gain:+.1f} points "
            f"({100 * low:+.1f} to {100 * high:+.1f})."
        )
    return " ".join(part for part in parts if part)


def not_measured(candidates: Sequence[Candidate], forecast: Forecast | None, form: bool, priced: bool) -> list[str]:
    """What a reader might look for and was not measured, a sentence each."""
    said = [
        f"{c.name}: {c.missing} of {c.scored + c.missing} answers could not be had; they are missing, not wrong"
        + ("" if has_say(c) else ", and so many that it had no say")
        + "."
        for c in candidates
        if c.missing
    ]
    silent = [c.name for c in candidates if c.tokens_in is None or c.tokens_out is None]
    if silent:
        said.append(f"Tokens of {', '.join(silent)}: not every answer came with its count.")
    if not form:
        said.append("Valid form: the training rows' replies have no form in common (neither JSON nor a few labels).")
    if not priced:
        said.append("Money: the recipe gives no prices (advise.price_per_hour, or an endpoint's).")
    if forecast is None:
        said.append("More data: a learning curve takes the tuned model at three numbers of rows.")
    said.append(
        "Another training run of the same rows: each point of the curve is one run, and no interval holds that."
    )
    return said


def _cost(tuned: Candidate, other: Candidate, break_even: Sequence[BreakEven]) -> str:
    """How the two compare in what a request takes, in money where there are prices."""
    pair = {tuned.name, other.name}
    known = [b for b in break_even if {b.first, b.later} == pair]
    found = next((b for b in known if b.unit == "money"), next(iter(known), None))
    if found is None:
        return ""
    unit = "money" if found.unit == "money" else "machine time"
    if found.requests is None:
        return f"In {unit}, {found.first} stays the cheaper, however many requests there are."
    if found.requests == 0:
        return f"In {unit}, {found.later} costs no more from the first request on."
    return f"In {unit}, {found.later} is the cheaper from about {found.requests:,} requests on."
