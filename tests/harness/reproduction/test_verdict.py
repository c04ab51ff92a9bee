"""A published row against a score: digits, tolerance, and what cannot be compared."""

from __future__ import annotations

from typing import Any

import pytest

from harness.published.rows import PublishedRow
from harness.reproduction.verdict import Rule, compared
from harness.results.records import Failure, Metric, Score

COMMON: dict[str, Any] = {"key": "k", "model": "m", "axis": "embedding", "type": "STS", "task": "STS12"}


def score(**changes: Any) -> Score:
    """Return a score of STS12 with two metrics."""
    metrics = tuple(
        Metric(name=name, value=value, split="test", subset="default")
        for name, value in (("main_score", 72.374), ("cosine_spearman", 72.374), ("cosine_pearson", 80.0))
    )
    rest = {"metric": "cosine_spearman", "score": 72.374, "stderr": None, "ci_low": None, "ci_high": None, "n": 3108}
    return Score(**{**COMMON, **rest, "limit": None, "metrics": metrics, **changes})


def row(value: float, **changes: Any) -> PublishedRow:
    """Return a published row of STS12."""
    rest: dict[str, Any] = {"task": "STS12", "split": "test", "subset": "default", "metric": "main_score"}
    return PublishedRow(**{**rest, "value": value, **changes})


@pytest.mark.parametrize(
    ("value", "digits", "verdict"),
    [
        (72.37, 2, "equal"), (72.374, 2, "equal"), (72.4, 1, "equal"), (72.38, 2, "within"), (72.474, 2, "within"),
        (72.274, 2, "within"), (72.48, 2, "apart"), (72.27, 2, "apart"), (0.7237, 2, "apart"),
    ],
)  # fmt: skip
def test_equal_is_to_the_printed_digits_and_within_has_both_ends(value, digits, verdict):
    """The tolerance of 0.1 points itself is within."""
    assert compared(row(value), score(), Rule(digits=digits)).verdict == verdict


def test_a_row_is_held_against_its_own_metric():
    """Pearson against Pearson; a metric that is not here is not compared, and so not scored."""
    assert compared(row(80.0, metric="cosine_pearson"), score(), Rule(digits=2)).verdict == "equal"
    found = compared(row(72.37, metric="ndcg_at_10"), score(), Rule(digits=2))
    assert (found.verdict, found.here, found.apart) == ("not compared", None, None)
    assert found.why == "another metric: ndcg_at_10 is none of those here (the main one is cosine_spearman)"


def test_another_split_is_not_the_same_row():
    """A cell without the row's split has no figure for it."""
    assert compared(row(72.37, split="train"), score(), Rule(digits=2)).verdict == "not compared"


def test_other_items_are_not_compared_unless_the_user_vouches():
    """Fewer items here than the benchmark has: another figure, whatever the two numbers are."""
    fewer = score(n=40, provenance={"off_count": {"STS12 test/default": [40, 3108]}})
    found = compared(row(72.37), fewer, Rule(digits=2))
    assert (found.verdict, found.here) == ("not compared", 72.374)
    assert found.why is not None
    assert found.why.startswith("other items: 40 here, 3,108 in MTEB's own data")
    assert compared(row(72.37), fewer, Rule(digits=2, is_same_data=True)).verdict == "equal"
    assert compared(row(72.37, items=40), fewer, Rule(digits=2)).verdict == "equal"
    assert compared(row(72.37, items=41), score(), Rule(digits=2)).why == "other items: 3,108 here, 41 published"


def test_a_failed_cell_and_a_missing_one_are_no_scores():
    """Each says why."""
    failure = Failure(**COMMON, error="ValueError", message="bad", traceback="")
    assert compared(row(1.0), failure, Rule(digits=2)).why == "ValueError: bad"
    found = compared(row(1.0), None, Rule(digits=2), lacking="dataset x: not here")
    assert (found.verdict, found.why) == ("missing", "dataset x: not here")
