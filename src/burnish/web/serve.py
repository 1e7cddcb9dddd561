"""Runs the app on loopback, and prints the link that lets a browser in."""

from __future__ import annotations

import socket
import webbrowser
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from burnish.errors import LabelError
from burnish.labels.store import LabelStore
from burnish.logs import console, say
from burnish.web.app import Place, create_app
from burnish.web.label import enter_pairs
from burnish.web.sessions import Sessions

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Options:
    """`pairs` is a file of pairs to add to the labels, None for those that are there. `port` 0 takes any free one."""

    pairs: Path | None
    labels: Path
    runs: Path
    port: int
    overlap: float
    open_browser: bool


def serve(options: Options) -> None:
    """Serve until interrupted.

    Raises: LabelError when the pairs or the labels can't be read, or the port is taken.
    """
    store = LabelStore(options.labels)
    if options.pairs is not None:
        say(f"{options.pairs}: {enter_pairs(store, options.pairs)} pairs; labels go to {options.labels}")
    with listening(options.port) as listener:
        port = listener.getsockname()[1]
        sessions = Sessions(lambda token: _say_link("to let another browser in, once", _link(port, token)))
        link = _link(port, sessions.begin())
        _say_link("open this link, which works once", link)
        if options.open_browser:
            webbrowser.open(link)
        app = create_app(Place(store, options.runs, options.overlap, port, sessions))
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=1
        )
        uvicorn.Server(config).run(sockets=[listener])


def _link(port: int, token: str) -> str:
    return f"http://{HOST}:{port}/enter?token={token}"


def _say_link(what_for: str, link: str) -> None:
    console.print(f"{what_for}: {link}", markup=False, soft_wrap=True)


def listening(port: int) -> socket.socket:
    """A socket of this machine alone that listens on the port, 0 for any free one.

    Raises: LabelError when it is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()  # who follows the link before the server is up waits, instead of being refused
    except OSError as error:
        listener.close()
        raise LabelError(
            f"port {port} of this machine can't be had ({error.strerror}); nothing was served",
            hint="end what listens there, or take another with --port (0 for any free one)",
        ) from error
    return listener
