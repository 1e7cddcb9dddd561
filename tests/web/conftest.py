"""A place with pairs and runs to look at, and browsers for it: a plain client, and Chromium where there is one."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.testclient import TestClient

from burnish.labels.pair import Answer, Pair, Turn
from burnish.labels.store import LabelStore
from burnish.run_folder import RunFolder
from burnish.web.app import Place, create_app
from burnish.web.sessions import Sessions
from burnish.web.speakers import Event, Piece, Question, Speakers

PORT = 8231
HOST = f"http://127.0.0.1:{PORT}"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202egnp.exe"


def pair(number: int, gold: str | None = None, text: str = "") -> Pair:
    answers = [Answer(text=f"first of {number} {text}"), Answer(text=f"second of {number}, which is longer")]
    prompt = [Turn(role="user", content=f"question {number}?")]
    return Pair.model_validate({"prompt": prompt, "answers": answers, "gold": gold})


class Echo(Speakers):
    """Speakers without models: each says the prompt and who it is."""

    async def answer(self, question: Question):  # type: ignore[no-untyped-def]
        event: Event
        for number, name in enumerate(question.models):
            for text in (question.prompt, f" says {name}"):
                event = Piece(number, text)
                yield event


@pytest.fixture
def place(tmp_path: Path, recorded_run: Callable[..., RunFolder]) -> Place:
    """Twelve pairs, one of them hostile and one gold; an evaluated run, and one that is training."""
    store = LabelStore(tmp_path / "labels.sqlite")
    pairs = [pair(number) for number in range(10)] + [pair(10, gold="first"), pair(11, text=HOSTILE)]
    store.add("pairs", (one.model_dump_json() for one in pairs))
    verdicts = [("refusal", "compliance"), ("compliance", "refusal"), ("refusal", "refusal")]
    recorded_run(name="runs/evaluated", suites={"harmful": ("harmful", verdicts)})
    write_training(RunFolder(tmp_path / "runs/training"), 12)
    return Place(store, tmp_path / "runs", 0.0, PORT, Sessions(), Echo())


def write_training(run: RunFolder, steps: int, of: int = 40) -> None:
    """The folder of a run that has trained so many steps."""
    run.write_text("recipe.yaml", "model: {name: a-model}\ntrain: {method: {kind: dpo}}\n")
    run.write_json("train/settings.json", {"max_steps": of})
    run.write_json("manifest.json", {"versions": {}, "stages": {"prepare": {"outputs": {}}, "audit": {"outputs": {}}}})
    rows = [
        {
            "step": step, "loss": 2.0 / step, "rewards_chosen": 0.1 * step, "rewards_rejected": -0.1 * step,
            "kl": 0.01 * step, "tokens_per_second": 700.0, "seconds": 2.0, "peak_memory_bytes": 2e9,
        }
        for step in range(1, steps + 1)
    ]  # fmt: skip
    run.write_text("train/metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


@dataclass
class Person:
    """Someone at a browser without scripts: follows links and fills in forms."""

    client: TestClient | httpx.Client
    origin: str = HOST

    def page(self, path: str) -> str:
        answer = self.client.get(path, follow_redirects=True)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, **fields: str) -> httpx.Response:
        return self.client.post(path, data=fields, headers={"origin": self.origin}, follow_redirects=False)

    def named(self, name: str) -> Person:
        self.post("/name", csrf=hidden(self.page("/name"), "csrf"), name=name, next="/label")
        return self

    def vote(self, choice: str, path: str = "/label", to: str = "/label/vote", **more: str) -> httpx.Response:
        return self.post(to, **(hidden_of(self.page(path)) | {"choice": choice} | more))


def hidden(page: str, name: str) -> str:
    """A hidden field's value, of the first form that has it."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, f"no field {name} in {page}"
    return found[1]


def hidden_of(page: str) -> dict[str, str]:
    """The hidden fields of a vote."""
    return {name: hidden(page, name) for name in ("csrf", "annotator", "item", "round")}


@pytest.fixture
def person(place: Place) -> Iterator[Callable[[str], Person]]:
    """A function that lets someone in, by name; an empty name is still to be chosen."""
    app = create_app(place)
    opened: list[TestClient] = []

    def enter(name: str) -> Person:
        client = TestClient(app, base_url=HOST)
        opened.append(client)
        assert client.get(f"/enter?token={place.sessions.begin()}", follow_redirects=False).status_code == 303
        return Person(client).named(name) if name else Person(client)

    yield enter
    for client in opened:
        client.close()


@contextmanager
def served(place: Place) -> Iterator[str]:
    """The app on a port of this machine; yields the link that lets a browser in."""
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    app = create_app(Place(place.store, place.runs, place.overlap, port, place.sessions, place.speakers))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, ws="none")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        thread.join(0.02)
    assert server.started
    try:
        yield f"http://127.0.0.1:{port}/enter?token={place.sessions.begin()}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
