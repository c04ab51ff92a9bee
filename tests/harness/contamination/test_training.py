"""Training files: what is read of them, and what is said of those that cannot be."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from harness.contamination.training import check_files, training_texts
from harness.errors import InputError

ROWS = [{"query": "q one", "positive": "p one", "negatives": ["n1", "n2"], "n": 3}, {"query": "q two", "none": None}]
TEXTS = ["q one", "p one", "n1", "n2", "q two"]


def test_every_column_with_texts_is_read(tmp_path: Path) -> None:
    """JSON lines, gzipped or not, parquet, CSV, and text with one a line."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / "a.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    for name in ("a.jsonl", "a.jsonl.gz"):
        assert list(training_texts(tmp_path / name)) == TEXTS
    assert list(training_texts(tmp_path / "a.jsonl", ["query"])) == ["q one", "q two"]
    pq.write_table(pa.table({"text": ["x", "y"], "number": [1, 2], "list": [["a"], []]}), tmp_path / "a.parquet")
    assert list(training_texts(tmp_path / "a.parquet")) == ["x", "a", "y"]
    (tmp_path / "a.csv").write_text("one,two\nx,y\n", encoding="utf-8")
    assert list(training_texts(tmp_path / "a.csv")) == ["x", "y"]
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"first\nsecond\n"))
    assert list(training_texts(tmp_path / "a.txt.gz")) == ["first", "second"]


def test_files_that_cannot_be_read_are_said_at_once(tmp_path: Path) -> None:
    """What is not there, and what has no known ending."""
    (tmp_path / "a.docx").write_text("x", encoding="utf-8")
    with pytest.raises(InputError) as refused:
        check_files([tmp_path / "a.docx", tmp_path / "none.jsonl"])
    assert len(refused.value.problems) == 2
    assert "ends in none of" in str(refused.value)


def test_bad_rows_and_missing_columns_have_their_place(tmp_path: Path) -> None:
    """Nothing is passed over in silence."""
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\nnot json\n{"txt": "y"}\n', encoding="utf-8")
    with pytest.raises(InputError) as refused:
        list(training_texts(tmp_path / "a.jsonl", ["text"]))
    said = str(refused.value)
    assert "a.jsonl:2" in said
    assert "a.jsonl:3: no column 'text'; it has: txt; did you mean 'txt'?" in said
