"""The process in which a user's reward function runs: alone, so that whatever it does can be stopped and told.

    python call_function.py FOLDER MODULE FUNCTION SECONDS

A call that takes longer than SECONDS ends the process, even if whoever started it is gone. Reads one JSON object a
line, the function's keyword arguments, and writes one a line: {"reward": ...} or {"error": ...}. What the function
prints goes to standard error. Imports nothing of Burnish, so that it starts at once.
"""

from __future__ import annotations

import inspect
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any


def main(folder: str, module: str, name: str, seconds: str) -> None:
    """Answer every line until there are no more."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.path[0] = folder  # in place of this file's own folder
    try:
        function = getattr(import_module(module), name)
        taken = _names(function)
    except BaseException:
        _write(replies, {"error": _said()})
        return
    _write(replies, {"ready": True})
    for line in sys.stdin:
        given = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, float(seconds))  # unhandled: the system ends the process, whatever it does
        try:
            reward = function(**{key: value for key, value in given.items() if taken is None or key in taken})
            _write(replies, {"reward": None if reward is None else float(reward)})
        except Exception:
            _write(replies, {"error": _said()})
        signal.setitimer(signal.ITIMER_REAL, 0)


def _names(function: Callable[..., Any]) -> set[str] | None:
    """Which arguments it takes; None: any."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind == inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {parameter.name for parameter in parameters}


def _said() -> str:
    """The error at hand in one line, with where it was raised."""
    kind, error, trace = sys.exc_info()
    frames = traceback.extract_tb(trace)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return f"{kind.__name__ if kind else 'error'}: {error}{where}"


def _write(replies: Any, value: dict[str, Any]) -> None:
    replies.write(json.dumps(value) + "\n")
    replies.flush()


if __name__ == "__main__":
    main(*sys.argv[1:5])
