"""How a number, an interval, a p-value is written; every rounding rule."""

from __future__ import annotations

from statistics import stdev

from harness.results.records import Score, SeededScore, Unit
from harness.statistics.difference import Difference

DIGITS: dict[Unit, int] = {"points": 2, "nats": 4, "raw": 4}
"""Decimals: a hundredth of a point, a ten-thousandth of a nat."""
SHARE_DIGITS = 1
"""Of percentages."""
UNIT_NAMES: dict[Unit, str] = {"points": "", "nats": "nats per token, lower is better", "raw": "own unit"}
SAME_RECORD = "same record"
"""What stands in place of an interval where two models share one stored cell."""


def figure(value: float | None, unit: Unit) -> str:
    """Return a score with its unit's decimals, or `-`."""
    return "-" if value is None else f"{value:.{DIGITS[unit]}f}"


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.{SHARE_DIGITS}f}%"


POINT_DIGITS = 2
"""Scores and differences are shown in points with two decimals."""
NOT_THERE = "-"
"""A missing cell; never 0."""


def points(value: float | None) -> str:
    """Return a score with `POINT_DIGITS` decimals, or `-`."""
    return NOT_THERE if value is None else f"{value:.{POINT_DIGITS}f}"


def signed(value: float | None) -> str:
    """Return a difference with its sign, or `-`."""
    return NOT_THERE if value is None else f"{value:+.{POINT_DIGITS}f}"


def interval_text(difference: Difference | None, *, flip: bool = False, unit: Unit = "points") -> str:
    """Return `+1.23 [0.45, 2.01]`, the sign turned round where `flip` is set."""
    if difference is None:
        return NOT_THERE
    if difference.is_same_record:
        return SAME_RECORD
    low, high, value = difference.low, difference.high, difference.value
    if flip:
        value = -value
        low, high = (None, None) if low is None or high is None else (-high, -low)
    text = points(value) if flip else f"{'+' if value >= 0 else ''}{figure(value, unit)}"
    if low is None or high is None:
        return text
    return f"{text} [{figure(low, unit)}, {figure(high, unit)}]"


def seeds_note(score: Score) -> str:
    """Return ` (mean of 3 seeds, sd 0.40)`; empty for a score of one run."""
    if not isinstance(score, SeededScore):
        return ""
    spread = figure(stdev(one.score for one in score.parts), score.unit)
    return f" (mean of {len(score.parts)} seeds, sd {spread})"


SMALL_P = 0.0001


def probability(value: float | None) -> str:
    """Return a p- or q-value with four decimals, `< 0.0001`, or `-`."""
    if value is None:
        return "-"
    return f"< {SMALL_P}" if value < SMALL_P else f"{value:.4f}"
