"""The data stage: reads every source of a recipe and writes the prepared rows into the run folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from burnish.artefacts import DataFile, Dataset, RecordKind
from burnish.data.convert import Reading, read_source
from burnish.data.faults import Faults
from burnish.data.settings import DataSettings
from burnish.data.split import is_held_out
from burnish.data.store import to_line
from burnish.data.written import LOG, Writer, replied
from burnish.errors import DataError
from burnish.logs import Bar, progress, say, warn
from burnish.records import Conversation, PreferencePair, Record, Source
from burnish.run_folder import RunFolder, written_whole

TRAIN = "data/train.jsonl"
HELDOUT = "data/heldout.jsonl"
_KILOBYTE = 1000
_STRIDE = 500


def prepare(settings: DataSettings, run: RunFolder, folder: Path, seed: int, writer: Writer | None = None) -> Dataset:
    """Read all sources (relative paths from `folder`), write data/train.jsonl and data/heldout.jsonl, and
    data/dataset.json last. Rows stream; `seed` only chooses among rows where a source takes some of them. `writer`
    replies to the prompts of sources with `replies: teacher`; data/written.jsonl keeps what it writes, so that an
    interrupted run goes on there.

    Raises: DataError when a source can't be read, rows have faults (unless they are to be skipped), kinds of rows are
    mixed, or no row is left to train on; ModelError when the writer's model can't be had. Neither side is written then.
    """
    faults = Faults()
    train = [read_source(source, folder, faults, seed) for source in settings.train]
    heldout = [read_source(source, folder, faults, seed) for source in settings.heldout]
    total = sum(reading.opened.size for reading in (*train, *heldout)) / _KILOBYTE
    with ExitStack() as stack:
        train_file = stack.enter_context(_writing(run.file(TRAIN)))
        heldout_file = stack.enter_context(_writing(run.file(HELDOUT)))
        sides = _Sides(train_file, heldout_file)
        asked: list[tuple[Reading, list[Record]]] = []
        with progress("Reading data (kB)", total) as bar:
            for reading in train:
                fraction = 0.0 if settings.heldout or not reading.settings.heldout else settings.heldout_fraction
                if reading.settings.replies == "teacher":
                    asked.append((reading, []))
                    sides.write(_held_out(_followed(reading, bar), fraction, asked[-1][1]), 1.0)
                else:
                    sides.write(_followed(reading, bar), fraction)
            for reading in heldout:
                sides.write(_followed(reading, bar), 1.0)
        if settings.on_bad_row == "stop":
            faults.stop("nothing was prepared")
        for reading, records in asked:
            sides.write(_replied(reading, records, writer, run.file(LOG)), 0.0)
        if not sides.num_train:
            raise _nothing_to_train(settings, faults)
    dataset = sides.dataset(tuple(reading.data_file() for reading in (*train, *heldout)))
    run.save("data/dataset.json", dataset)
    _tell(dataset, faults)
    return dataset


class _Sides:
    """Writes records to their side of the split, and counts and digests them."""

    def __init__(self, train: TextIO, heldout: TextIO) -> None:
        self._files = (train, heldout)
        self._digests = (hashlib.sha256(), hashlib.sha256())
        self._counts = [0, 0]
        self._kind: RecordKind | None = None
        self._first: Source | None = None

    @property
    def num_train(self) -> int:
        return self._counts[0]

    def write(self, records: Iterable[Record], fraction: float) -> None:
        """Write records, the share `fraction` of them to the held-out side.

        Raises: DataError when a record is of another kind than those before it.
        """
        for record in records:
            self._check_kind(record)
            digest = record.digest
            side = int(is_held_out(digest, fraction))
            self._files[side].write(to_line(record) + "\n")
            self._digests[side].update((digest + _masked_turns(record)).encode())
            self._counts[side] += 1

    def dataset(self, files: tuple[DataFile, ...]) -> Dataset:
        """What was written."""
        assert self._kind is not None
        whole = "\n".join((self._kind, *(digest.hexdigest() for digest in self._digests)))
        return Dataset(
            kind=self._kind,
            files=files,
            train_path=TRAIN,
            heldout_path=HELDOUT,
            num_train=self._counts[0],
            num_heldout=self._counts[1],
            digest=hashlib.sha256(whole.encode()).hexdigest(),
        )

    def _check_kind(self, record: Record) -> None:
        kind = kind_of(record)
        if self._kind is None:
            self._kind, self._first = kind, record.source
        elif kind != self._kind:
            raise DataError(
                f"{record.source}: got a {kind} row, expected {self._kind} as in {self._first}; nothing was prepared",
                hint="train on one kind of rows at a time: conversations, preferences or labelled replies",
            )


def _masked_turns(record: Record) -> str:
    """Which assistant turns carry no loss; empty when all do. A record's own digest leaves this out, so that one chat
    masked in two ways never lies on both sides of the split; the dataset's holds it, since it changes what is learned.
    """
    if not isinstance(record, Conversation):
        return ""
    return "".join(
        f" {turn}"
        for turn, message in enumerate(record.messages)
        if message.role == "assistant" and not message.trained
    )


def _held_out(records: Iterable[Record], fraction: float, others: list[Record]) -> Iterator[Record]:
    """The records that are held out; the others are put aside."""
    for record in records:
        if is_held_out(record.digest, fraction):
            yield record
        else:
            others.append(record)


def _replied(reading: Reading, records: list[Record], writer: Writer | None, log: Path) -> list[Conversation]:
    """The records with the writer's replies; what came of them is noted with the source."""
    if writer is None:
        raise DataError(
            f"{reading.settings.path}: replies is teacher, but there is no teacher; nothing was prepared",
            hint="set train.method: distill with a teacher, or take replies out",
        )
    kept, left_out = replied(records, writer, log)
    reading.notes.append(f"{len(kept):,} replies written by the teacher")
    reading.notes += [f"{count:,} rows {reason} were left out" for reason, count in left_out.most_common()]
    return kept


