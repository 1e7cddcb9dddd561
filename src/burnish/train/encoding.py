"""From prepared records to encoded rows, with everything that is lost on the way counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from burnish.artefacts import Losses
from burnish.errors import TrainError
from burnish.logs import progress, say, warn
from burnish.models.chat_template import Encoded, Encoder, check
from burnish.records import Record
from burnish.train.batches import Rows
from burnish.train.method import Method

_SAMPLE = 1000
_STRIDE = 50


@dataclass(frozen=True)
class Encoding:
    """Encoded rows, what was lost, why rows were dropped (reason -> rows), and the first rows as a sample to check."""

    rows: Rows
    losses: Losses
    reasons: Counter[str]
    sample: tuple[Encoded, ...]


def encode_rows(
    records: Iterable[Record],
    num_records: int,
    quarantined: Collection[str],
    method: Method,
    encoder: Encoder,
    label: str = "Encoding rows",
) -> Encoding:
    """Encode records, leaving out those whose source ("file:line") is quarantined.

    Raises: DataError when the method can't learn from such records.
    """
    rows, reasons, counts = Rows(), Counter[str](), Counter[str]()
    sample: list[Encoded] = []
    left_out = frozenset(quarantined)
    with progress(label, num_records) as bar:
        for number, record in enumerate(records, 1):
            if number % _STRIDE == 0:
                bar.advance(_STRIDE)
            counts["seen"] += 1
            if str(record.source) in left_out:
                counts["quarantined"] += 1
                continue
            encoded = method.encode(record, encoder)
            if len(sample) < _SAMPLE:
                sample.append(encoded)
            if encoded.group is None:
                reasons[encoded.dropped] += 1
                continue
            counts["truncated"] += bool(encoded.tokens_truncated)
            counts["tokens"] += encoded.tokens_truncated
            rows.append(encoded.group)
        bar.advance(num_records % _STRIDE)
    losses = Losses(
        rows_seen=counts["seen"],
        rows_trained=len(rows),
        rows_quarantined=counts["quarantined"],
        rows_truncated=counts["truncated"],
        rows_dropped=reasons.total(),
        tokens_truncated=counts["tokens"],
    )
    return Encoding(rows, losses, reasons, tuple(sample))


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
