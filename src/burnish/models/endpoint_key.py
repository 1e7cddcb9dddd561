"""The keys of servers that are asked over the network, handed down by a face so that nothing below reads the
environment and no recipe, digest or run folder ever holds one.

Each purpose has a key of its own, so that the judge's server is never sent the teacher's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TypeAlias, get_args

Purpose: TypeAlias = Literal["judge", "teacher", "advise"]
"""What a server is asked for."""
_KEYS: ContextVar[Mapping[str, str]] = ContextVar("endpoint_keys", default={})  # noqa: B039 - it is never changed


def key_variable(purpose: Purpose) -> str:
    """The environment variable that a face reads the key from."""
    return f"BURNISH_{purpose.upper()}_KEY"


@contextmanager
def endpoint_keys(environment: Mapping[str, str]) -> Iterator[None]:
    """Within this block, servers are sent the keys of these environment variables as bearer tokens; where a purpose's
    variable is missing or empty, none is sent."""
    token = _KEYS.set({purpose: environment.get(key_variable(purpose), "") for purpose in get_args(Purpose)})
    try:
        yield
    finally:
        _KEYS.reset(token)


def key_at_hand(purpose: Purpose) -> str:
    """The key of the innermost block, or empty."""
    return _KEYS.get().get(purpose, "")
