"""Two models that answer the same prompt, piece by piece in turn.

torch is loaded when the first prompt is asked, and lives in one thread: whoever asks meanwhile waits. At most two
models are kept in memory. Knows nothing of pages or labels.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from burnish.errors import BurnishError, ModelError
from burnish.models.settings import ModelSettings
from burnish.records import Message
from burnish.run_folder import weights_of

_KEPT = 2


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of which two models; `runs` is the folder that a run's name is looked for in."""

    models: tuple[str, str]
    prompt: str
    max_new_tokens: int
    temperature: float
    runs: Path


@dataclass(frozen=True, slots=True)
class Loading:
    """A model is being loaded."""

    model: int


@dataclass(frozen=True, slots=True)
class Piece:
    """More of a model's answer."""

    model: int
    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing more will come, and why."""

    message: str
    hint: str


Event: TypeAlias = Loading | Piece | Failed


class Speakers:
    """Answers questions, one at a time, in the order in which they were asked."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="speakers")
        self._models: dict[str, Any] = {}

    async def answer(self, question: Question) -> AsyncGenerator[Event, None]:
        """What happens until both answers are whole, or something failed. Ends early when nobody listens any more."""
        loop, told, stop = asyncio.get_running_loop(), asyncio.Queue[Event | None](), threading.Event()

        def tell(event: Event | None) -> None:
            loop.call_soon_threadsafe(told.put_nowait, event)

        self._thread.submit(self._write, question, tell, stop)
        try:
            while (event := await told.get()) is not None:
                yield event
        finally:
            stop.set()

    def close(self) -> None:
        """Let the thread end; what is being written is given up."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _write(self, question: Question, tell: Callable[[Event | None], None], stop: threading.Event) -> None:
        streams: dict[int, Generator[Event, None, None]] = {}
        try:
            for number, name in enumerate(question.models):
                if stop.is_set():
                    return
                if name not in self._models:
                    tell(Loading(number))
                streams[number] = self._stream(number, name, question)
            while streams and not stop.is_set():
                for number, stream in list(streams.items()):
                    if (event := next(stream, None)) is None:
                        del streams[number]
                    else:
                        tell(event)
        except BurnishError as error:
            tell(Failed(error.message, error.hint))
        except Exception as error:  # the thread must tell, whatever a model's library does
            tell(Failed(f"the model could not answer: {type(error).__name__}: {error}", ""))
            raise
        finally:
            for stream in streams.values():
                stream.close()
            tell(None)

    def _stream(self, number: int, name: str, question: Question) -> Generator[Event, None, None]:
        """One model's events; the model is loaded at once, its answer written as it is asked for."""
        from burnish.models.chat_template import Encoder
        from burnish.models.generate import GenerationSettings, stream

        loaded = self._load(name, question.runs)
        length = int(getattr(loaded.model.config, "max_position_embeddings", 0)) or sys.maxsize
        prompt = Encoder(loaded.tokenizer, length).prompt([Message("user", question.prompt)])
        if len(prompt) + question.max_new_tokens > length:
            raise ModelError(f"{name}: reads {length:,} tokens, the prompt and its answer need more")
        settings = GenerationSettings(
            max_new_tokens=question.max_new_tokens, temperature=question.temperature, seed=number
        )
        return _pieces(number, loaded, stream(loaded.model, loaded.tokenizer, prompt, settings))

    def _load(self, name: str, runs: Path) -> Any:
        from burnish.models.load import load_model

        if name not in self._models:
            while len(self._models) >= _KEPT:
                del self._models[next(iter(self._models))]
            inside = runs / name
            path = weights_of(str(inside)) if inside.is_dir() else weights_of(name)
            self._models[name] = load_model(ModelSettings(name=path))
        self._models[name] = self._models.pop(name)  # the newest last
        return self._models[name]


def _pieces(number: int, loaded: Any, written: Iterator[str]) -> Generator[Event, None, None]:
    from burnish.models.device import products

    while True:
        with products(loaded.products):
            piece = next(written, None)
        if piece is None:
            return
        yield Piece(number, piece)
