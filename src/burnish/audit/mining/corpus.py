"""All prompts and replies of a corpus in two temporary files: lower-cased UTF-8, a long text's middle left out.

Rows are the records that have a reply. What most prompts share word for word (a prompt template) is taken out of them,
since it tells no row from another.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray

from burnish.audit.mining.features import CHUNK, buckets_for, chunks
from burnish.audit.mining.names import NameCount
from burnish.audit.mining.tokens import Ints, ngrams
from burnish.audit.register import Register
from burnish.audit.spool import Spool
from burnish.records import Conversation, LabelledCompletion, Message, PreferencePair, Record

PROMPT_BYTES, REPLY_BYTES = 4000, 2000
_HEAD = 0.6
_SHARED = 0.5  # of the rows that two neighbours must stand in to be template


class Texts(Sequence[bytes]):
    """Many texts in a temporary file; memory holds where each begins, eight bytes a text."""

    def __init__(self) -> None:
        self._spool = Spool()
        self._bounds = array("q", [0])

    def append(self, text: bytes) -> None:
        """Add a text."""
        self._spool.append(text)
        self._bounds.append(len(self._spool))

    def __len__(self) -> int:
        return len(self._bounds) - 1

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> list[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | list[bytes]:
        if isinstance(at, slice):
            bounds = self._bounds[at.start : min(at.stop, len(self)) + 1]
            base = bounds[0] if len(bounds) else 0
            view = self._spool.read(base, bounds[-1]) if len(bounds) else b""
            return [view[a - base : b - base] for a, b in pairwise(bounds)]
        return self._spool.read(self._bounds[at], self._bounds[at + 1])

    def some(self, rows: Ints) -> Texts:
        """Copies of some of the texts."""
        chosen = Texts()
        for row in rows:
            chosen.append(self[int(row)])
        return chosen


@dataclass(frozen=True)
class Corpus:
    """N rows: `prompts` (templates taken out; `whole` with them), `replies`, and where the `rows` stand."""

    prompts: Texts
    whole: Texts
    replies: Texts
    rows: Register

    def __len__(self) -> int:
        return len(self.rows)


def gather(rows: Iterable[Record], names: NameCount | None = None) -> Corpus:
    """Read all rows once; the names in replies are counted by `names`, if it is given."""
    prompts, replies, register = Texts(), Texts(), Register()
    for row in rows:
        asked, said = sides(row)
        if not said:
            continue
        prompts.append(shortened(asked, PROMPT_BYTES))
        replies.append(shortened(said, REPLY_BYTES))
        if names is not None:
            names.add(said if len(said) <= REPLY_BYTES else f"{said[: REPLY_BYTES // 2]} {said[-REPLY_BYTES // 2 :]}")
        register.add(row)
    return Corpus(without_template(prompts), prompts, replies, register)


def sides(record: Record) -> tuple[str, str]:
    """What a record asks and what it answers: all turns of the assistant are the answer (of a preference, the preferred
    one), all others the question."""
    if isinstance(record, Conversation):
        turns: tuple[Message, ...] = record.messages or (Message("assistant", record.text),)
    elif isinstance(record, PreferencePair):
        turns = record.prompt + record.chosen
    else:
        assert isinstance(record, LabelledCompletion)
        turns = record.prompt + record.completion
    asked = "\n".join(m.content for m in turns if m.role != "assistant")
    return asked, "\n".join(m.content for m in turns if m.role == "assistant")


def shortened(text: str, most: int) -> bytes:
    """The text in lower-case UTF-8, at most `most` bytes: its head and its tail."""
    data = text.lower().encode("utf-8", "replace")
    if len(data) <= most:
        return data
    head = int(most * _HEAD)
    return data[:head] + b" " + data[len(data) - (most - head - 1) :]


def without_template(texts: Texts) -> Texts:
    """The texts without the runs of tokens whose every two neighbours stand in at least half of them."""
    if len(texts) < 20:
        return texts
    size = buckets_for(len(texts))
    mask = np.uint64(size - 1)
    counts = np.zeros(size, dtype=np.int32)
    for _, tokens in chunks(texts):
        hashes, _ = ngrams(tokens, 2)
        np.add.at(counts, (hashes & mask).astype(np.int64), np.int32(1))
    if not np.any(counts >= _SHARED * len(texts)):
        return texts
    shorter = Texts()
    for text in _cut(texts, counts >= _SHARED * len(texts), mask):
        shorter.append(text)
    return shorter


def _cut(texts: Texts, common: NDArray[np.bool_], mask: np.uint64) -> Iterator[bytes]:
    for first, tokens in chunks(texts):
        hashes, at = ngrams(tokens, 2)
        begin = at[common[(hashes & mask).astype(np.int64)]]
        covered = np.zeros(len(tokens.hash_T) + 1, dtype=bool)
        covered[begin], covered[begin + 1] = True, True
        for row, text in enumerate(texts[first : first + CHUNK]):
            span = slice(int(tokens.offset_R[row]), int(tokens.offset_R[row + 1]))
            if not covered[span].any():
                yield text
                continue
            own = np.flatnonzero(~_inner(covered[span])) + span.start
            breaks = np.flatnonzero(np.diff(own) > 1) + 1
            runs = np.split(own, breaks) if len(own) else []
            yield b"\n".join(text[tokens.start_T[run[0]] : tokens.end_T[run[-1]]] for run in runs)


def _inner(covered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The covered tokens of a text without the outermost of each run, which stay so that what stands beside the
    template
    keeps its neighbour; at the text's own beginning and end nothing stands beside it."""
    before = np.concatenate([[True], covered[:-1]])
    after = np.concatenate([covered[1:], [True]])
    inner: NDArray[np.bool_] = covered & before & after
    return inner
