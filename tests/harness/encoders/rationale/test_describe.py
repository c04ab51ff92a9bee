"""What rationales look like: figures by hand, against numpy on all of them, and in bounded memory."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.encoders.rationale import describe
from harness.encoders.rationale.describe import Tally

WORDS = ("a", "B", "b", "<think>", "same", "thing", "")
Row = tuple[str, str, int, bool]
rows_of = st.lists(
    st.tuples(
        st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join),
        st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join),
        st.integers(0, 9),
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
)


def tallied(rows: list[Row], *, opens_thinking: bool = False) -> dict:
    """Return what is said of rows of text, rationale, tokens and cut."""
    tally = Tally(opens_thinking=opens_thinking)
    for text, rationale, tokens, cut in rows:
        tally.add(text, rationale, tokens=tokens, cut=cut)
    return tally.described()


def invented(n: int, words: int = 45, seed: int = 0) -> list[Row]:
    """Return n rationales of so many words out of a thousand, and the first a hundred times more."""
    rng = np.random.default_rng(seed)
    rows = [(f"text {at}", " ".join(f"w{one}" for one in rng.zipf(1.3, words) % 1000), words, False) for at in range(n)]
    return rows + [(f"more {at}", rows[0][1], words, True) for at in range(100)]


def test_details_measure_collapse_and_copying() -> None:
    """Shares by hand: one empty, one without <think>, one cut, two alike, words of the text counted."""
    texts = ["a b", "c d", "e f", "g h"]
    written = ["<think> a b", "same thing", "same thing", ""]
    found = tallied(list(zip(texts, written, [3, 2, 2, 0], [False, True, False, False], strict=True)))
    assert found["rationales"] == 4
    assert found["tokens_generated"] == 7
    assert found["empty"] == 0.25
    assert found["truncated"] == 0.25
    assert found["without_think"] == 0.75
    assert found["duplicates"] == 0.25
    assert found["overlap_with_text"] == pytest.approx((2 / 3 + 0 + 0 + 0) / 4)
    assert found["distinct_2"] == pytest.approx(3 / 4)
    assert tallied([("a", "b", 1, False)], opens_thinking=True)["without_think"] == 0
    assert tallied([]) == {"rationales": 0}


@settings(max_examples=100, deadline=None)
@given(rows_of)
def test_figures_are_those_of_all_rationales_together(rows: list[Row]) -> None:
    """Quantiles are numpy's over all lengths, pairs those of a set, duplicates those of a count."""
    found = tallied(rows)
    lengths = [tokens for _, _, tokens, _ in rows]
    assert found["tokens_quantiles"] == {str(q): float(np.quantile(lengths, q)) for q in (0, 0.25, 0.5, 0.75, 1)}
    pairs = [pair for _, rationale, _, _ in rows for pair in pairwise(rationale.lower().split())]
    assert found["distinct_2"] == (len(set(pairs)) / len(pairs) if pairs else 0.0)
    repeated = Counter(rationale for _, rationale, _, _ in rows if rationale)
    assert found["duplicates"] == sum(count - 1 for count in repeated.values()) / len(rows)
    assert found["empty"] == np.mean([not rationale.strip() for _, rationale, _, _ in rows])
    assert "distinct_2_of" not in found


def test_a_sample_of_the_pairs_is_named_and_does_not_hang_on_the_order(monkeypatch) -> None:
    """With room for a tenth of the pairs: over how many rationales, the same backwards, everything else unchanged."""
    rows = invented(2000)
    whole = tallied(rows)
    monkeypatch.setattr(describe, "PAIRS_HELD", 10_000)
    found = tallied(rows)
    assert found == tallied(rows[::-1])
    assert 10_000 / 44 / 3 < found["distinct_2_of"] <= 10_000 / 44
    some = {name: value for name, value in found.items() if not name.startswith("distinct_2")}
    assert some == {name: value for name, value in whole.items() if name != "distinct_2"}


def test_duplicates_are_found_however_often_hashes_are_sorted_in(monkeypatch) -> None:
    """With room for ten waiting hashes: one rationale in a hundred and one texts is a hundred duplicates."""
    monkeypatch.setattr(describe, "WAITING", 10)
    assert tallied(invented(500))["duplicates"] == 100 / 600


def test_memory_hardly_grows_with_the_number_of_rationales(monkeypatch) -> None:
    """Ten times as many rationales of 45 words cost less than 100 bytes each, where their words took 9,000."""
    monkeypatch.setattr(describe, "PAIRS_HELD", 20_000)
    monkeypatch.setattr(describe, "WAITING", 256)
    sizes = []
    for n in (500, 5000):
        rows = invented(n)
        tracemalloc.start()
        tallied(rows)
        sizes.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (sizes[1] - sizes[0]) / 4500 < 100
