"""The page where two models answer one prompt side by side, and a vote on it is a label like any other."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from burnish.labels.pair import Answer, Pair, Turn, pair_of
from burnish.labels.store import LabelStore
from burnish.models.builtin import BUILTINS, pulled
from burnish.report.text import visible
from burnish.run_folder import RunFolder
from burnish.web.guard import posted, session_of
from burnish.web.judging import Queue, annotator_of, keep
from burnish.web.pages import page
from burnish.web.run_list import can_answer, find_runs, standing_of
from burnish.web.speakers import Failed, Loading, Question, Speakers

Form = Annotated[Mapping[str, str], Depends(posted)]
QUEUE = Queue("compare", "/compare", ("left", "right", "tie", "both_bad"))
_LONGEST_PROMPT = 20_000
_MOST_TOKENS = 4096
_SIDES = ("left", "right")


def router(store: LabelStore, runs: Path, speakers: Speakers) -> APIRouter:
    """The page. A run in `runs` may be named by its path there."""
    pages = APIRouter()

    @pages.get("/compare")
    def compare(request: Request) -> Response:
        annotator = annotator_of(request)
        tuned = {name: run for name, run in find_runs(runs).items() if can_answer(run)}
        first = next(iter(tuned), "")
        base = _called(standing_of(first, tuned[first]).model, tuned) if first else next(iter(BUILTINS))
        known = [*tuned, *(name for name in BUILTINS if pulled(name))]
        return page(request, "compare.html.j2", known=dict.fromkeys(known), one=base, other=first, annotator=annotator)

    @pages.post("/compare/answers")
    def answers(request: Request, form: Form) -> Response:
        question, blind = _question(form, runs), form.get("blind") == "on"
        lines = _lines(request, store, speakers, question, blind)
        return StreamingResponse(lines, media_type="application/x-ndjson", headers={"x-accel-buffering": "no"})

    @pages.post("/compare/vote")
    def vote(request: Request, form: Form) -> Response:
        item = form.get("item", "")
        side = session_of(request).sides.get(item)
        if side is None:
            raise HTTPException(409, "These answers are of another session; nothing was kept. Ask again.")
        kept = keep(request, store, QUEUE, form, left=side)
        found = store.item(QUEUE.name, item)
        assert found is not None  # keep has looked
        names = [answer.model for answer in pair_of(found.content).answers]
        left, right = names if side == 0 else names[::-1]
        return JSONResponse({"outcome": kept.outcome, "left": visible(left), "right": visible(right)})

    return pages


def _called(model: str, runs: Mapping[str, RunFolder]) -> str:
    """The model by the name of the run that trained it, where that is one of these; else as it is."""
    for name, run in runs.items():
        if Path(model).is_absolute() and Path(model).is_relative_to(run.path.resolve()):
            return name
    return model


async def _lines(
    request: Request, store: LabelStore, speakers: Speakers, question: Question, blind: bool
) -> AsyncIterator[str]:
    """What happens, as JSON a line, told by side: the sides are tossed when blind."""
    left = secrets.randbelow(2) if blind else 0
    sides = _SIDES if left == 0 else _SIDES[::-1]
    texts = ["", ""]
    async with aclosing(speakers.answer(question)) as events:
        async for event in events:
            if isinstance(event, Failed):
                yield _line(kind="failed", message=visible(event.message), hint=visible(event.hint))
                return
            if isinstance(event, Loading):
                yield _line(kind="loading")
            else:
                texts[event.model] += event.text
                yield _line(kind="piece", side=sides[event.model], text=visible(event.text))
    if texts[0] == texts[1]:
        yield _line(kind="same")
        return
    first, second = (
        Answer(text=text, model=name, temperature=question.temperature, seed=seed)
        for seed, (text, name) in enumerate(zip(texts, question.models, strict=True))
    )
    pair = Pair(
        prompt=(Turn(role="user", content=question.prompt),), answers=(first, second), origin="compare", blind=blind
    )
    (item,) = store.add(QUEUE.name, [pair.model_dump_json()])
    session_of(request).sides[item] = left
    yield _line(kind="done", item=item)


def _question(form: Mapping[str, str], runs: Path) -> Question:
    prompt = form.get("prompt", "").strip()
    models = (form.get("one", "").strip(), form.get("other", "").strip())
    try:
        tokens, temperature = int(form.get("max_new_tokens", "")), float(form.get("temperature", ""))
    except ValueError:
        raise HTTPException(400, "Length and temperature must be numbers; nothing was asked.") from None
    if not prompt or len(prompt) > _LONGEST_PROMPT or not all(models) or not all(name.isprintable() for name in models):
        raise HTTPException(400, "Two models and a prompt are needed; nothing was asked.")
    if not 1 <= tokens <= _MOST_TOKENS or not 0 <= temperature <= 5:
        raise HTTPException(400, "The length is 1 to 4096 tokens, the temperature 0 to 5; nothing was asked.")
    return Question(models, prompt, tokens, temperature, runs)


def _line(**values: str) -> str:
    return json.dumps(values) + "\n"
