"""Rows that lie in a file are the rows that were written, however they are asked for."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from grace.data import table
from grace.data.table import Row, RowWriter
from harness.errors import EnvironmentGapError

ROWS = [
    Row("q1", "p1", ("n1", "n2"), "f:1"),
    Row("text\u2028of two lines", None, (), "f:2"),
    Row("שלום 👩", "p3", ("n",), "f:3"),
    Row("q4", "p4", (), "f:4"),
    Row("q5", "p5", ("",), "f:5"),
]


@pytest.mark.parametrize("at_once", [1, 2, 4096])
def test_rows_come_back_as_they_were(at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By index from both ends, by slice and in order; and no file is left."""
    monkeypatch.setattr(table, "ROWS_AT_ONCE", at_once)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with RowWriter() as writer:
        for row in ROWS:
            writer.append(row)
        made = writer.table()
    assert list(tmp_path.iterdir()) == []
    assert len(made) == writer.count == 5
    assert list(made) == ROWS
    assert [made[index] for index in (0, 4, -1, -5)] == [ROWS[0], ROWS[4], ROWS[4], ROWS[0]]
    assert made[1:4:2] == ROWS[1:4:2]
    assert ROWS[2] in made
    with pytest.raises(IndexError):
        made[5]


def test_no_rows_are_a_table_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what breaks off leaves no file either."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with RowWriter() as writer:
        assert list(writer.table()) == []
    writer = RowWriter()
    writer.append(ROWS[0])
    writer.__exit__(KeyError)
    assert list(tmp_path.iterdir()) == []


def test_where_no_file_can_be_made_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary folder that is not there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(EnvironmentGapError, match=r"cannot be laid out there.*TMPDIR"):
        RowWriter()
