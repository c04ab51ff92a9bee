"""Where lists are cut: without holes, alike everywhere, by work as well as by number."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.shards.cut import LEAST_FILL, MAX_WEIGHT, cut_evenly, cut_texts, question_count, shard_count, weight_of


def draws_of(texts: Sequence[str]) -> list[int]:
    """Return the first 8 bytes of each text's digest."""
    return [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") for text in texts]


def covers(found: Sequence[tuple[int, int]], n: int) -> bool:
    """Whether shards follow each other from the first text to the last, none empty."""
    whole = [start for start, _ in found] == [0, *(stop for _, stop in found)][: len(found)]
    return whole and (found[-1][1] if found else 0) == n and all(start < stop for start, stop in found)


@given(st.lists(st.floats(0, 3 * MAX_WEIGHT), max_size=200), st.integers(1, 50), st.integers(0, 99))
def test_shards_cover_a_list_without_holes(weights: list[float], most: int, seed: int) -> None:
    """In order, none empty, none longer or of more work than allowed, but where one text alone is."""
    found = cut_texts(weights, draws_of([f"{seed} {n}" for n in range(len(weights))]), max_texts=most)
    assert covers(found, len(weights))
    for start, stop in found:
        assert stop - start <= most
        assert stop - start == 1 or sum(weights[start:stop]) <= MAX_WEIGHT * (1 + 1e-6)
    fill = [max(one / MAX_WEIGHT, 1 / most) for one in weights]
    for start, stop in found[:-1]:  # half full, or the next text does not go in
        assert sum(fill[start:stop]) >= LEAST_FILL - 1e-6 or sum(fill[start : stop + 1]) > 1


def test_a_list_that_is_no_longer_than_a_shard_is_one() -> None:
    """However its texts draw."""
    assert cut_texts([0.0] * 100, [0] * 100, max_texts=100) == [(0, 100)]
    assert cut_texts([], [], max_texts=100) == []
    assert cut_texts([0.0] * 101, [0] * 101, max_texts=100) == [(0, 50), (50, 100), (100, 101)]
    assert cut_texts([0.0] * 101, [2**64 - 1] * 101, max_texts=100) == [(0, 100), (100, 101)]


def test_lists_that_differ_by_some_texts_share_their_shards() -> None:
    """As the corpora of FEVER and ClimateFEVER do: 25 more among 60,000, at three places."""
    one = [f"document {n}" for n in range(60_000)]
    other = one[:10_000] + ["new one"] + one[10_000:31_000] + [f"new {n}" for n in range(23)] + one[31_000:] + ["last"]
    shards = []
    for texts in (one, other):
        found = cut_texts([100.0] * len(texts), draws_of(texts), max_texts=1_000)
        shards.append({tuple(texts[start:stop]) for start, stop in found})
    assert len(shards[0] & shards[1]) > 0.9 * len(shards[0])


def test_much_work_is_cut_though_the_texts_are_few() -> None:
    """A model that writes 512 tokens about each of 10,000 texts has more to do than one that reads them."""
    reads, writes = weight_of(400, 0), weight_of(400, 512)
    assert (reads, writes) == (100.0, 100.0 + 20 * 512)
    draws = draws_of([f"text {n}" for n in range(10_000)])
    assert shard_count(10_000, 10_000 * reads) == len(cut_texts(np.full(10_000, reads), draws, max_texts=32_768)) == 1
    cut = cut_texts(np.full(10_000, writes), draws, max_texts=32_768)
    assert shard_count(10_000, 10_000 * writes) == pytest.approx(len(cut), rel=0.15)


@pytest.mark.parametrize(("texts", "most"), [(200_000, 1_000), (200_000, 8_000), (33_000, 32_768)])
def test_the_number_of_shards_is_about_right(texts: int, most: int) -> None:
    """What a plan says of a corpus that it has not read."""
    draws = np.random.default_rng(0).integers(0, 2**64, texts, dtype=np.uint64)
    found = len(cut_texts(np.full(texts, 60.0), draws, max_texts=most))
    assert shard_count(texts, 60.0 * texts, max_texts=most) == pytest.approx(found, rel=0.1)


@pytest.mark.parametrize(("texts", "count"), [(0, 0), (1, 1), (32_768, 1), (32_769, 2), (8_841_823, 435)])
def test_the_number_of_shards_of_short_texts(texts: int, count: int) -> None:
    """MS MARCO's passages included."""
    assert shard_count(texts, 60.0 * texts) == count


@pytest.mark.parametrize(("questions", "most"), [(0, 5), (1, 5), (5, 5), (6, 5), (1319, 256)])
def test_questions_are_cut_evenly(questions: int, most: int) -> None:
    """As many shards as are needed, none one question longer than another by more than one."""
    found = cut_evenly(questions, most=most)
    assert covers(found, questions)
    assert len(found) == question_count(questions, max_questions=most) == -(-questions // most)
    lengths = [stop - start for start, stop in found]
    assert max(lengths, default=0) <= most
    assert all(abs(a - b) <= 1 for a, b in pairwise(lengths))
