"""Where lists are cut: without holes, alike everywhere, by work as well as by number."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.shards.cut import MAX_WEIGHT, cut, shard_count, weight_of


@given(st.lists(st.floats(0, 3 * MAX_WEIGHT), max_size=200), st.integers(1, 50))
def test_shards_cover_a_list_without_holes(weights: list[float], most: int) -> None:
    """In order, none empty, none longer than allowed, and never fewer than counted."""
    found = cut(weights, max_texts=most)
    assert [start for start, _ in found] == [0, *(stop for _, stop in found)][: len(found)]
    assert all(start == before for (_, before), (start, _) in pairwise(found))
    assert (found[-1][1] if found else 0) == len(weights)
    assert all(0 < stop - start <= most for start, stop in found)
    if weights:
        assert len(found) >= -(-len(weights) // most)


def test_texts_alike_are_cut_evenly() -> None:
    """A hundred texts by thirty: four shards of 25, not three of 30 and a rest."""
    assert cut([1.0] * 100, max_texts=30) == [(0, 25), (25, 50), (50, 75), (75, 100)]
    assert cut([0.0] * 100, max_texts=30) == [(0, 25), (25, 50), (50, 75), (75, 100)]


def test_long_texts_make_shards_of_fewer() -> None:
    """The first half of the list is nine times as long as the second: cut by number alone a shard had 1.8 the mean."""
    weights = [9.0] * 500 + [1.0] * 500
    found = cut(weights, max_texts=250)
    work = [sum(weights[start:stop]) for start, stop in found]
    assert max(work) < 2 * sum(weights) / len(found)


def test_much_work_is_cut_though_the_texts_are_few() -> None:
    """A model that writes 512 tokens about each of 10,000 texts has more to do than one that reads them."""
    reads, writes = weight_of(400, 0), weight_of(400, 512)
    assert (reads, writes) == (100.0, 100.0 + 20 * 512)
    assert shard_count(10_000, 10_000 * reads) == 1
    assert shard_count(10_000, 10_000 * writes) == len(cut(np.full(10_000, writes))) == 13


@pytest.mark.parametrize(("texts", "count"), [(0, 0), (1, 1), (32_768, 1), (32_769, 2), (8_841_823, 270)])
def test_the_number_of_shards_of_short_texts(texts: int, count: int) -> None:
    """MS MARCO's passages included."""
    assert shard_count(texts, 60.0 * texts) == count