def kind_of(record: Record) -> RecordKind:
    """The kind of a record."""
    if isinstance(record, Conversation):
        return "conversation"
    return "preference" if isinstance(record, PreferencePair) else "labelled"


def _followed(reading: Reading, bar: Bar) -> Iterator[Record]:
    """A reading's records, with the bar moved on by the bytes that they took."""
    done = 0
    count = 0
    for record in reading.records():
        count += 1
        if count % _STRIDE == 0:
            now = reading.opened.position()
            bar.advance((now - done) / _KILOBYTE, f"{count:,} rows")
            done = now
        yield record
    bar.advance((reading.opened.size - done) / _KILOBYTE, f"{count:,} rows")


@contextmanager
def _writing(target: Path) -> Iterator[TextIO]:
    """A text file that takes its place only if the block ends well."""
    with written_whole(target) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        yield file


def _nothing_to_train(settings: DataSettings, faults: Faults) -> DataError:
    names = ", ".join(source.path for source in settings.train)
    if faults.total:
        source, fault = faults.first[0]
        why = f"all {faults.total:,} rows have faults, the first: {source}: {fault.message}"
    elif any(source.replies == "teacher" for source in settings.train):
        why = "the teacher wrote no reply that is whole, or all rows fell on the held-out side"
    else:
        why = f"all rows fell on the held-out side (heldout_fraction {settings.heldout_fraction})"
    return DataError(f"{names}: no row is left to train on: {why}; nothing was prepared", hint="add rows")


def _tell(dataset: Dataset, faults: Faults) -> None:
    for file in dataset.files:
        say(
            f"{file.name}: {file.rows:,} rows ({file.format}), {file.taken:,} taken"
            + "".join(f"; {n}" for n in file.notes)
        )
    if faults.total:
        source, fault = faults.first[0]
        warn(f"{faults.total:,} rows with faults were left out, the first: {source}: {fault.message}")
    say(f"{dataset.num_train:,} rows to train on, {dataset.num_heldout:,} held out")
