"""Two people label while the server is killed again and again: none lost, none doubled."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx
import pytest

import burnish
from burnish.labels.pair import write_pairs
from burnish.labels.store import LabelStore

from .conftest import Person, hidden, hidden_of, pair

PAIRS = 250
KILLS = 4
COMMAND = "import sys; from burnish.cli.main import main; main(sys.argv[1:])"


class LetOutError(Exception):
    """The server was started anew, and knows this browser no more."""


def noticed(answer: httpx.Response) -> None:
    if answer.status_code == 403:
        raise LetOutError


class Server:
    """The real command as a process, whose newest one-time link can be taken. Nobody enters while it is being killed or
    started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = 0
        self._link = ""
        self.lock = threading.Lock()

    def start(self) -> None:
        options = ["--labels", "labels.sqlite", "--port", str(self._port), "--overlap", "1", "--no-open"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "ui", "pairs.jsonl", *options],
            cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "COLUMNS": "60", "PYTHONPATH": str(Path(burnish.__file__).parents[1])},
        )  # fmt: skip
        self._next_link()

    def _next_link(self) -> None:
        assert self._process.stderr is not None
        told = []
        for line in self._process.stderr:
            told.append(line)
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/enter\?token=\S+", line):
                self._port, self._link = int(found[1]), found[0]
                return
        raise AssertionError("the server ended: " + "".join(told))

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()

    @contextmanager
    def entered(self, name: str) -> Iterator[Person]:
        """A browser that was let in."""
        origin = f"http://127.0.0.1:{self._port}"
        with httpx.Client(base_url=origin, timeout=20, event_hooks={"response": [noticed]}) as client:
            with self.lock:
                assert client.get(self._link, follow_redirects=False).status_code == 303
                self._next_link()
            yield Person(client, origin).named(name)


def label_all(server: Server, name: str, acknowledged: list[tuple[str, str, str]]) -> None:
    """Label until nothing is left; a vote that wasn't answered is sent again after the restart."""
    vote: dict[str, str] = {}
    while True:
        try:
            with server.entered(name) as me:
                if vote:
                    vote["csrf"] = hidden(me.page("/name"), "csrf")
                while True:
                    if not vote:
                        page = me.page("/label")
                        if "Nothing is left for you to judge" in page:
                            return
                        vote = hidden_of(page) | {"choice": "tie"}
                    answer = me.post("/label/vote", **vote)
                    assert answer.status_code == 303, answer.text
                    assert answer.headers["location"] == "/label"
                    acknowledged.append((vote["item"], name, vote["round"]))
                    vote = {}
        except (httpx.TransportError, LetOutError):
            continue


@pytest.mark.slow
def test_500_labels_of_two_people_outlive_a_server_that_is_killed(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs.jsonl", (pair(number) for number in range(PAIRS)))
    server = Server(tmp_path)
    server.start()
    acknowledged: list[tuple[str, str, str]] = []
    people = [threading.Thread(target=label_all, args=(server, name, acknowledged)) for name in ("ana", "ben")]
    for one in people:
        one.start()
    random = Random(0)
    for kill in range(KILLS):
        while len(acknowledged) < (kill + 1) * 2 * PAIRS // (KILLS + 1) + random.randrange(40):
            people[0].join(0.005)
            assert any(one.is_alive() for one in people)
        with server.lock:
            server.kill()
            server.start()
    for one in people:
        one.join(120)
        assert not one.is_alive()
    server.kill()
    kept = [
        (j.vote.item, j.vote.annotator, str(j.vote.round))
        for j in LabelStore(tmp_path / "labels.sqlite").standing("pairs")
    ]
    assert len(kept) == 2 * PAIRS
    assert max(Counter(kept).values()) == 1
    assert Counter(acknowledged) == Counter(kept)
