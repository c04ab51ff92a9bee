r"""Rows of files: JSON lines and parquet, read one by one; what is wrong with a row is said with its place.

A line ends at `\n` or `\r\n` alone: a text may hold U+2028, U+0085 and whatever else `str.splitlines` breaks at. The
readers append to a list of problems and go on, so that all of them can be said at once.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from harness.wording import display_path, short


class FileRow(NamedTuple):
    """A row and where it stands."""

    place: str
    """For messages: `file:line`, or `file, row n`."""
    values: dict[str, Any]
    """Column -> value."""
    number: int
    """1-based line, or row where the file has no lines."""


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
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file, _noting_the_end(shown, problems):
        for number, raw in enumerate(file, 1):
            line = raw.removesuffix(b"\n").removesuffix(b"\r")
            encoding = "utf-8-sig" if number == 1 else "utf-8"
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError as error:
                problems.append(f"{shown}:{number}: not UTF-8 at byte {error.start + 1} of the line: {error.reason}")
                text = ""
            yield number, text


@contextmanager
def _noting_the_end(shown: str, problems: list[str]) -> Iterator[None]:
    try:
        yield
    except EOFError as error:  # of gzip alone
        problems.append(f"{shown}: cut short: {error}")


def json_rows(path: Path, problems: list[str]) -> Iterator[FileRow]:
    """Yield the objects of a file of JSON lines; blank lines hold none.

    Args:
        path: the file, read as `lines` does.
        problems: gets an entry for each line that is no object, with `file:line:column` where JSON breaks off.
    """
    shown = display_path(path)
    for number, line in lines(path, problems):
        if not line.strip():
            continue
        place = f"{shown}:{number}"
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            problems.append(f"{place}:{error.colno}: not JSON: {error.msg}; each line is an object by itself")
        except (ValueError, RecursionError) as error:  # a number of too many digits, lists nested too deeply
            problems.append(f"{place}: not JSON that can be read: {error}")
        else:
            if isinstance(value, dict):
                yield FileRow(place, value, number)
            else:
                problems.append(f"{place}: expected an object with columns, got {type(value).__name__} {short(value)}")


def parquet_rows(path: Path, problems: list[str], *, only: str | None = None) -> Iterator[FileRow]:
    """Yield the rows of a parquet file.

    Args:
        path: the file.
        problems: gets an entry where it is no parquet file, or breaks off.
        only: read this column alone, where there is one of that name; None: all.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    shown = display_path(path)
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            columns = [only] if only in file.schema_arrow.names else None
            for batch in file.iter_batches(columns=columns, use_threads=False):
                for values in batch.to_pylist():
                    number += 1
                    yield FileRow(f"{shown}, row {number}", values, number)
    except (pa.ArrowException, OSError) as error:
        after = f" after row {number}" if number else ""
        problems.append(f"{shown}: not parquet{after}: {str(error).splitlines()[0]}")
