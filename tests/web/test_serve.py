"""The port that the app listens on."""

from __future__ import annotations

import socket

import pytest

from burnish.errors import LabelError
from burnish.web.serve import listening


def test_who_follows_the_link_before_the_server_is_up_waits() -> None:
    with listening(0) as listener:
        socket.create_connection(listener.getsockname(), timeout=5).close()


def test_a_port_that_is_taken_is_told() -> None:
    with listening(0) as listener, pytest.raises(LabelError, match="can't be had"):
        listening(listener.getsockname()[1])
