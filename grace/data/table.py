"""Checked rows as a table in a temporary file, mapped into memory: millions of rows, few of them held at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, overload

from harness.errors import EnvironmentGapError

ROWS_AT_ONCE = 4096
"""Rows that are in memory while the table is written, and while all of it is gone through."""
COLUMNS = ("query", "positive", "negatives", "place")


class Row(NamedTuple):
    """One training example."""

    query: str
    """The query, or the text of unsupervised data."""
    positive: str | None
    """None in unsupervised data."""
    negatives: tuple[str, ...]
    """Hard negatives; often one, perhaps none."""
    place: str
    """For messages: `file:line`, or `dataset, row n`."""


class RowTable(Sequence[Row]):
    """Rows by index, read from a file whose name is gone already."""

    def __init__(self, table: Any) -> None:
        """Take a pyarrow table of `COLUMNS`."""
        self._table = table
        self._columns = [table.column(name) for name in COLUMNS]

    def __len__(self) -> int:
        count: int = self._table.num_rows
        return count

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        """Return a row, or the rows of a slice."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return _row(*(column[int(index)].as_py() for column in self._columns))

    def __iter__(self) -> Iterator[Row]:
        """Yield all rows in order."""
        for batch in self._table.to_batches(max_chunksize=ROWS_AT_ONCE):
            for one in batch.to_pylist():
                yield _row(*(one[name] for name in COLUMNS))


def _row(query: str, positive: str | None, negatives: list[str], place: str) -> Row:
    return Row(query, positive, tuple(negatives), place)


class RowWriter:
    """Takes rows one by one, and gives the table of them; left by an error, it leaves no file."""

    def __init__(self) -> None:
        """Begin a temporary file; raises EnvironmentGapError where none can be written."""
        import pyarrow as pa

        text = pa.large_string()
        self._schema = pa.schema(list(zip(COLUMNS, (text, text, pa.large_list(text), text), strict=True)))
        self._waiting: list[Row] = []
        self.count = 0
        """Rows so far."""
        try:
            handle, self._path = tempfile.mkstemp(prefix="grace-rows-")
            os.close(handle)
            self._writer = pa.ipc.new_file(self._path, self._schema)
        except OSError as error:
            raise _no_room(error) from error

    def append(self, row: Row) -> None:
        """Add a row."""
        self._waiting.append(row)
        self.count += 1
        if len(self._waiting) >= ROWS_AT_ONCE:
            self._write()

    def table(self) -> RowTable:
        """Return all rows."""
        import pyarrow as pa

        self._write()
        try:
            self._writer.close()
            return RowTable(pa.ipc.open_file(pa.memory_map(self._path)).read_all())
        except OSError as error:
            raise _no_room(error) from error

    def __enter__(self) -> RowWriter:
        """Write in here."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take the file's name away: what is mapped stays readable, and nothing has to be cleared up."""
        os.unlink(self._path)

    def _write(self) -> None:
        import pyarrow as pa

        columns = list(zip(*self._waiting, strict=True)) or [()] * len(COLUMNS)
        arrays = [pa.array(column, one.type) for column, one in zip(columns, self._schema, strict=True)]
        try:
            self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        except OSError as error:
            raise _no_room(error) from error
        self._waiting = []


def _no_room(error: OSError) -> EnvironmentGapError:
    what = f"{tempfile.gettempdir()}: the rows of the training data cannot be laid out there: {error}"
    return EnvironmentGapError([f"{what}; name another folder in TMPDIR"])
