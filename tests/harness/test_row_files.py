"""Rows of files: what ends a line, what is a row, and what is said of one that is none."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.row_files import RefusedJsonError, csv_rows, json_rows, json_value, lines, parquet_rows

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
        "a.jsonl:4: not UTF-8 at byte 8 of the line: invalid start byte; of a Windows file: "
        "iconv -f WINDOWS-1252 -t UTF-8 a.jsonl > new-a.jsonl",
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


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (r'{"text": "cut \ud83d"}', r"'text': half a character (\ud83d without its other half)"),
        (r'{"a": [{"b": "\uDE00 x"}]}', r"'a': half a character (\ude00 without its other half)"),
        (r'{"te\ud83dxt": 1}', r"'te\ud83dxt': half a character (\ud83d without its other half)"),
        ('{"a": 1, "b": 2, "a": 3}', "key 'a' is given twice"),
        ('{"a": {"b": 1, "b": 1}}', "key 'b' is given twice"),
        (f'{{"a": {"9" * 5000}}}', "a number of 5000 digits, 99999999999999999999..., is too large"),
        ('{"a": 1e400}', "the number 1e400 is too large"),
        ('{"a": [NaN]}', "NaN is no number of JSON"),
        ('{"a": -Infinity}', "-Infinity is no number of JSON"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
    ],
)
def test_json_that_cannot_be_meant_is_refused_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    """Python reads most of these, and each would break or change a score later, where no line is known."""
    file = tmp_path / "a.jsonl"
    file.write_text(f'{{"n": 1}}\n{line}\n{{"n": 2}}', encoding="utf-8")
    found, problems = read(file)
    assert [number for number, _ in found] == [1, 3]
    assert len(problems) == 1
    assert problems[0].startswith("a.jsonl:2: ")
    assert said in problems[0]


def test_a_whole_character_of_two_escapes_is_text(tmp_path: Path) -> None:
    """As other writers of JSON escape it."""
    file = tmp_path / "a.jsonl"
    file.write_text(r'{"text": "\ud83d\ude00"}', encoding="utf-8")
    assert read(file) == ([(1, {"text": "\U0001f600"})], [])


@pytest.mark.parametrize(
    ("content", "what", "command"),
    [
        ('[\n {"n": 1},\n {"n": 2}\n]\n', "list", "jq -c '.[]' a.jsonl"),
        ('\n{\n "n": 1\n}\n', "object", "jq -c . a.jsonl"),
        ('{"n": [\n1,\n2]}', "object", "jq -c . a.jsonl"),
    ],
)
def test_a_file_that_is_one_value_is_told_once(tmp_path: Path, content: str, what: str, command: str) -> None:
    """Not a problem a line, and with the command that makes lines of it."""
    file = tmp_path / "a.jsonl"
    file.write_text(content, encoding="utf-8-sig")
    found, problems = read(file)
    assert (found, len(problems)) == ([], 1)
    assert f"the file is one JSON {what} over many lines" in problems[0]
    assert command in problems[0]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
@pytest.mark.parametrize("reader", [json_rows, csv_rows])
def test_files_of_another_encoding_are_told_once(tmp_path: Path, encoding: str, reader) -> None:
    """By the mark that Windows puts in front of them."""
    file = tmp_path / "a.data"
    file.write_bytes(("" if encoding == "utf-16" else "\ufeff").encode(encoding) + "text,n\nx,1\n".encode(encoding))
    problems: list[str] = []
    assert list(reader(file, problems)) == []
    assert len(problems) == 1
    assert "a.data:1: the file is UTF-16, not UTF-8; iconv -f UTF-16 -t UTF-8 a.data" in problems[0]


def read_csv(path: Path, content: str | bytes) -> tuple[list[tuple[int, int, list[str]]], list[str]]:
    """Return (line, lines, fields) of each row of a CSV file of `content`, and the problems without the folder."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    problems: list[str] = []
    found = [(row.number, row.lines, list(row.values.values())) for row in csv_rows(path, problems)]
    return found, [one.rpartition(f"{path.parent}/")[2] for one in problems]


def test_csv_rows_know_the_line_at_which_they_begin(tmp_path: Path) -> None:
    """Empty lines count and hold none; a row with line ends in a quoted field counts its lines; \\r\\n ends a line."""
    content = '\ufeffa,b\r\n"one\r\ntwo","say ""x"""\r\n\r\n5" pipe,\r\n'
    assert read_csv(tmp_path / "a.csv", content) == ([(2, 2, ["one\ntwo", 'say "x"']), (5, 1, ['5" pipe', ""])], [])


def test_a_field_of_csv_may_be_of_any_length(tmp_path: Path) -> None:
    """Longer than the csv module has it by itself."""
    text = "word " * 60_000
    assert read_csv(tmp_path / "a.csv", f"a,b\n{text},1\n")[0] == [(2, 1, [text, "1"])]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('a,b\nx,1\n"12 inch,2\ny,3\nthe 5" one,4\n', "a.csv:3: a quoted field begins here, and on line 5 something"),
        ('a,b\nx,"1\n2","3" 4\n', "a.csv:3: a quoted field begins here, and on line 3 something"),
        ('a,b\n"x ""y""" z,1\n', "a.csv:2: a quoted field begins here, and on line 2"),
        ('a,b\nx,1\ny,"never\nz,2\n', "a.csv:3: a quoted field begins here and is never closed"),
        ("a,b,a\nx,1,2\n", "a.csv:1: the column 'a' is there twice: a, b, a"),
        ("\n\na,a\nx,1\n", "a.csv:3: the column 'a' is there twice"),
        ("a,b\rx,1\ry,2\r", "a.csv:1: a carriage return alone in a line"),
        ("a,b\nx\0y,1\n", "a.csv:2: a NUL character"),
        ("a,b\nx,1\ny,2,3\n", "a.csv:3: 3 fields, and there are 2 columns"),
        ('a,b\n"x\ny"\n', "a.csv:2: 1 field, and there are 2 columns"),
        ("a,b\nna\u00efve,1\n".encode("cp1252"), "a.csv:2: not UTF-8 at byte 3 of the line"),
    ],
)
def test_csv_that_cannot_be_meant_is_refused_with_the_line_where_it_begins(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    """A stray mark must not swallow the rows between it and the next one."""
    problems = read_csv(tmp_path / "a.csv", content)[1]
    assert len(problems) == 1
    assert problems[0].startswith(said)


def test_a_column_of_parquet_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """The last one would win."""
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table([pa.array(["x"]), pa.array(["y"])], names=["text", "text"]), file)
    problems: list[str] = []
    assert list(parquet_rows(file, problems)) == []
    assert "a.parquet: the column 'text' is there twice" in problems[0]


def test_deep_rows_with_escaped_characters_are_read_or_refused_and_nothing_else() -> None:
    """Whatever depth the interpreter ends at: decoding and looking for halves each have their own."""
    refused = 0
    for depth in range(600, 1100):
        text = '{"a": ' + "[" * depth + '"\\ud83d\\ude00"' + "]" * depth + "}"
        try:
            json_value(text)
        except RefusedJsonError:
            refused += 1
    assert 0 < refused < 500
