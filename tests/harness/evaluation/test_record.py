"""What is stored of an outcome: a score only where its interval can be its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.backends.interface import NotRecomputedError, Outcome
from harness.evaluation.record import score_of
from harness.statistics.resampling import Interval

TASK = SimpleNamespace(axis="embedding", type="STS", name="own", limit=None)
CELL: Any = SimpleNamespace(key="k", model="m", task=TASK)


def outcome(score: float, low: float, high: float) -> Outcome:
    """Return what a backend says of a cell, with an interval."""
    return Outcome(
        metric="f1",
        score=score,
        interval=Interval(stderr=1.0, low=low, high=high),
        n=9,
        metrics=(),
        items=None,
        items_missing=None,
        unit="pair",
    )


@pytest.mark.parametrize(
    ("score", "low", "high"),
    [(66.67, 0.21, 0.94), (0.6667, 60.0, 73.0), (50.0, float("nan"), float("nan")), (4.0, 31.79, 40.42)],
)
def test_an_interval_in_another_unit_than_the_score_is_refused(score, low, high):
    """A fraction beside points, points beside a fraction, no number, and the interval of another metric."""
    with pytest.raises(NotRecomputedError, match="another unit or of another metric"):
        score_of(CELL, outcome(score, low, high), {})


@pytest.mark.parametrize(("score", "low", "high"), [(66.67, 21.0, 94.0), (100.0, 100.0, 100.0), (30.0, 30.5, 40.0)])
def test_an_interval_that_can_be_the_score_s_is_kept(score, low, high):
    """Also one without width, and one of a few items that just leaves the score out."""
    stored = score_of(CELL, outcome(score, low, high), {})
    assert (stored.score, stored.ci_low, stored.ci_high) == (score, low, high)
