"""Training data: every format gives the same rows, and what is wrong with a row is said with its line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from grace_support import jsonl, triplets
from suites_support import dataset_head, write

from grace.config.schema import Data
from grace.data.batches import batch_of
from grace.data.rows import load_data
from harness.errors import EnvironmentGapError, InputError
from harness.sources.places import Sources

GOOD = {"query": "a cat", "positive": "the cat", "negative": "a dog"}


def load(path: Path, **options: object):
    """Read a file."""
    return load_data(Data(path=str(path), **options), Sources())


def refused(path: Path, **options: object) -> str:
    """Return what is wrong with a file."""
    with pytest.raises(InputError) as caught:
        load(path, **options)
    return str(caught.value)


def test_formats_agree(tmp_path):
    """JSON lines, gzipped ones, parquet and a hub dataset hold the same rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = triplets(5)
    plain = jsonl(tmp_path / "a.jsonl", rows)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    hub = tmp_path / "hub"
    folder = hub / "datasets" / "mine" / "triplets"
    write(folder / "README.md", dataset_head({"default": {"train": "train.jsonl"}}))
    jsonl(folder / "train.jsonl", rows)
    found = [load(tmp_path / name) for name in ("a.jsonl", "a.jsonl.gz", "a.parquet")]
    found.append(load_data(Data(dataset="mine/triplets"), Sources(hub=hub, offline=True)))
    expected = [(row["query"], row["positive"], (row["negative"],)) for row in rows]
    for one in found:
        assert [row[:3] for row in one.rows] == expected
    assert [one.rows[1].place.rpartition("/")[2] for one in found] == [
        "a.jsonl:2",
        "a.jsonl.gz:2",
        "a.parquet, row 2",
        "triplets train, row 2",
    ]
    assert found[0].identity != found[1].identity


def test_columns_lists_of_negatives_and_single_texts(tmp_path):
    """Any column names; several negative columns, a list in a cell, and none at all."""
    rows = [{"q": "a", "p": "b", "n1": "c", "n2": ["d", "e"]}, {"q": "f", "p": "g", "n1": None, "n2": []}]
    file = jsonl(tmp_path / "a.jsonl", rows)
    found = load(file, columns={"query": "q", "positive": "p", "negative": ["n1", "n2"]})
    assert [row.negatives for row in found.rows] == [("c", "d", "e"), ()]
    assert [row[:3] for row in load(file, columns={"text": "q"}).rows] == [("a", None, ()), ("f", None, ())]
    assert [row.query for row in load(write(tmp_path / "a.txt", "one\r\ntwo\n")).rows] == ["one", "two"]
    assert len(load(file, columns={"text": "q"}, limit=2).rows) == 2


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"query": " "}, "a.jsonl:2: the query is empty"),
        ({"negative": ["a dog", ""]}, "a.jsonl:2: the negative is empty"),
        ({"negative": "the cat"}, "a.jsonl:2: positive and negative are the same text: 'the cat'"),
        ({"negative": ["a dog", "the cat "]}, "a.jsonl:2: positive and negative are the same text"),
        ({"positive": "a cat"}, "a.jsonl:2: query and positive are the same text"),
        ({"positive": " a cat\r"}, "a.jsonl:2: query and positive are the same text"),
        ({"negative": "a cat"}, "a.jsonl:2: query and negative are the same text: 'a cat'"),
        ({"query": 3}, "a.jsonl:2: column 'query': expected a text, got 3"),
        ({"negative": 3}, "a.jsonl:2: column 'negative': expected a text or a list of texts, got 3"),
    ],
)
def test_a_bad_row_is_named_with_its_line(tmp_path, bad, message):
    """Before any model is loaded."""
    assert message in refused(jsonl(tmp_path / "a.jsonl", [GOOD, GOOD | bad, GOOD]))


def test_files_from_windows_hold_the_same_rows(tmp_path):
    """A byte order mark, CRLF, no newline at the end, and line separators of Unicode inside a text."""
    rows = [GOOD, GOOD | {"query": "one\u2028two\x85three"}]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    plain = write(tmp_path / "a.jsonl", "\n".join(lines) + "\n")
    odd = tmp_path / "b.jsonl"
    odd.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert [row[:3] for row in load(odd).rows] == [row[:3] for row in load(plain).rows]
    text = tmp_path / "b.txt"
    text.write_bytes(b"\xef\xbb\xbf" + "one\u2028two\r\nthree".encode())
    assert [row.query for row in load(text).rows] == ["one\u2028two", "three"]
    (tmp_path / "c.jsonl").write_bytes(json.dumps(GOOD | {"query": "caf\xe9"}, ensure_ascii=False).encode("cp1252"))
    assert "c.jsonl:1: not UTF-8 at byte" in refused(tmp_path / "c.jsonl")
    (tmp_path / "D.TXT.GZ").write_bytes(gzip.compress(b"one\ntwo\n"))
    assert [row.query for row in load(tmp_path / "D.TXT.GZ").rows] == ["one", "two"]


