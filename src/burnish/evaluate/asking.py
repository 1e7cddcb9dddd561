"""Asks a model a list of prompts, each at most once in the life of the cache, with a progress bar.

Knows nothing of what the prompts are for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from burnish.evaluate.reply_cache import Reply, ReplyCache, reply_key
from burnish.evaluate.speaker import GREEDY, Sampling, Speaker, Tokens
from burnish.logs import Bar, progress
from burnish.models.groups import PromptGroup

_KEEP_EVERY = 16


@dataclass
class Asker:
    """Holds the cache and counts what was `generated` and what was `cached`. `dtype` is part of what a reply depends
    on."""

    cache: ReplyCache
    dtype: str
    generated: int = 0
    cached: int = 0

    def replies(
        self,
        speaker: Speaker,
        prompts: Sequence[Tokens],
        max_new_tokens: int,
        label: str,
        sampling: Sampling = GREEDY,
    ) -> list[Reply]:
        """A reply for each prompt, in order; equal prompts are asked once. What is written is kept at once, so that an
        interrupted run goes on where it was."""
        settings: dict[str, str | int | float] = {
            "max_new_tokens": max_new_tokens,
            "temperature": sampling.temperature,
            "dtype": self.dtype,
        }
        if sampling.temperature:
            settings["sample"] = sampling.sample
        keys = [reply_key(speaker.digest, prompt, settings) for prompt in prompts]
        known = self.cache.get(keys)
        missing = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in known}
        self._count(len(missing), len(keys))
        with progress(label, len(keys)) as bar:
            bar.advance(len(keys) - len(missing), "from the cache" if known else "")
            if missing:
                kept = _Kept(self.cache, list(missing), bar)
                try:
                    speaker.reply(list(missing.values()), max_new_tokens, kept.add, sampling)
                finally:
                    kept.flush()
                known.update(kept.all)
        return [known[key] for key in keys]

    def surprises(self, speaker: Speaker, groups: Sequence[PromptGroup], label: str) -> list[float]:
        """The mean negative log-likelihood of each completion, group after group, from the cache where it is there."""
        keys = [
            reply_key(speaker.digest, g.prompt, {"scored": repr(g.completions), "dtype": self.dtype}) for g in groups
        ]
        known = self.cache.get(keys)
        missing = {key: group for key, group in zip(keys, groups, strict=True) if key not in known}
        self._count(len(missing), len(keys))
        with progress(label, len(keys)) as bar:
            bar.advance(len(keys) - len(missing))
            names = list(missing)
            for start in range(0, len(names), _KEEP_EVERY):
                part = names[start : start + _KEEP_EVERY]
                values = iter(speaker.surprise([missing[name] for name in part]))
                new = {name: _said(islice(values, len(missing[name].completions))) for name in part}
                self.cache.put(new.items())
                known.update(new)
                bar.advance(len(part))
        return [float(value) for key in keys for value in known[key].text.split()]

    def _count(self, missing: int, total: int) -> None:
        self.generated += missing
        self.cached += total - missing


def _said(values: Iterable[float]) -> Reply:
    """Numbers as the cache keeps them."""
    return Reply(" ".join(map(repr, values)), "stop")


class _Kept:
    """New replies on their way into the cache, a few at a time; `names` are the prompts' keys, by index."""

    def __init__(self, cache: ReplyCache, names: Sequence[str], bar: Bar) -> None:
        self._cache = cache
        self._names = names
        self._bar = bar
        self._waiting: list[tuple[str, Reply]] = []
        self.all: dict[str, Reply] = {}

    def add(self, index: int, reply: Reply) -> None:
        self._waiting.append((self._names[index], reply))
        self.all[self._names[index]] = reply
        self._bar.advance()
        if len(self._waiting) >= _KEEP_EVERY:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            self._cache.put(self._waiting)
            self._waiting = []
