"""Opens a source of rows, whatever file it lies in, and streams its raw rows with their places.

Knows file formats (JSONL, JSON, CSV, TSV, Parquet; text ones also compressed with gzip), not what the rows mean. A row
that can't be read on its own (one broken line) comes out as a fault in its place; a file that can't be read on is a
DataError.
"""

from __future__ import annotations

import difflib
import gzip
import hashlib
import io
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias

from burnish.data import hub, json_rows, tables
from burnish.data.download import fetched
from burnish.data.faults import RowFault
from burnish.data.settings import SourceSettings
from burnish.errors import DataError
from burnish.models.builtin import cache_folder
from burnish.records import Source
from burnish.run_folder import file_digest

RawRow: TypeAlias = tuple[Source, Mapping[str, object] | RowFault]
_TABLES = {".csv": ",", ".tsv": "\t"}
_JSON = (".json", ".jsonl", ".ndjson")
_KNOWN = (*_JSON, *_TABLES, ".parquet")
_GZIP_FAULTS = (gzip.BadGzipFile, EOFError, zlib.error)


@dataclass(frozen=True)
class Opened:
    """A source that is being read. `size` in bytes (0 when unknown) and `position` are for progress; `digest` is
    called after the last row."""

    name: str
    rows: Iterator[RawRow]
    size: int
    position: Callable[[], int]
    digest: Callable[[], str]
    notes: tuple[str, ...] = ()


def open_rows(settings: SourceSettings, folder: Path) -> Opened:
    """Open a source; relative paths are taken from `folder`.

    Raises: DataError when it is missing, empty or of a form that can't be read.
    """
    if settings.path.startswith("hf:"):
        return _open_hub(settings)
    path = local_path(settings, folder)
    name, size = settings.path, path.stat().st_size
    if _form(path) == ".parquet":
        return Opened(name, _parquet(path, name), size, lambda: 0, lambda: file_digest(path))
    progress = _Progress()
    return Opened(name, _text_rows(path, name, progress), size, progress.position, lambda: file_digest(path))


def local_path(settings: SourceSettings, folder: Path) -> Path:
    """The file that a source's path means.

    Raises: DataError when there is none, with the nearest name there is.
    """
    name = settings.path
    if name.startswith("builtin:"):
        return _builtin_path(name)
    if name.startswith("https://"):
        return _readable(name, fetched(name, settings.sha256, cache_folder().parent / "downloads"))
    path = folder / Path(name).expanduser()
    if path.is_dir():
        inside = sorted(p.name for p in path.iterdir() if _form(p) in _KNOWN)[:5]
        seen = f" (it holds {', '.join(inside)})" if inside else ""
        raise DataError(f"{name}: is a folder{seen}, expected a data file; nothing was read", hint="name the file")
    if not path.exists():
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, beside, n=1)
        hint = f"did you mean {near[0]}?" if near else "a relative path is taken from the recipe's folder"
        raise DataError(f"{name}: no such file ({path}); nothing was read", hint=hint)
    return _readable(name, path)


def _readable(name: str, path: Path) -> Path:
    if _form(path) not in _KNOWN:
        raise DataError(
            f"{name}: the name ends in {_form(path)!r}, expected {', '.join(_KNOWN)} (or with .gz); nothing was read",
            hint="name the file by what it holds",
        )
    if path.stat().st_size == 0:
        raise DataError(f"{name}: the file is empty, expected rows; nothing was read")
    return path


def _form(path: Path) -> str:
    """The ending that says what the file holds, ".gz" apart."""
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()


def _builtin_path(name: str) -> Path:
    assets = Path(str(files("burnish") / "assets"))
    stem = name.removeprefix("builtin:")
    known = sorted(path.stem for path in assets.glob("*.jsonl"))
    if stem not in known:
        near = difflib.get_close_matches(stem, known, n=1)
        meant = f"did you mean builtin:{near[0]}?" if near else f"there are: {', '.join(known) or 'none'}"
        raise DataError(f"{name}: no set of that name comes with Burnish; nothing was read", hint=meant)
    return assets / f"{stem}.jsonl"


class _Progress:
    """How far a file has been read, in bytes as they lie on the disk."""

    def __init__(self) -> None:
        self.file: io.BufferedReader | None = None

    def position(self) -> int:
        return 0 if self.file is None or self.file.closed else self.file.tell()


def _text_rows(path: Path, name: str, progress: _Progress) -> Iterator[RawRow]:
    """Rows of a text file, which is opened at the first and closed at the last."""
    form = _form(path)
    with path.open("rb") as raw:
        progress.file = stream = raw
        try:
            if path.suffix.lower() == ".gz":
                stream = io.BufferedReader(gzip.GzipFile(fileobj=raw), 1 << 18)
            _skip_byte_order_mark(stream, name)
            if form in _TABLES:
                yield from tables.delimited_rows(stream, name, _TABLES[form])
            else:
                yield from json_rows.read(stream, name, lines=form != ".json")
        except _GZIP_FAULTS as error:
            raise _broken_gzip(name, error) from error


def _skip_byte_order_mark(stream: io.BufferedReader, name: str) -> None:
    """Drop a UTF-8 mark. Raises: DataError at a UTF-16 or UTF-32 one."""
    start = stream.peek(4)[:4]
    if start.startswith(b"\xef\xbb\xbf"):
        stream.read(3)
    elif start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(
            f"{name}: the file is UTF-16 or UTF-32, expected UTF-8; nothing was read", hint="save it as UTF-8"
        )


def _parquet(path: Path, name: str) -> Iterator[RawRow]:
    if path.suffix.lower() != ".gz":
        yield from tables.parquet_rows(path, name)
        return
    with tempfile.NamedTemporaryFile(suffix=".parquet") as unpacked:
        try:
            with gzip.open(path) as packed:
                shutil.copyfileobj(packed, unpacked)
        except _GZIP_FAULTS as error:
            raise _broken_gzip(name, error) from error
        unpacked.flush()
        yield from tables.parquet_rows(Path(unpacked.name), name)


def _broken_gzip(name: str, error: Exception) -> DataError:
    return DataError(
        f"{name}: the gzip data is broken or cut short ({error}); nothing was prepared", hint="fetch the file again"
    )


def _open_hub(settings: SourceSettings) -> Opened:
    opened = hub.open_set(settings)
    digest = hashlib.sha256()

    def rows() -> Iterator[RawRow]:
        for number, row in enumerate(opened.rows, 1):
            digest.update(repr(row).encode("utf-8", "surrogatepass"))
            yield Source(settings.path, number), row

    return Opened(settings.path, rows(), 0, lambda: 0, digest.hexdigest, opened.notes)
