"""A reward that a function of the user's computes: verifiable rewards, such as whether a sum is right.

The function runs in a process of its own: one that never returns, even inside a regular expression, is stopped and
named; one that raises or ends its process is named with the answer that it was given.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import Field, field_validator

from burnish.errors import TrainError
from burnish.records import content_digest
from burnish.run_folder import file_digest
from burnish.train.engine import Engine
from burnish.train.reward import Answer, RewardSettings, Scorer, excerpt

_START_SECONDS = 60.0
_GRACE_SECONDS = 5.0  # after which the process ends itself, should nobody have stopped it
_SCRIPT = Path(__file__).with_name("call_function.py")


class FunctionSettings(RewardSettings):
    """`function` is "module:function", the module a file of the recipe's folder or an installed package. It is called
    as function(prompt=..., answer=..., reference=...) with texts, takes those of the three that it names, and returns a
    number, or None where it can't tell. `timeout_seconds` is what one call may take."""

    kind: Literal["function"] = "function"
    function: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    timeout_seconds: float = Field(default=10.0, gt=0.0, le=3600.0)

    @field_validator("function", mode="before")
    @classmethod
    def _without_suffix(cls, value: object) -> object:
        return value.replace(".py:", ":") if isinstance(value, str) else value


class FunctionReward:
    """Calls it."""

    Settings = FunctionSettings

    def __init__(self, settings: FunctionSettings) -> None:
        self.settings = settings
        self._module, _, self._function = settings.function.partition(":")

    def digest(self, folder: Path) -> str:
        """Of the module's source, where there is one.

        Raises: TrainError when there is no such module.
        """
        source = self._source(folder)
        return content_digest(self.settings.function, file_digest(source) if source.is_file() else "")

    @contextmanager
    def scoring(self, engine: Engine, folder: Path) -> Iterator[Scorer]:
        """Inside, the function's process runs.

        Raises: TrainError when the module or the function isn't there.
        """
        self._source(folder)
        with _Calls(self.settings, folder, self._module, self._function) as calls:
            yield lambda answers: calls.rewards(answers)

    def _source(self, folder: Path) -> Path:
        own = folder / (self._module.replace(".", "/") + ".py")
        if own.is_file():
            return own
        try:
            found = find_spec(self._module)
        except (ImportError, ValueError):
            found = None
        if found is None:
            raise TrainError(
                f"reward function {self.settings.function!r}: no file {own} and no installed module {self._module!r}; "
                "nothing was trained",
                hint="write the function into a Python file beside the recipe, and name it as file:function",
            )
        return Path(found.origin or "")


class _Calls:
    """The process, and what goes to and fro."""

    def __init__(self, settings: FunctionSettings, folder: Path, module: str, function: str) -> None:
        self._settings = settings
        seconds = str(settings.timeout_seconds + _GRACE_SECONDS)
        self._command = [sys.executable, str(_SCRIPT), str(folder), module, function, seconds]
        self._unread = b""

    def __enter__(self) -> _Calls:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is the training's to handle
        )
        reply = self._reply(_START_SECONDS)
        if "ready" not in reply:
            self._stop()
            raise self._failed(f"can't be loaded: {reply.get('error', 'its process ended')}", None)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def rewards(self, answers: Sequence[Answer]) -> list[float | None]:
        """A number for each. Raises: TrainError when the function raises, hangs or ends its process."""
        return [self._reward(answer) for answer in answers]

    def _reward(self, answer: Answer) -> float | None:
        given = {"prompt": answer.prompt, "answer": answer.text, "reference": answer.reference}
        try:
            _pipe(self._process.stdin).write(json.dumps(given).encode() + b"\n")
        except BrokenPipeError:
            raise self._failed("its process ended", answer) from None
        reply = self._reply(self._settings.timeout_seconds)
        if "error" in reply:
            raise self._failed(f"raised {reply['error']}", answer)
        reward: float | None = reply["reward"]
        return reward

    def _reply(self, seconds: float) -> dict[str, Any]:
        """The next line. An ended or hanging process is told as an error."""
        pipe = _pipe(self._process.stdout)
        while b"\n" not in self._unread:
            ready, _, _ = select.select([pipe], [], [], seconds)
            if not ready:
                self._stop()
                return {"error": f"nothing within timeout_seconds {seconds:g}: it hangs, and was stopped"}
            read = os.read(pipe.fileno(), 65536)
            if not read:
                return {"error": f"nothing: its process ended with exit status {self._process.wait()}"}
            self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _failed(self, how: str, answer: Answer | None) -> TrainError:
        about = f", for the answer {excerpt(answer.text)!r} to {excerpt(answer.prompt)!r}" if answer else ""
        return TrainError(
            f"reward function {self._settings.function!r}: {how}{about}; training stopped before the update, earlier "
            "checkpoints are intact",
            hint="mend the function; what it returns must be a number, or None where it can't tell",
        )

    def _stop(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
