"""Looks at a source as a person would before training on it: how many rows, how long, of what kind, which are double.

One streaming pass over the rows; lengths in tokens are measured on a sample and on the longest rows. What is advised
follows from what was seen and is a starting point.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from burnish.artefacts import DataFile, RecordKind
from burnish.data.convert import read_source
from burnish.data.faults import Faults
from burnish.data.settings import SourceSettings
from burnish.data.stage import kind_of
from burnish.errors import DataError
from burnish.models.chat_template import Encoder
from burnish.records import Conversation, LabelledCompletion, Message, Record

SAMPLE = 2000
_LONGEST = 20
_LABEL_LENGTH = 60
_ROOM = (128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
_ROOM_FOR_ALL = 2048
MetricName: TypeAlias = Literal["exact_match", "json_fields", "rouge_l", "perplexity"]


@dataclass(frozen=True)
class Lengths:
    """Lengths in tokens, sorted: of all rows (`whole`), or of a sample and the longest of the rest."""

    whole: bool
    tokens: tuple[int, ...]

    @property
    def median(self) -> int:
        return int(statistics.median(self.tokens))

    def percentile(self, share: float) -> int:
        """The length that the share `share` (0 to 1) of rows does not pass."""
        return self.tokens[min(len(self.tokens) - 1, int(share * len(self.tokens)))]

    def longer_than(self, max_length: int) -> int:
        """How many of the measured rows would be cut at `max_length` tokens."""
        return sum(length > max_length for length in self.tokens)


@dataclass(frozen=True)
class Look:
    """What was seen. `fields` are the first row's; `duplicates` counts rows that an earlier one equals; `lengths` is
    None when there was no encoder; `refused` says why rows of the sample can't be trained on; `distinct_replies` counts
    the sample's."""

    file: DataFile
    kind: RecordKind
    fields: tuple[str, ...]
    first: Record
    duplicates: int
    faults: Faults
    lengths: Lengths | None
    refused: tuple[str, ...]
    distinct_replies: int
    metric: MetricName


def look(source: SourceSettings, folder: Path, encoder: Encoder | None) -> Look:
    """Read a whole source once and describe it. Rows with faults are counted, not fatal. `encoder` measures lengths, so
    it should have room for any row.

    Raises: DataError when the source can't be read, or no row of it can.
    """
    faults = Faults()
    reading = read_source(source, folder, faults)
    sample = _Sample()
    for record in reading.records():
        sample.add(record)
    if sample.first is None:
        faults.stop("no row could be read")
        raise DataError(f"{source.path}: no row could be read")
    records = sample.records()
    replies = [reply for record in records if (reply := _reply(record))]
    whole = reading.taken <= SAMPLE
    encoded = [_encode(record, encoder) for record in records] if encoder else []
    fitting = sorted(length for length, _ in encoded if length)
    return Look(
        file=reading.data_file(),
        kind=kind_of(sample.first),
        fields=tuple(reading.first_row),
        first=sample.first,
        duplicates=sample.duplicates,
        faults=faults,
        lengths=Lengths(whole, tuple(fitting)) if fitting else None,
        refused=tuple(reason for _, reason in encoded if reason),
        distinct_replies=len(set(replies)),
        metric=fitting_metric(replies),
    )


def fitting_metric(replies: list[str]) -> MetricName:
    """The metric that suits replies of this shape: labels, JSON objects, or prose; none at all is plain text."""
    if not replies:
        return "perplexity"
    if sum(_is_object(reply) for reply in replies) >= 0.95 * len(replies):
        return "json_fields"
    short = sum("\n" not in reply.strip() and len(reply) <= _LABEL_LENGTH for reply in replies)
    return "exact_match" if short >= 0.95 * len(replies) else "rouge_l"


def fitting_max_length(lengths: Lengths, limit: int | None) -> int:
    """The room that the rows need, in tokens: enough for all unless a few are far longer than the rest; never above the
    model's `limit`, where that is known."""
    longest = lengths.tokens[-1]
    needed = longest if longest <= _ROOM_FOR_ALL else max(_ROOM_FOR_ALL, lengths.percentile(0.99))
    room = next((room for room in _ROOM if room >= needed), _ROOM[-1])
    return min(limit, room) if limit else room


class _Sample:
    """Keeps a hash-chosen sample, the longest rows, and a hash of every row for finding doubles."""

    def __init__(self) -> None:
        self.first: Record | None = None
        self.duplicates = 0
        self._seen: set[int] = set()
        self._count = 0
        self._chosen: list[tuple[int, int, Record]] = []
        self._longest: list[tuple[int, int, Record]] = []

    def add(self, record: Record) -> None:
        self.first = self.first or record
        self._count += 1
        key = int(record.digest[:16], 16)
        self.duplicates += key in self._seen
        self._seen.add(key)
        rank = int.from_bytes(hashlib.sha256(key.to_bytes(8, "big")).digest()[:8], "big")
        _keep(self._chosen, (-rank, self._count, record), SAMPLE)
        _keep(self._longest, (_characters(record), self._count, record), _LONGEST)

    def records(self) -> list[Record]:
        """The sample and the longest rows, each once, in the file's order."""
        unique = {number: record for _, number, record in (*self._chosen, *self._longest)}
        return [unique[number] for number in sorted(unique)]


def _keep(heap: list[tuple[int, int, Record]], item: tuple[int, int, Record], size: int) -> None:
    if len(heap) < size:
        heapq.heappush(heap, item)
    elif item[:2] > heap[0][:2]:
        heapq.heapreplace(heap, item)


def _parts(record: Record) -> list[tuple[Message, ...]]:
    """The chats that a record stands for: one, or one for each side of a preference."""
    if isinstance(record, Conversation):
        return [record.messages]
    if isinstance(record, LabelledCompletion):
        return [record.prompt + record.completion]
    return [record.prompt + record.chosen, record.prompt + record.rejected]


def _characters(record: Record) -> int:
    plain = len(record.text) + len(record.tools) if isinstance(record, Conversation) else 0
    return plain + max(sum(len(message.content) for message in chat) for chat in _parts(record))


def _encode(record: Record, encoder: Encoder) -> tuple[int, str]:
    """Tokens of a record's longer side, and why it has none if so. The encoder must not truncate."""
    if isinstance(record, Conversation):
        sides = [record]
    else:
        sides = [Conversation(chat, record.source) for chat in _parts(record)]
    encoded = [encoder.conversation(side) for side in sides]
    longest = max(row.group.num_tokens if row.group else 0 for row in encoded)
    return longest, next((row.dropped for row in encoded if row.dropped), "")


def _reply(record: Record) -> str:
    if isinstance(record, Conversation):
        return record.reply()
    side = record.completion if isinstance(record, LabelledCompletion) else record.chosen
    return side[-1].content


def _is_object(text: str) -> bool:
    if not text.lstrip().startswith("{"):
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
