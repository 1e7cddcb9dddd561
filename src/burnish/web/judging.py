"""What the labelling pages share: a person's name, keeping a vote, taking one back.

A vote is a plain form, so that it works without scripts; with them, the page asks for JSON and learns where to go next.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import HTTPException, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from burnish.errors import LabelError
from burnish.labels.store import Kept, LabelStore, Vote
from burnish.labels.turn import latest, left_answer
from burnish.web.guard import session_of

LONGEST_NAME = 40
_LONGEST_REASON = 2000
_LONGEST_SECONDS = 3600.0


@dataclass(frozen=True)
class Queue:
    """What a page judges: the queue's name in the store, the page's address, and the choices of its form."""

    name: str
    address: str
    choices: Collection[str]


def annotator_of(request: Request) -> str:
    """Who labels in this browser.

    Raises: HTTPException that leads to the page where a name is chosen.
    """
    name = session_of(request).annotator
    if not name:
        raise HTTPException(303, headers={"location": f"/name?next={quote(request.url.path)}"})
    return name


def valid_name(raw: str) -> str:
    """The name, trimmed; empty when it can't be one."""
    name = " ".join(raw.split())
    return name if name.isprintable() and len(name) <= LONGEST_NAME else ""


def keep(request: Request, store: LabelStore, queue: Queue, form: Mapping[str, str], left: int | None = None) -> Kept:
    """Keep what a form says. `left` is which answer stood on the left, where that isn't as `left_answer` has it.

    Raises: HTTPException when the form is another person's (409), not of this page (400) or of no round (409).
    """
    annotator = session_of(request).annotator
    if not annotator or form.get("annotator") != annotator:
        raise HTTPException(
            409, f"This page was opened as {form.get('annotator', '')!r}; nothing was kept. Load it again."
        )
    item, choice, round_ = form.get("item", ""), form.get("choice", ""), form.get("round", "")
    if choice not in queue.choices or not round_.isdecimal() or store.item(queue.name, item) is None:
        raise HTTPException(400, "This form is not of this page; nothing was kept. Load it again.")
    left = left_answer(item, annotator) if left is None else left
    vote = Vote(
        item=item,
        annotator=annotator,
        round=int(round_),
        choice=_choice(choice, left),
        reason=" ".join(form.get("reason", "").split())[:_LONGEST_REASON],
        left_answer=left,
        seconds=_seconds(form.get("seconds", "")),
    )
    try:
        return store.keep(vote)
    except LabelError as error:
        raise HTTPException(409, f"{error.message}. Load the page again.") from error


def take_back(request: Request, store: LabelStore, queue: Queue, form: Mapping[str, str]) -> str:
    """Take a vote back; returns the address of its item, or of the page when there was nothing to take back."""
    annotator, number = session_of(request).annotator, form.get("judgement", "")
    withdrawn = store.withdraw(int(number), annotator) if annotator and number.isdecimal() else None
    return f"{queue.address}?item={withdrawn.vote.item}&said=undone" if withdrawn else queue.address


def undoable(store: LabelStore, queue: Queue, annotator: str) -> int | None:
    """The number of the judgement that undo takes back, if there is one."""
    newest = latest(store.standing(queue.name), annotator)
    return newest.number if newest else None


def onward(request: Request, address: str, **more: object) -> Response:
    """To the next page: as JSON where a script asked, else as a redirect."""
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"next": address, **more})
    return RedirectResponse(address, status_code=303)


def after(queue: Queue, kept: Kept) -> str:
    """Where a vote leads."""
    return f"{queue.address}?said=elsewhere" if kept.outcome == "conflict" else queue.address


def _choice(choice: str, left: int) -> str:
    """What was clicked, as a choice between the answers in their own order."""
    sides = {"left": ("first", "second")[left], "right": ("second", "first")[left]}
    return sides.get(choice, choice)


def _seconds(raw: str) -> float | None:
    try:
        seconds = float(raw)
    except ValueError:
        return None
    return round(seconds, 1) if 0 <= seconds <= _LONGEST_SECONDS else None
