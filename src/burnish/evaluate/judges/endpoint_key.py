"""The key of a judge that is asked over the network, handed down by a face so that nothing below reads the environment
and no recipe, digest or run folder ever holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_KEY: ContextVar[str] = ContextVar("endpoint_key", default="")


@contextmanager
def endpoint_key(key: str) -> Iterator[None]:
    """Within this block, endpoint judges send `key` as their bearer token; empty sends none."""
    token = _KEY.set(key)
    try:
        yield
    finally:
        _KEY.reset(token)


def key_at_hand() -> str:
    """The key of the innermost block, or empty."""
    return _KEY.get()
