r"""Rows of files: JSON lines, CSV and parquet, read one by one; what is wrong with a row is said with its place.

A line ends at `\n` or `\r\n` alone: a text may hold U+2028, U+0085 and whatever else `str.splitlines` breaks at. The
readers append to a list of problems and go on, so that all of them can be said at once. What a file does not say
plainly is a problem and never a guess: two columns of one name, a quotation mark that swallows lines, half a character.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from harness.wording import display_path, listing, short

LONGEST_FIELD = 2**31 - 1
"""Characters that a field of CSV may have; the csv module's own limit is 131,072."""
LONGEST_INTEGER = 308
"""Digits of a whole number: beyond it is no float64 either."""
LARGEST_WHOLE = 1 << 28
"""Bytes of a file that is read once more, to see whether it is one JSON value over many lines."""
ONE_VALUE = "the file is one JSON"
"""What is said of a file that is one JSON value over many lines begins so."""
MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
"""What files in another encoding than UTF-8 begin with."""


class FileRow(NamedTuple):
    """A row and where it stands."""

    place: str
    """For messages: `file:line`, or `file, row n`."""
    values: dict[str, Any]
    """Column -> value."""
    number: int
    """1-based line at which it begins, or row where the file has no lines."""
    lines: int = 1
    """How many lines it takes; more than one only where a field of CSV holds line ends."""


class RefusedJsonError(ValueError):
    """JSON that Python's reader takes and that says two things at once, or nothing that can be computed with."""


def lines(path: Path, problems: list[str]) -> Iterator[tuple[int, str]]:
    r"""Yield the lines of a UTF-8 file (`.gz`: a gzipped one), numbered from 1, without their `\n` or `\r\n`.

    Args:
        path: the file; a byte order mark at its beginning is left out.
        problems: gets an entry for each line that is not UTF-8, which is yielded as an empty one, and where a gzipped
            file breaks off.

    Raises:
        OSError: the file cannot be read, or is no gzip file.
    """
    shown = display_path(path)
    is_told = False
    opener: Callable[..., Any] = gzip.open if path.suffix.lower() == ".gz" else open
    with opener(path, "rb") as file, _noting_the_end(shown, problems):
        for number, raw in enumerate(file, 1):
            if number == 1 and raw[:2] in MARKS:
                problems.append(f"{shown}:1: the file is {MARKS[raw[:2]]}, not UTF-8; {_as_utf8(MARKS[raw[:2]], path)}")
                return
            line = raw.removesuffix(b"\n").removesuffix(b"\r")
            encoding = "utf-8-sig" if number == 1 else "utf-8"
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError as error:
                hint = "" if is_told else f"; of a Windows file: {_as_utf8('WINDOWS-1252', path)}"
                where = f"{shown}:{number}: not UTF-8 at byte {error.start + 1} of the line"
                problems.append(f"{where}: {error.reason}{hint}")
                is_told = True
                text = ""
            yield number, text


def _as_utf8(encoding: str, path: Path) -> str:
    return f"iconv -f {encoding} -t UTF-8 {path.name} > new-{path.name}"


@contextmanager
def _noting_the_end(shown: str, problems: list[str]) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error) as error:  # of gzip alone
        problems.append(f"{shown}: cut short: {error}")


def json_rows(path: Path, problems: list[str]) -> Iterator[FileRow]:
    """Yield the objects of a file of JSON lines; blank lines hold none.

    Args:
        path: the file, read as `lines` does.
        problems: gets an entry for each line that is no object or that `json_value` refuses, with `file:line:column`
            where JSON breaks off; one alone for a file that is one JSON value over many lines.
    """
    shown = display_path(path)
    is_first = True
    for number, line in lines(path, problems):
        if not line.strip():
            continue
        place = f"{shown}:{number}"
        try:
            value = json_value(line)
        except json.JSONDecodeError as error:
            if is_first and (whole := _one_value(path)):
                problems.append(f"{place}: {whole}")
                return
            problems.append(f"{place}:{error.colno}: not JSON: {error.msg}; each line is an object by itself")
        except RefusedJsonError as error:
            problems.append(f"{place}: {error}")
        else:
            if isinstance(value, dict):
                yield FileRow(place, value, number)
            else:
                problems.append(f"{place}: expected an object with columns, got {type(value).__name__} {short(value)}")
        is_first = False


def json_value(text: str) -> Any:
    """Return the value that JSON `text` says.

    Raises:
        json.JSONDecodeError: it is no JSON.
        RefusedJsonError: it has a key twice, NaN or Infinity, a number beyond float64, half a surrogate pair, or is
            nested more deeply than can be read.
    """
    try:
        value = _DECODER.decode(text)
        if "\\ud" in text or "\\uD" in text:  # UTF-8 itself has no halves: they come of escapes alone
            _refuse_halves(value)
    except RecursionError:
        raise RefusedJsonError("not JSON that can be read: nested too deeply") from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        raise RefusedJsonError(f"key {twice[0]!r} is given twice; keep one of them")
    return found


def _integer(written: str) -> int:
    if len(written) > LONGEST_INTEGER:
        raise RefusedJsonError(f"a number of {len(written)} digits, {written[:20]}..., is too large; text is quoted")
    return int(written)


def _float(written: str) -> float:
    number = float(written)
    if math.isinf(number):
        raise RefusedJsonError(f"the number {written[:40]} is too large")
    return number


