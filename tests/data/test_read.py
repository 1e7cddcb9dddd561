"""Every kind of file is read row by row, and what can't be read is told by file and line."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import polars as pl
import pytest

from burnish.data.faults import RowFault
from burnish.data.read import open_rows
from burnish.data.settings import SourceSettings
from burnish.errors import DataError

ROWS = [{"prompt": f"question {i}", "completion": f'réponse {i}, with "quotes"\nand lines'} for i in range(5)]


def rows_of(path: Path) -> list[object]:
    return [row for _, row in open_rows(SourceSettings(path=path.name), path.parent).rows]


def lines_of(path: Path) -> list[int]:
    return [source.line for source, _ in open_rows(SourceSettings(path=path.name), path.parent).rows]


def as_jsonl(rows: list[dict[str, str]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_csv(rows: list[dict[str, str]], delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_parquet(rows: list[dict[str, str]]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(rows).write_parquet(buffer, row_group_size=2)
    return buffer.getvalue()


FILES = {
    "a.jsonl": as_jsonl(ROWS),
    "a.ndjson": as_jsonl(ROWS),
    "a.json": json.dumps(ROWS, indent=1).encode(),
    "one_line.json": json.dumps(ROWS).encode(),
    "lines.json": as_jsonl(ROWS),
    "wrapped.json": json.dumps({"version": 1, "data": ROWS}).encode(),
    "wrapped_pretty.json": json.dumps({"version": 1, "data": ROWS}, indent=2).encode(),
    "array.jsonl": json.dumps(ROWS, indent=1).encode(),
    "a.csv": as_csv(ROWS),
    "a.tsv": as_csv(ROWS, "\t"),
    "a.parquet": as_parquet(ROWS),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("packed", [False, True])
def test_each_kind_of_file_gives_the_same_rows(tmp_path: Path, name: str, packed: bool) -> None:
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(FILES[name]) if packed else FILES[name])
    assert rows_of(path) == ROWS


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.tsv", "wrapped_pretty.json"])
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path, name: str) -> None:
    rows = [{"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": "d"}]
    content = {
        "a.jsonl": as_jsonl(rows),
        "a.json": json.dumps(rows, indent=1).encode(),
        "a.csv": b"prompt,completion\na,b\nc,d\n",
        "a.tsv": b"prompt\tcompletion\na\tb\nc\td\n",
        "wrapped_pretty.json": json.dumps({"data": rows}, indent=1).encode(),
    }[name]
    path = tmp_path / name
    path.write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
    assert rows_of(path) == rows


def test_blank_lines_are_passed_over_and_lines_still_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\n{"text": "a"}\n\n   \n{"text": "b"}\n')
    assert lines_of(path) == [2, 5]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_a_ten_megabyte_row_is_read_whole(tmp_path: Path, name: str) -> None:
    long = "word " * 2_000_000
    rows = [{"text": "short"}, {"text": long}, {"text": "end"}]
    path = tmp_path / name
    path.write_bytes({"a.jsonl": as_jsonl(rows), "a.json": json.dumps(rows).encode(), "a.csv": as_csv(rows)}[name])
    assert rows_of(path) == rows


def test_one_broken_line_among_many_is_a_fault_in_its_place(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"row {i}"}) for i in range(100)]
    lines[41] = '{"text": "cut'
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines))
    read = list(open_rows(SourceSettings(path="a.jsonl"), tmp_path).rows)
    faults = [(source, row) for source, row in read if isinstance(row, RowFault)]
    assert len(read) == 100
    assert [(str(source), "not valid JSON" in fault.message) for source, fault in faults] == [("a.jsonl:42", True)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'"text"', "the row is a string, expected an object"),
        (b"17", "the row is a number"),
        (b'{"text": "\xff"}', "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_line_that_is_no_row_is_a_fault(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "first"}\n' + line + b"\n")
    fault = rows_of(path)[1]
    assert isinstance(fault, RowFault)
    assert message in fault.message


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('[\n{"text": "a"},\n{"text": b}\n]', 3),
        ('[\n{"text": "a"}\n{"text": "b"}\n]', 3),
        ('[\n{"text": "a"},\n', 3),
        ('[\n{"text": "a"}\n] x', 3),
    ],
)
def test_a_broken_array_is_told_by_its_line(tmp_path: Path, content: str, line: int) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(DataError, match=rf"a\.json:{line}: not valid JSON"):
        rows_of(path)


def test_a_broken_array_is_told_by_its_line_far_into_the_file(tmp_path: Path) -> None:
    rows = [json.dumps({"text": "x" * 1000}) for _ in range(1000)]
    rows[900] = "{'text': 1}"
    path = tmp_path / "a.json"
    path.write_text("[\n" + ",\n".join(rows) + "\n]")
    with pytest.raises(DataError, match=r"a\.json:902: not valid JSON"):
        rows_of(path)


def test_a_json_file_with_several_lists_is_refused_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"train": ROWS, "test": ROWS}))
    with pytest.raises(DataError, match="train, test"):
        rows_of(path)


def test_a_single_object_is_a_single_row(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(row, indent=2))
    assert rows_of(path) == [row]


def test_rows_that_are_lists_get_their_positions_as_names(tmp_path: Path) -> None:
    array, lines = tmp_path / "a.json", tmp_path / "a.jsonl"
    array.write_text('[["q", ["a"], 0]]')
    lines.write_text('["q", ["a"], 0]\n["r", ["b"], 1]\n')
    assert rows_of(array) == [{"0": "q", "1": ["a"], "2": 0}]
    assert rows_of(lines) == [{"0": "q", "1": ["a"], "2": 0}, {"0": "r", "1": ["b"], "2": 1}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,a\n1,2\n", "expected different names"),
        (b"a;b\n1;2\n", "no comma but a semicolon"),
        (b'a,b\n1,"never closed\n2,3\n', r"a\.csv:1: the table is broken"),
        (b'a,b\n1,2\n3,"x" y\n', r"a\.csv:2: the table is broken"),
        (b"a,b\n1,\xff\n", "not UTF-8"),
    ],
)
def test_a_broken_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        rows_of(path)


def test_a_table_row_with_a_cell_too_many_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,category\nhello,x\nhello, you,x\n")
    fault = rows_of(path)[1]
    assert isinstance(fault, RowFault)
    assert "3 cells, expected 2" in fault.message


def test_utf16_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}', encoding="utf-16")
    with pytest.raises(DataError, match="UTF-16") as error:
        rows_of(path)
    assert "UTF-8" in error.value.hint


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.parquet.gz"])
def test_a_gzip_file_cut_short_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(as_jsonl(ROWS) * 100)[:-20])
    with pytest.raises(DataError, match="broken or cut short"):
        rows_of(path)


def test_a_file_that_only_claims_to_be_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(as_jsonl(ROWS))
    with pytest.raises(DataError, match="not a Parquet file"):
        rows_of(path)


def test_what_is_missing_empty_a_folder_or_unknown_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("{}")
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "notes.docx").write_text("x")
    for path, message, hint in [
        ("trian.jsonl", "no such file", "did you mean train.jsonl?"),
        ("empty.jsonl", "the file is empty", ""),
        ("notes.docx", r"ends in '\.docx'", "name the file"),
        (".", r"is a folder \(it holds empty\.jsonl, train\.jsonl\)", "name the file"),
        ("builtin:../secrets", "no set of that name", "there are"),
    ]:
        with pytest.raises(DataError, match=message) as error:
            open_rows(SourceSettings(path=path), tmp_path)
        assert hint in error.value.hint
