"""The texts of documents are mteb's own."""

from __future__ import annotations

import pyarrow as pa
import pytest
from datasets import Dataset
from mteb._create_dataloaders import _corpus_to_dict

from harness.backends.mteb.documents import Documents, ids_of, texts_of_rows
from harness.errors import HarnessError

TITLES = ["", "A title", " spaced ", "\u3000", "日本"]
TEXTS = ["", "a text", "  a text\n", "\u00a0x\u00a0", " "]
ROWS = [
    {"id": f"{n}", "title": title, "text": text}
    for n, (title, text) in enumerate((a, b) for a in TITLES for b in TEXTS)
]


@pytest.mark.parametrize("columns", [["id", "title", "text"], ["id", "text"]])
def test_texts_are_those_of_mteb(columns):
    """Empty and blank titles and texts, spaces of several kinds, a corpus without titles."""
    rows = [{name: row[name] for name in columns} for row in ROWS]
    assert texts_of_rows(pa.Table.from_pylist(rows)) == [_corpus_to_dict(row)["text"] for row in rows]


def test_no_title_is_an_empty_one():
    """Null, which mteb's own function cannot take the length of."""
    table = pa.table({"id": ["1"], "title": pa.array([None], pa.string()), "text": [" a text "]})
    assert texts_of_rows(table) == ["a text"]


def test_a_document_without_text_is_named():
    """It is not encoded as the word None."""
    table = pa.table({"id": ["1", "2"], "text": pa.array(["a", None], pa.string())})
    with pytest.raises(HarnessError, match="document '2' has no text"):
        texts_of_rows(table)


def test_documents_come_in_blocks_and_in_order():
    """Also those of a corpus from which some were selected."""
    corpus = Dataset.from_list(ROWS).select([7, 3, 3, 20, 1])
    asked = []
    documents = Documents(corpus, lambda texts: asked.append(texts) or texts, 1 << 24)
    documents.block = 2
    assert [start for start, _ in documents] == [0, 2, 4]
    assert asked == [[_corpus_to_dict(ROWS[place])["text"] for place in places] for places in ([7, 3], [3, 20], [1])]
    assert ids_of(corpus).to_pylist() == ["7", "3", "3", "20", "1"]


@pytest.mark.parametrize(("dimension", "block"), [(0, 32768), (384, 32768), (1024, 32768), (4096, 8192), (10**9, 1)])
def test_a_block_has_a_bound_in_bytes(dimension, block):
    """128 MiB of vectors, and a shard's number of texts at most."""
    assert Documents(Dataset.from_list(ROWS), lambda texts: texts, dimension).block == block