def _constant(written: str) -> NoReturn:
    raise RefusedJsonError(f"{written} is no number of JSON; leave the row out, or write a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)


def _refuse_halves(value: Any) -> None:
    for name, one in value.items() if isinstance(value, dict) else [(None, value)]:
        written = json.dumps([name, one], ensure_ascii=False)
        try:
            written.encode("utf-8")
        except UnicodeEncodeError as error:
            half = f"\\u{ord(written[error.start]):04x}"
            where = "" if name is None else f"{name!a}: "
            what = f"{where}half a character ({half} without its other half), as of a text cut in its middle"
            raise RefusedJsonError(f"{what}; take it out, or put the whole character in") from None


def _one_value(path: Path) -> str | None:
    """Return what is wrong with a file that is one JSON value over many lines; None where it is not."""
    if path.suffix.lower() == ".gz" or path.stat().st_size > LARGEST_WHOLE:
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    command = "jq -c '.[]'" if isinstance(value, list) else "jq -c ."
    what = "list" if isinstance(value, list) else "object"
    return f"{ONE_VALUE} {what} over many lines; write an object a line: {command} {path.name} > lines.jsonl"


def csv_rows(path: Path, problems: list[str]) -> Iterator[FileRow]:
    """Yield the rows of a CSV file, whose first line names the columns; empty lines hold none.

    A field that begins with a quotation mark ends at the next single one, and only a comma or the line's end may
    follow; elsewhere a mark is a character like any other.

    Args:
        path: the file, read as `lines` does.
        problems: gets an entry for each row with more or fewer fields than there are columns, and for what ends the
            reading: a column named twice, a quoted field that does not close, a lone carriage return.
    """
    csv.field_size_limit(LONGEST_FIELD)  # of the whole process: the csv module has no other way
    shown = display_path(path)
    source = _RowLines(path, problems)
    reader = csv.reader(source, strict=True)
    head: list[str] | None = None
    while True:
        source.begin()
        try:
            fields = next(reader, None)
        except csv.Error as error:
            problems.append(_not_csv(shown, source, str(error)))
            return
        if fields is None:
            return
        if not fields:
            continue
        if head is None:
            head = fields
            if twice := [name for name, count in Counter(head).items() if count > 1]:
                said = f"the column {twice[0]!r} is there twice: {listing(head)}"
                problems.append(f"{shown}:{source.first}: {said}; rename one, or take it out")
                return
        elif len(fields) != len(head):
            there = f"{len(fields)} field{'' if len(fields) == 1 else 's'}, and there are {len(head)} columns"
            problems.append(f"{shown}:{source.first}: {there}; a field with a comma is put in quotation marks")
        else:
            yield FileRow(
                f"{shown}:{source.first}", dict(zip(head, fields, strict=True)), source.first, len(source.of_row)
            )


class _RowLines:
    """The lines of a file for csv.reader, which remembers those of the row that is being read."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self._lines = lines(path, problems)
        self._problems = problems
        self._shown = display_path(path)
        self.of_row: list[str] = []
        self.first = 0

    def begin(self) -> None:
        self.of_row = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        number, line = next(self._lines)
        if "\0" in line:
            self._problems.append(f"{self._shown}:{number}: a NUL character; this is no text file, or a damaged one")
        if not self.of_row:
            self.first = number
        self.of_row.append(f"{line}\n")
        return self.of_row[-1]


def _not_csv(shown: str, source: _RowLines, error: str) -> str:
    last = source.first + len(source.of_row) - 1
    begins = source.first + _quote_at("".join(source.of_row))
    rule = 'a mark inside a quoted field is written twice (""), and a field that begins with one is quoted'
    if "end of data" in error:
        return f"{shown}:{begins}: a quoted field begins here and is never closed; {rule}"
    if "expected after" in error:
        after = f"on line {last} something else than a comma follows its closing mark"
        return f"{shown}:{begins}: a quoted field begins here, and {after}; {rule}"
    if "new-line character" in error:
        return f"{shown}:{last}: a carriage return alone in a line; save the file with line feeds, or quote the field"
    return f"{shown}:{last}: not CSV: {error}"


def _quote_at(text: str) -> int:
    """Return on which line of a row (from 0) the quoted field begins that was opened last."""
    begins, is_inside, place = 0, False, 0
    while place < len(text):
        if text[place] == '"':
            if is_inside and text[place + 1 : place + 2] == '"':
                place += 1
            elif is_inside:
                is_inside = False
            elif place == 0 or text[place - 1] == ",":
                is_inside, begins = True, place
        place += 1
    return text.count("\n", 0, begins)


def parquet_rows(path: Path, problems: list[str], *, only: str | None = None) -> Iterator[FileRow]:
    """Yield the rows of a parquet file.

    Args:
        path: the file.
        problems: gets an entry where it is no parquet file, breaks off, has a column twice or a text that is not UTF-8.
        only: read this column alone, where there is one of that name; None: all.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    shown = display_path(path)
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                said = f"the column {twice[0]!r} is there twice: {listing(names)}"
                problems.append(f"{shown}: {said}; rename one, or take it out")
                return
            columns = [only] if only in names else None
            for batch in file.iter_batches(columns=columns, use_threads=False):
                for values in batch.to_pylist():
                    number += 1
                    yield FileRow(f"{shown}, row {number}", values, number)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        after = f" after row {number}" if number else ""
        problems.append(f"{shown}: not parquet{after}: {str(error).splitlines()[0]}")
