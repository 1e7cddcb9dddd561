"""The pages where runs are watched: the list of them, one run live, and its report in a sandbox."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import FileResponse, Response, StreamingResponse

from burnish.report.curves import curves, unmoved
from burnish.run_folder import RunFolder
from burnish.web.follow import Row, Shown, Tail, events
from burnish.web.pages import page, render
from burnish.web.run_list import STAGES, Standing, find_runs, standing_of, standings

REPORT_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
)
_LIST_SECONDS, _RUN_SECONDS = 3.0, 1.0
_RECENT = 20


def router(folder: Path) -> APIRouter:
    """The pages, for the run folders in `folder`."""
    pages = APIRouter()

    def the_run(name: str) -> RunFolder:
        run = find_runs(folder).get(name)
        if run is None:
            raise HTTPException(404, f"There is no run called {name}.")
        return run

    @pages.get("/runs")
    def listed(request: Request) -> Response:
        return page(request, "runs.html.j2", live=_list_html(folder)[0], folder=str(folder))

    @pages.get("/runs/events")
    def list_events(request: Request) -> Response:
        return _stream(events(lambda: _list_html(folder), request.is_disconnected, _LIST_SECONDS))

    @pages.get("/runs/run/{name:path}")
    def one(request: Request, name: str) -> Response:
        run = the_run(name)
        html, over = _run_html(name, run, Tail(run.path / "train/metrics.jsonl"))
        return page(request, "run.html.j2", name=name, live=html, over=over, standing=standing_of(name, run))

    @pages.get("/runs/events/{name:path}")
    def run_events(request: Request, name: str) -> Response:
        run = the_run(name)
        tail = Tail(run.path / "train/metrics.jsonl")
        return _stream(events(lambda: _run_html(name, run, tail), request.is_disconnected, _RUN_SECONDS))

    @pages.get("/runs/report/{name:path}")
    def report(name: str) -> Response:
        path = the_run(name).path / "report.html"
        if not path.is_file():
            raise HTTPException(404, f"The run {name} has no report yet.")
        return FileResponse(path, media_type="text/html", headers={"content-security-policy": REPORT_POLICY})

    return pages


def _list_html(folder: Path) -> Shown:
    return render("runs_live.html.j2", runs=standings(folder), ago=_ago), False


def _run_html(name: str, run: RunFolder, tail: Tail) -> Shown:
    """The live part of a run's page. Whether it is over is asked first, so that what was written last is shown."""
    standing = standing_of(name, run)
    rows = tail.read()
    html = render(
        "run_live.html.j2",
        standing=standing,
        stages=STAGES,
        charts=curves(rows),
        unmoved=unmoved(rows),
        last=rows[-1] if rows else None,
        newest={name: value for row in rows for name, value in row.items()},
        left=_seconds_left(standing, rows),
        broken=tail.broken,
    )
    return html, not standing.working


def _seconds_left(standing: Standing, rows: Sequence[Row]) -> float | None:
    """How long training will go on, from its newest steps; None when it isn't at work or nothing is known."""
    if standing.working != "train" or standing.max_steps is None or not rows:
        return None
    recent = [row["seconds"] for row in rows[-_RECENT:] if "seconds" in row]
    if not recent:
        return None
    return max(0.0, (standing.max_steps - rows[-1]["step"]) * sum(recent) / len(recent))


def _ago(moment: float) -> str:
    """How long ago, as a person says it."""
    minutes = max(0.0, time.time() - moment) / 60
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes:.0f} min ago"
    return f"{minutes / 60:.0f} h ago" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days ago"


def _stream(frames: AsyncIterator[str]) -> Response:
    return StreamingResponse(frames, media_type="text/event-stream", headers={"x-accel-buffering": "no"})
