"""Two records of one cell: the same, last digits apart, or a contradiction."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from cells_support import make_score

from harness.results.records import ItemsFile, Metric
from harness.results.same_cell import contradiction, is_same

ITEMS = ItemsFile(name="k.parquet", sha256="a" * 64, rows=10, unit="pair")
METRICS = tuple(Metric(name="cosine_spearman", value=50.0, split="test", subset=one) for one in ("de", "en", "fr"))
SCORE = make_score(items=ITEMS, metrics=METRICS)


def test_a_score_is_the_same_as_itself() -> None:
    """NaN too."""
    assert is_same(SCORE, SCORE)
    assert contradiction(SCORE, SCORE) is None
    unknown = replace(SCORE, score=math.nan)
    assert is_same(unknown, replace(SCORE, score=math.nan))
    assert contradiction(unknown, replace(SCORE, score=math.nan)) is None


@pytest.mark.parametrize("apart", [1e-12, 9e-7, -9e-7])
def test_last_digits_are_no_contradiction(apart: float) -> None:
    """And yet not the same."""
    other = replace(SCORE, score=50.0 + apart)
    assert not is_same(SCORE, other)
    assert contradiction(SCORE, other) is None


def test_other_items_with_one_score_are_not_the_same() -> None:
    """Nor a contradiction: the file may be another's by the version that wrote it."""
    other = replace(SCORE, items=replace(ITEMS, sha256="b" * 64))
    assert not is_same(SCORE, other)
    assert contradiction(SCORE, other) is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"score": 50.0 + 2e-6}, "2e-06 apart, more than 1e-06"),
        ({"score": math.nan}, "inf apart"),
        ({"n": 9}, "n: 10 and 9"),
        ({"unit": "raw"}, "unit: points and raw"),
        ({"metric": "cosine_pearson"}, "metric: cosine_spearman and cosine_pearson"),
        ({"limit": 10}, "limit: None and 10"),
        ({"metrics": METRICS[:1]}, "cosine_spearman of test/en, and 1 number(s) more"),
        ({"items": replace(ITEMS, rows=9)}, "rows of per-item results: 10 and 9"),
        ({"items": None}, "rows of per-item results: 10 and 0"),
    ],
)
def test_what_cannot_both_be_right_is_named(changes: dict[str, Any], named: str) -> None:
    """In either order; a score over fewer splits is none of the same cell, however near it is."""
    other = replace(SCORE, **changes)
    assert named in str(contradiction(SCORE, other))
    assert contradiction(other, SCORE) is not None
