"""From prepared records to encoded rows, with everything that is lost on the way counted.

Records are encoded in parts of so many records, whoever encodes them: so what comes out is the same whether this
process does it, several do, or a cache has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from burnish.artefacts import Losses
from burnish.errors import TrainError
from burnish.logs import progress, say, warn
from burnish.models.chat_template import Encoded, Encoder, check
from burnish.records import Record
from burnish.train.batches import Rows
from burnish.train.method import Method

PART = 250  # records
_SAMPLED_PARTS = 4


@dataclass(frozen=True)
class Encoding:
    """Encoded rows, what was lost, why rows were dropped (reason -> rows), and the first rows as a sample to check."""

    rows: Rows
    losses: Losses
    reasons: Counter[str]
    sample: tuple[Encoded, ...]


@dataclass
class Part:
    """What came of some records: rows, counts ("seen", "quarantined", "truncated", "tokens" lost), why rows were
    dropped (reason -> rows), and a sample."""

    rows: Rows = field(default_factory=Rows)
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    sample: list[Encoded] = field(default_factory=list)

    def include(self, other: Part) -> None:
        """Add what came of the records that follow."""
        self.rows.extend(other.rows)
        self.counts.update(other.counts)
        self.reasons.update(other.reasons)
        self.sample.extend(other.sample)


def encode_rows(
    records: Iterable[Record],
    num_records: int,
    quarantined: Collection[str],
    method: Method,
    encoder: Encoder,
    label: str = "Encoding rows",
) -> Encoding:
    """Encode records in this process, leaving out those whose source ("file:line") is quarantined.

    Raises: DataError when the method can't learn from such records.
    """
    left_out = frozenset(quarantined)

    def parts() -> Iterator[Part]:
        remaining = iter(records)
        number = 0
        while chunk := list(islice(remaining, PART)):
            yield encode_part(chunk, number, left_out, method, encoder)
            number += 1

    return joined(parts(), num_records, label)


def encode_part(
    records: Iterable[Record], number: int, left_out: frozenset[str], method: Method, encoder: Encoder
) -> Part:
    """Encode the records of one part, of which this is the one of that `number`, from 0.

    Raises: as `encode_rows`.
    """
    part = Part()
    for record in records:
        part.counts["seen"] += 1
        if str(record.source) in left_out:
            part.counts["quarantined"] += 1
            continue
        encoded = method.encode(record, encoder)
        if number < _SAMPLED_PARTS:
            part.sample.append(encoded)
        if encoded.group is None:
            part.reasons[encoded.dropped] += 1
            continue
        part.counts["truncated"] += bool(encoded.tokens_truncated)
        part.counts["tokens"] += encoded.tokens_truncated
        part.rows.append(encoded.group)
    return part


def joined(parts: Iterable[Part], num_records: int, label: str) -> Encoding:
    """All parts, in their order, as one encoding; a bar moves on as they come."""
    whole = Part()
    with progress(label, num_records) as bar:
        for part in parts:
            whole.include(part)
            bar.advance(part.counts["seen"])
    counts = whole.counts
    losses = Losses(
        rows_seen=counts["seen"],
        rows_trained=len(whole.rows),
        rows_quarantined=counts["quarantined"],
        rows_truncated=counts["truncated"],
        rows_dropped=whole.reasons.total(),
        tokens_truncated=counts["tokens"],
    )
    return Encoding(whole.rows, losses, whole.reasons, tuple(whole.sample))


def check_rows(encoding: Encoding, encoder: Encoder) -> None:
    """Refuse rows that it makes no sense to train on.

    Raises: TrainError when every row is quarantined, or for what `chat_template.check` finds.
    """
    losses = encoding.losses
    if losses.rows_seen and losses.rows_quarantined == losses.rows_seen:
        raise TrainError(
            f"training rows: all {losses.rows_seen:,} are quarantined by the audit; nothing was trained",
            hint="read audit/findings.jsonl, and mend the data or set the detector's action to keep",
        )
    check(encoder, encoding.sample)


def tell(encoding: Encoding, max_length: int) -> None:
    """Say what will be trained on, and what was lost."""
    losses, rows = encoding.losses, encoding.rows
    say(f"{len(rows):,} rows to train on: {rows.num_tokens:,} tokens, {rows.num_targets:,} of them trained")
    if losses.rows_quarantined:
        say(f"{losses.rows_quarantined:,} rows are quarantined by the audit and left out")
    if losses.rows_truncated:
        warn(
            f"{losses.rows_truncated:,} rows are longer than max_length {max_length:,} and lose "
            f"{losses.tokens_truncated:,} tokens at their end"
        )
    for reason, count in encoding.reasons.most_common(3):
        warn(f"{count:,} rows were dropped: {reason}")
