"""The pages where pairs are labelled: one pair at a time, blind, and what the labels say of those who gave them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from burnish.labels.pair import pair_of, read_pairs
from burnish.labels.preferences import FATES, Exported, pairs_of, rows
from burnish.labels.quality import survey
from burnish.labels.store import Item, LabelStore
from burnish.labels.turn import progress, shown, waiting
from burnish.web.guard import posted, session_of
from burnish.web.judging import Queue, after, annotator_of, keep, onward, take_back, undoable, valid_name
from burnish.web.pages import page

Form = Annotated[Mapping[str, str], Depends(posted)]
QUEUE = Queue("pairs", "/label", ("left", "right", "tie", "both_bad", "skip"))


def enter_pairs(store: LabelStore, path: Path) -> int:
    """Put the pairs of a file into the store, each once; returns how many the file holds.

    Raises: LabelError when it can't be read.
    """
    return len(store.add(QUEUE.name, (pair.model_dump_json() for pair in read_pairs(path))))


def router(store: LabelStore, overlap: float) -> APIRouter:
    """The pages. `overlap` is the share of pairs that everyone labels; gold pairs are for everyone."""
    pages = APIRouter()

    @pages.get("/name")
    def name(request: Request, next: str = "/label") -> Response:
        return page(request, "name.html.j2", known=store.annotators(), next=_own(next), fault="")

    @pages.post("/name")
    def choose_name(request: Request, form: Form) -> Response:
        chosen, next_ = valid_name(form.get("name", "")), _own(form.get("next", ""))
        if not chosen:
            fault = "A name has 1 to 40 letters."
            return page(request, "name.html.j2", status=400, known=store.annotators(), next=next_, fault=fault)
        session_of(request).annotator = chosen
        return RedirectResponse(next_, status_code=303)

    @pages.get("/label")
    def label(request: Request, item: str = "") -> Response:
        annotator = annotator_of(request)
        items, judgements = store.items(QUEUE.name), store.judgements(QUEUE.name)
        pairs = {one.id: pair_of(one.content) for one in items}
        standing = [judgement for judgement in judgements if not judgement.withdrawn]
        gold = {id for id, pair in pairs.items() if pair.gold is not None}
        ahead = waiting(items, standing, annotator, overlap, gold)
        mine = {judgement.vote.item for judgement in standing if judgement.vote.annotator == annotator}
        asked = next((one for one in items if one.id == item and item not in mine), None)
        current: Item | None = asked or next(iter(ahead), None)
        showing = shown(current, judgements, annotator) if current else None
        pair = pairs[current.id] if current else None
        return page(
            request,
            "label.html.j2",
            pair=pair,
            showing=showing,
            answers=(pair.answers if not showing.left_answer else pair.answers[::-1]) if pair and showing else (),
            progress=progress(standing, annotator, len(ahead)),
            undo=undoable(store, QUEUE, annotator),
            total=len(items),
        )

    @pages.post("/label/vote")
    def vote(request: Request, form: Form) -> Response:
        return onward(request, after(QUEUE, keep(request, store, QUEUE, form)))

    @pages.post("/label/undo")
    def undo(request: Request, form: Form) -> Response:
        return onward(request, take_back(request, store, QUEUE, form))

    @pages.get("/label/results")
    def results(request: Request) -> Response:
        exported = Exported()
        for _ in rows(store, exported):
            pass
        pairs = pairs_of(store, QUEUE.name)
        return page(
            request,
            "results.html.j2",
            survey=survey(pairs, store.standing(QUEUE.name)),
            fates=[(FATES[fate], exported.fates[fate]) for fate in FATES],
            total=exported.fates.total(),
            labels=str(store.path),
        )

    return pages


def _own(address: str) -> str:
    """The address if it is a path of this app, else that of the label page."""
    parts = urlsplit(address)
    own = address.startswith("/") and not address.startswith("//") and "\\" not in address
    return address if own and not parts.scheme and not parts.netloc and address.isprintable() else "/label"
