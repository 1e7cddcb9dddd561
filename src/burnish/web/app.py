"""The app: its pages put together behind the guard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from burnish.errors import BurnishError
from burnish.labels.store import LabelStore
from burnish.web import calibrate, compare, label, runs
from burnish.web.guard import Guard
from burnish.web.pages import SISTER, STATIC, page
from burnish.web.sessions import Sessions
from burnish.web.speakers import Speakers


@dataclass(frozen=True)
class Place:
    """What the app works on: the labels, the folder of runs, the share of items that everyone labels, the port."""

    store: LabelStore
    runs: Path
    overlap: float
    port: int
    sessions: Sessions
    speakers: Speakers = field(default_factory=Speakers)


def create_app(place: Place) -> FastAPI:
    """The app for a place."""

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        yield
        place.speakers.close()

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=living)
    app.include_router(label.router(place.store, place.overlap))
    app.include_router(calibrate.router(place.store, place.runs, place.overlap))
    app.include_router(runs.router(place.runs))
    app.include_router(compare.router(place.store, place.runs, place.speakers))

    @app.get("/")
    def start() -> Response:
        return RedirectResponse("/label" if place.store.items(label.QUEUE.name) else "/runs", status_code=303)

    @app.get("/static/report.css")
    def sister() -> Response:
        return FileResponse(SISTER, media_type="text/css")

    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_exception_handler(HTTPException, _told)
    app.add_exception_handler(BurnishError, _failed)
    app.add_middleware(Guard, sessions=place.sessions, port=place.port)
    return app


async def _told(request: Request, error: Exception) -> Response:
    """A refusal as a page, or as JSON where a script asked; a redirect stays one."""
    assert isinstance(error, HTTPException)
    if error.status_code == 303 and error.headers:
        return RedirectResponse(error.headers["location"], status_code=303)
    return _problem(request, error.status_code, str(error.detail), "")


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, BurnishError)
    return _problem(request, 409, error.message, error.hint)


def _problem(request: Request, status: int, message: str, hint: str) -> Response:
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"message": message, "hint": hint}, status)
    return page(request, "problem.html.j2", status=status, message=message, hint=hint)
