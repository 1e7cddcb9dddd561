"""Streams rows out of tables: delimited text (CSV, TSV) and Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from burnish.data.faults import RowFault
from burnish.errors import DataError
from burnish.records import Source

_Row: TypeAlias = tuple[Source, Mapping[str, object] | RowFault]
_LARGEST_FIELD = 1 << 30
_BATCH = 4096


def delimited_rows(stream: io.BufferedReader, name: str, delimiter: str) -> Iterator[_Row]:
    """Rows of a CSV or TSV file whose first line names the columns; `Source.line` is the row's number.

    Raises: DataError when the header is unusable, or the quoting is broken from some row on.
    """
    csv.field_size_limit(_LARGEST_FIELD)
    with io.TextIOWrapper(stream, encoding="utf-8", newline="") as text:
        yield from _delimited(text, name, delimiter)


def _delimited(text: io.TextIOWrapper, name: str, delimiter: str) -> Iterator[_Row]:
    # Strict: an unclosed quote would otherwise swallow the rest of the file as one cell.
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    number = 0
    try:
        header = _header(next(reader, []), name, delimiter)
        for cells in reader:
            if not cells:
                continue
            number += 1
            yield Source(name, number), _row(header, cells)
    except csv.Error as error:
        raise DataError(
            f"{name}:{number + 1}: the table is broken at line {reader.line_num} of the file ({error}), expected "
            'quotes around a cell, "" for a quote inside; nothing was prepared',
            hint="write the file with a CSV library",
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}: a byte after row {number} is not UTF-8 ({error.reason}); nothing was prepared",
            hint="save the file as UTF-8",
        ) from error


def _header(cells: list[str], name: str, delimiter: str) -> list[str]:
    header = [cell.strip() for cell in cells]
    if len(header) == 1 and delimiter == "," and (";" in header[0] or "\t" in header[0]):
        raise DataError(
            f"{name}: the first line has no comma but a semicolon or tab; nothing was read",
            hint="save it with commas, or as .tsv with tabs",
        )
    if len(set(header)) < len(header) or "" in header:
        raise DataError(
            f"{name}: the first line is {', '.join(header)!r}, expected different names of columns; nothing was read",
            hint="the first line of a CSV names its columns",
        )
    return header


def _row(header: list[str], cells: list[str]) -> Mapping[str, object] | RowFault:
    if len(cells) != len(header):
        return RowFault(
            f"the row has {len(cells)} cells, expected {len(header)} ({', '.join(header)})",
            hint="put quotes around cells that have the separator in them",
        )
    return dict(zip(header, cells, strict=True))


def parquet_rows(path: Path, name: str) -> Iterator[_Row]:
    """Rows of a Parquet file, a few thousand in memory at a time; `Source.line` is the row's number.

    Raises: DataError when it can't be read.
    """
    import polars as pl

    try:
        frame = pl.scan_parquet(path, glob=False)
        number = 0
        while not (batch := frame.slice(number, _BATCH).collect()).is_empty():
            for row in batch.iter_rows(named=True):
                number += 1
                yield Source(name, number), row
    except (pl.exceptions.PolarsError, OSError) as error:
        first = str(error).splitlines()[0]
        raise DataError(f"{name}: not a Parquet file that can be read ({first}); nothing was prepared") from error