def test_rows_of_an_edited_local_hub_are_the_edited_ones(tmp_path, monkeypatch):
    """Its README stays: the datasets library alone would serve the rows of before under the new digest."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    hub = tmp_path / "hub"
    folder = hub / "datasets" / "mine" / "triplets"
    write(folder / "README.md", dataset_head({"default": {"train": "train.jsonl"}}))
    found = []
    for query in ("a cat", "a cow"):
        jsonl(folder / "train.jsonl", [GOOD | {"query": query}] * 2)
        found.append(load_data(Data(dataset="mine/triplets"), Sources(hub=hub, offline=True)))
    assert [one.rows[0].query for one in found] == ["a cat", "a cow"]
    assert found[0].identity != found[1].identity


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    """Its digest would be that of other rows."""
    file = jsonl(tmp_path / "a.jsonl", [GOOD, GOOD])
    from grace.data import rows

    checked = rows._checked

    def slowly(raw, data, problems):
        found = checked(raw, data, problems)
        jsonl(file, [GOOD])
        return found

    monkeypatch.setattr(rows, "_checked", slowly)
    assert "a.jsonl: was changed while it was read" in refused(file)


def test_skipped_rows_are_kept_count_of(tmp_path):
    """Only rows with content that cannot be used; a wrong shape stays an error."""
    file = jsonl(tmp_path / "a.jsonl", [GOOD, GOOD | {"query": ""}, GOOD, GOOD | {"negative": "the cat"}])
    found = load(file, bad_rows="skip")
    assert len(found.rows) == 2
    assert [one.place.rpartition(":")[2] for one in found.skipped] == ["2", "4"]
    assert "bad_rows: skip leaves such rows out" in refused(file)
    assert "expected a text" in refused(jsonl(tmp_path / "b.jsonl", [GOOD, GOOD | {"query": None}]), bad_rows="skip")
    with pytest.raises(InputError, match=r"2 usable row\(s\) \(2 were skipped\), and a step takes 3"):
        load_data(Data(path=str(file), bad_rows="skip"), Sources(), at_least=3)


def test_files_that_are_something_else(tmp_path):
    """Each says what it is not."""
    assert "no column 'positive'; it has: query, positiv; did you mean 'positiv'" in refused(
        jsonl(tmp_path / "a.jsonl", [{"query": "a", "positiv": "b"}])
    )
    assert "a.jsonl:1:2: not JSON" in refused(write(tmp_path / "a.jsonl", "{oops}\n"))
    assert "expected an object" in refused(write(tmp_path / "a.jsonl", "[1]\n"))
    assert "no such file" in refused(tmp_path / "b.jsonl")
    assert "cannot be read as jsonl" in refused(write(tmp_path / "a.jsonl.gz", "plain"))
    assert "not parquet" in refused(write(tmp_path / "a.parquet", "plain"))
    assert refused(jsonl(tmp_path / "a.jsonl", [GOOD | {"query": ""}] * 30)).count("\n") == 11
    with pytest.raises(EnvironmentGapError, match="get it: hf download"):
        load_data(Data(dataset="no/such"), Sources(offline=True))


def test_batches_are_a_function_of_seed_and_step():
    """Each row once an epoch, a new order each epoch, no memory of what came before."""
    seen = [batch_of(step, rows=10, size=3, seed=1) for step in range(6)]
    assert [one.epoch for one in seen] == [0, 0, 0, 1, 1, 1]
    first, second = ([int(n) for one in seen[s : s + 3] for n in one.indices] for s in (0, 3))
    assert len(set(first)) == len(set(second)) == 9
    assert first != second
    assert batch_of(4, rows=10, size=3, seed=1).indices.tolist() == seen[4].indices.tolist()
    assert batch_of(0, rows=10, size=3, seed=2).indices.tolist() != seen[0].indices.tolist()
    assert json.dumps(first)
