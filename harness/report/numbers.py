"""How a number, an interval, a p-value is written. The rounding rules, each named below:

1. A score, a difference and the ends of an interval have the decimals of their unit (`DIGITS`), half to even as Python
   formats.
2. A share is a percentage with `SHARE_DIGITS` decimals.
3. p and q have four decimals in a report (`SMALL_P`) and three in a comparison (`SMALLEST_P`); under the bound, the
   bound itself.
4. What is not there is `NOT_THERE`, never 0; two models with one stored cell are the `SAME_RECORD`, which has no
   interval.

Nothing is rounded before it is written: sorting, means and verdicts take the numbers as they are.
"""

from __future__ import annotations

from statistics import stdev

from harness.results.prompts import distinct
from harness.results.records import PromptedScore, Score, SeededScore, Unit
from harness.statistics.difference import Difference

DIGITS: dict[Unit, int] = {"points": 2, "nats": 4, "raw": 4}
"""Decimals: a hundredth of a point, a ten-thousandth of a nat."""
SHARE_DIGITS = 1
"""Decimals of percentages."""
SMALL_P = 0.0001
"""Smaller p- and q-values are shown as `< 0.0001` in a report."""
SMALLEST_P = 0.001
"""Smaller ones are shown as `<0.001` in a comparison, whose table is for a terminal."""
NOT_THERE = "-"
"""A missing cell or number; never 0."""
SAME_RECORD = "same record"
"""What stands in place of an interval where two models share one stored cell."""
COULD_SHOW = "could show"
"""The column of `could_show`."""
COULD_SHOW_LEGEND = (
    "Could show: beside a difference whose interval holds 0, the smallest true difference, either way, whose interval "
    "would have left 0 out with a chance of 80%, with items that scatter as these (docs/compare.md)."
)
UNIT_NAMES: dict[Unit, str] = {"points": "", "nats": "nats per token, lower is better", "raw": "own unit"}
"""Of a unit beside the name of a metric."""


def figure(value: float | None, unit: Unit) -> str:
    """Return a score with its unit's decimals, or `-`."""
    return NOT_THERE if value is None else f"{value:.{DIGITS[unit]}f}"


def points(value: float | None) -> str:
    """Return a score in points, or `-`."""
    return figure(value, "points")


def signed(value: float | None) -> str:
    """Return a difference in points with its sign, or `-`."""
    return NOT_THERE if value is None else f"{value:+.{DIGITS['points']}f}"


def percent(share: float | None) -> str:
    """Return a share, 0 to 1, as `12.5%`, or `-`."""
    return NOT_THERE if share is None else f"{100 * share:.{SHARE_DIGITS}f}%"


def between(low: float | None, high: float | None, unit: Unit) -> str:
    """Return `[0.45, 2.01]`; empty where there is no interval."""
    return "" if low is None or high is None else f"[{figure(low, unit)}, {figure(high, unit)}]"


def figures(value: float, low: float | None, high: float | None, unit: Unit = "points", *, sign: bool = True) -> str:
    """Return `+1.23 [0.45, 2.01]`.

    Args:
        value: a score or a difference, in `unit`.
        low, high: its interval; where either is None, the value stands alone.
        unit: says how many decimals.
        sign: whether a value that is not negative gets a plus.
    """
    head = f"{'+' if sign and value >= 0 else ''}{figure(value, unit)}"
    return f"{head} {between(low, high, unit)}".rstrip()


def interval_text(difference: Difference | None, *, flip: bool = False, unit: Unit = "points") -> str:
    """Return a difference as `+1.23 [0.45, 2.01]`, `same record` or `-`.

    Args:
        difference: None where there is nothing to differ from.
        flip: turn it round, so that a lead is told without a sign.
        unit: of the scores.
    """
    if difference is None:
        return NOT_THERE
    if difference.is_same_record:
        return SAME_RECORD
    value, low, high = difference.value, difference.low, difference.high
    if flip:
        value = -value
        low, high = (None, None) if low is None or high is None else (-high, -low)
    return figures(value, low, high, unit, sign=not flip)


def could_show(difference: Difference | None, unit: Unit = "points") -> str:
    """Return beside an undecided difference the smallest true one that would have been shown, or `-`."""
    if difference is None or not difference.is_undecided or difference.detectable is None:
        return NOT_THERE
    return figure(difference.detectable, unit)


def seeds_note(score: Score) -> str:
    """Return ` (mean of 3 seeds, sd 0.40)`; empty for a score of one run."""
    if not isinstance(score, SeededScore):
        return ""
    spread = figure(stdev(one.score for one in score.parts), score.unit)
    return f" (mean of {len(score.parts)} seeds, sd {spread})"


def prompts_note(score: Score) -> str:
    """Return ` (68.10 to 71.20 over 4 prompts)`; empty where one prompt was scored, by however many settings."""
    if not isinstance(score, PromptedScore) or (count := distinct(score)) < 2:
        return ""
    each = [score.score, *(one.score for one in score.variants)]
    return f" ({figure(min(each), score.unit)} to {figure(max(each), score.unit)} over {count} prompts)"


def probability(value: float | None) -> str:
    """Return a p- or q-value of a report: four decimals, `< 0.0001`, or `-`."""
    if value is None:
        return NOT_THERE
    return f"< {SMALL_P}" if value < SMALL_P else f"{value:.4f}"


def chance(value: float | None) -> str:
    """Return a p- or q-value of a comparison: three decimals, `<0.001`, or `-`."""
    if value is None:
        return NOT_THERE
    return f"<{SMALLEST_P}" if value < SMALLEST_P else f"{value:.3f}"
