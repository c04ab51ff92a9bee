"""The order of ids is that of their UTF-8 bytes, which is what trec_eval compares."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from harness.search import ranks
from harness.search.ranks import ranks_of

IDS = ["10", "9", "Z", "z", "é", "￮", "😀", "", "a b", "doc-2", "doc-10", "文", "z"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@pytest.mark.parametrize("chunks", [1, 4])
def test_places_are_those_of_bytes(kind, chunks):
    """Chunked or not, of either string type; of equal ids the later one is greater."""
    size = -(-len(IDS) // chunks)
    ids = pa.chunked_array([pa.array(IDS[at : at + size], kind) for at in range(0, len(IDS), size)])
    order = ranks_of(ids)
    expected = sorted(range(len(IDS)), key=lambda place: (IDS[place].encode(), place))
    assert order.positions.tolist() == expected
    assert order.of[order.positions].tolist() == list(range(len(IDS)))
    assert order.of.dtype == np.uint32


def test_more_documents_than_a_place_has_bits_for(monkeypatch):
    """Are refused, not ranked by what is left of their places."""
    monkeypatch.setattr(ranks, "MOST", 3)
    with pytest.raises(ValueError, match="3 documents, at most 2"):
        ranks_of(pa.array(["a", "b", "c"]))
