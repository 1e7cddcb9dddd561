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
from burnish.errors import DataError
from burnish.logs import Bar, progress, say, warn
from burnish.records import Conversation, PreferencePair, Record, Source
from burnish.run_folder import RunFolder, written_whole

TRAIN = "data/train.jsonl"
HELDOUT = "data/heldout.jsonl"
_KILOBYTE = 1000
_STRIDE = 500


def prepare(settings: DataSettings, run: RunFolder, folder: Path, seed: int) -> Dataset:
    """Read all sources (relative paths from `folder`), write data/train.jsonl and data/heldout.jsonl, and
    data/dataset.json last. Rows stream; `seed` only chooses among rows where a source takes some of them.

    Raises: DataError when a source can't be read, rows have faults (unless they are to be skipped), kinds of rows are
    mixed, or no row is left to train on. Nothing is written then.
    """
    faults = Faults()
    train = [read_source(source, folder, faults, seed) for source in settings.train]
    heldout = [read_source(source, folder, faults, seed) for source in settings.heldout]
    total = sum(reading.opened.size for reading in (*train, *heldout)) / _KILOBYTE
    with ExitStack() as stack:
        train_file = stack.enter_context(_writing(run.file(TRAIN)))
        heldout_file = stack.enter_context(_writing(run.file(HELDOUT)))
        bar = stack.enter_context(progress("Reading data (kB)", total))
        writer = _Writer(train_file, heldout_file)
        for reading in train:
            fraction = 0.0 if settings.heldout or not reading.settings.heldout else settings.heldout_fraction
            writer.write(_followed(reading, bar), fraction)
        for reading in heldout:
            writer.write(_followed(reading, bar), 1.0)
        if settings.on_bad_row == "stop":
            faults.stop("nothing was prepared")
        if not writer.num_train:
            raise _nothing_to_train(settings, faults)
    dataset = writer.dataset(tuple(reading.data_file() for reading in (*train, *heldout)))
    run.save("data/dataset.json", dataset)
    _tell(dataset, faults)
    return dataset


class _Writer:
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
            self._digests[side].update(digest.encode())
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
