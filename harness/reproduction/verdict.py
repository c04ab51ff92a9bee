"""A published row against the score here: equal, within the tolerance, apart, or not to be compared; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.published.rows import MAIN, PublishedRow
from harness.results.facts import facts_of
from harness.results.records import Failure, Result, Score

Verdict = Literal["equal", "within", "apart", "failed", "missing", "not compared"]
TOLERANCE = 0.1
"""Points. What processor, batch and the releases of numerical libraries move between two sound runs in float32 stays
below it (mteb#4009 takes .001 of a fraction, which is the same), and so do all 14 rows of all-MiniLM-L6-v2 that can be
run here; another prompt, pooling or window moves a score by tenths of a point and more."""
ON_THE_EDGE = 1e-9
"""Of two figures that are one number but for the last bits of a float."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A published row and what it is here."""

    row: PublishedRow
    verdict: Verdict
    here: float | None
    """In points; None where there is no score, or none of that metric."""
    why: str | None = None
    """Why it is not compared, failed or missing."""

    @property
    def apart(self) -> float | None:
        """The score here less the published one."""
        return None if self.here is None else self.here - self.row.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When two figures are the same."""

    digits: int
    """Decimals of points that the source prints."""
    tolerance: float = TOLERANCE
    """Points that a score may be off and still be within."""
    is_same_data: bool = False
    """Whether the user says that rows are over the data here, though MTEB's own have another number of items."""

    def judge(self, published: float, here: float) -> Verdict:
        """Return how two figures stand."""
        if self.is_equal(published, here):
            return "equal"
        return "within" if abs(here - published) <= self.tolerance + ON_THE_EDGE else "apart"

    def is_equal(self, published: float, here: float) -> bool:
        """Whether both are printed alike."""
        return f"{here:.{self.digits}f}" == f"{published:.{self.digits}f}"


def compared(row: PublishedRow, result: Result | None, rule: Rule, *, lacking: str | None = None) -> Compared:
    """Return how a row stands against the result of its task.

    Args:
        row: the published one.
        result: of its cell; None where it was not run.
        rule: when two figures are the same.
        lacking: why it was not run.
    """
    if result is None:
        return Compared(row=row, verdict="missing", here=None, why=lacking or "it was not run")
    if isinstance(result, Failure):
        return Compared(row=row, verdict="failed", here=None, why=f"{result.error}: {result.message}")
    here = value_here(row, result)
    if here is None:
        why = f"another metric: {row.metric} is none of those here (the main one is {result.metric})"
        return Compared(row=row, verdict="not compared", here=None, why=why)
    if other := _other_items(row, result, rule):
        return Compared(row=row, verdict="not compared", here=here, why=other)
    return Compared(row=row, verdict=rule.judge(row.value, here), here=here)


def value_here(row: PublishedRow, score: Score) -> float | None:
    """Return the figure of a score that a row is of, in points; None where it has none."""
    values = values_of(score, row.split, row.subset)
    if not values and all(one.part for one in score.metrics if one.name == MAIN):
        return score.score if row.metric in (MAIN, score.metric) else None  # an aggregate, whose parts have the rest
    return values.get(row.metric)


def values_of(score: Score, split: str, subset: str) -> Mapping[str, float]:
    """Return metric -> value, in points, of one split and subset."""
    return {one.name: one.value for one in score.metrics if (one.split, one.subset, one.part) == (split, subset, None)}


def _other_items(row: PublishedRow, score: Score, rule: Rule) -> str | None:
    """Return why the items are not the row's; None where nothing says so."""
    places = {(one.split, one.subset) for one in score.metrics if one.name == MAIN}
    if row.items is not None and len(places) < 2:
        return None if row.items == score.n else f"other items: {score.n:,} here, {row.items:,} published"
    if rule.is_same_data:
        return None
    facts, place = facts_of(score), f"{row.task} {row.split}/{row.subset}"
    for what, off in (("items", facts.off_count), ("documents", facts.off_documents)):
        if both := off.get(place):
            return (
                f"other {what}: {both[0]:,} here, {both[1]:,} in MTEB's own data; where the published row is over the "
                "data here, say --same-data"
            )
    return None
