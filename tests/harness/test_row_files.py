"""Rows of files: what ends a line, what is a row, and what is said of one that is none."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.row_files import json_rows, lines, parquet_rows

SEPARATORS = "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg"
"""What `str.splitlines` breaks at beside line ends."""


def read(path: Path) -> tuple[list[tuple[int, dict[str, object]]], list[str]]:
    """Return the rows with their numbers, and the problems without the folder."""
    problems: list[str] = []
    found = [(row.number, row.values) for row in json_rows(path, problems)]
    return found, [one.rpartition(f"{path.parent}/")[2] for one in problems]


def test_only_a_newline_ends_a_line(tmp_path: Path) -> None:
    """Texts with U+2028, U+0085 and their like stay whole, `\\r\\n` is a newline, and a byte order mark is no text."""
    file = tmp_path / "a.txt"
    file.write_bytes(f"\ufeff{SEPARATORS}\r\nlast\rone".encode())
    problems: list[str] = []
    assert list(lines(file, problems)) == [(1, SEPARATORS), (2, "last\rone")]
    assert problems == []


@pytest.mark.parametrize("text", ["a\u2028b", "a\u0085b"])
def test_rows_keep_the_separators_in_their_texts(tmp_path: Path, text: str) -> None:
    """As JSON allows them, unescaped; blank lines hold no row and keep their number."""
    file = tmp_path / "a.jsonl"
    file.write_text(f'{{"text": "{text}"}}\n\n{{"text": "c"}}', encoding="utf-8")
    assert read(file) == ([(1, {"text": text}), (3, {"text": "c"})], [])


def test_every_bad_line_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    """With line, column and what was expected instead."""
    file = tmp_path / "a.jsonl"
    deep = "[" * 100_000
    file.write_bytes(b'{"n": 1}\n{oops\n[1]\n{"n": "\xff"}\n' + deep.encode() + b'\n{"n": 2}\n')
    found, problems = read(file)
    assert [number for number, _ in found] == [1, 6]
    assert problems[:3] == [
        "a.jsonl:2:2: not JSON: Expecting property name enclosed in double quotes; each line is an object by itself",
        "a.jsonl:3: expected an object with columns, got list [1]",
        "a.jsonl:4: not UTF-8 at byte 8 of the line: invalid start byte",
    ]
    assert problems[3].startswith("a.jsonl:5: not JSON that can be read: ")


def test_gzipped_files_are_read_as_others(tmp_path: Path) -> None:
    """And one that breaks off says so, after the rows before."""
    file = tmp_path / "a.jsonl.gz"
    content = gzip.compress(b'{"n": 1}\n' * 3)
    file.write_bytes(content)
    assert read(file) == ([(number, {"n": 1}) for number in (1, 2, 3)], [])
    file.write_bytes(content[:-4])
    assert read(file)[1][0].startswith("a.jsonl.gz: cut short: ")


def test_parquet_rows_count_from_one(tmp_path: Path) -> None:
    """One column where it is there, all where it is not, and a file that is none is named."""
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["x", "y"], "n": [1, 2]}), file)
    problems: list[str] = []
    found = list(parquet_rows(file, problems, only="text"))
    assert [(one.number, one.values) for one in found] == [(1, {"text": "x"}), (2, {"text": "y"})]
    assert found[1].place.endswith("a.parquet, row 2")
    assert next(parquet_rows(file, problems, only="txt")).values == {"text": "x", "n": 1}
    assert problems == []
    file.write_bytes(b"PAR")
    assert list(parquet_rows(file, problems)) == []
    assert "a.parquet: not parquet: " in problems[0]
