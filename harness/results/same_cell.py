"""One cell in two results folders: is it the same score, the same to last digits, or a contradiction? Pure."""

from __future__ import annotations

import math

from harness.results.records import Score

TOLERANCE = 1e-6
"""In the score's own unit: as far as two machines may be apart in last digits."""


def is_same(own: Score, other: Score) -> bool:
    """Whether two records have one score, to the last digit, and one file of per-item results."""
    files = [one.items.sha256 if one.items else None for one in (own, other)]
    return _apart(own.score, other.score) == 0 and files[0] == files[1]


def contradiction(own: Score, other: Score) -> str | None:
    """Return in what two records of one key contradict each other; None where they do not.

    Other items, splits, parts or units are a contradiction however near the scores are: one of the two lacks something.
    """
    for what in ("axis", "type", "metric", "unit", "lower_is_better", "limit", "n"):
        sides = getattr(own, what), getattr(other, what)
        if sides[0] != sides[1]:
            return f"{what}: {sides[0]} and {sides[1]}"
    lacking = sorted(_numbers(own) ^ _numbers(other))
    if lacking:
        name, split, subset, part, _ = lacking[0]
        where = "/".join(one for one in (part, split, subset) if one)
        more = f", and {len(lacking) - 1} number(s) more" if lacking[1:] else ""
        return f"only one of them has {name} of {where}{more}"
    rows = [one.items.rows if one.items else 0 for one in (own, other)]
    if rows[0] != rows[1]:
        return f"rows of per-item results: {rows[0]} and {rows[1]}"
    apart = _apart(own.score, other.score)
    return f"the scores are {apart:.3g} apart, more than {TOLERANCE:g}" if apart > TOLERANCE else None


def _numbers(score: Score) -> set[tuple[str, ...]]:
    return {(one.name, one.split, one.subset, one.part or "", one.filter or "") for one in score.metrics}


def _apart(own: float, other: float) -> float:
    if own == other or (math.isnan(own) and math.isnan(other)):
        return 0.0
    apart = abs(own - other)
    return math.inf if math.isnan(apart) else apart
