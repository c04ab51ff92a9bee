"""`PublishedRow`, `Published`: a published score with all that its source says of it, and what could not be read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from harness.statistics.conventions import POINTS
from harness.tasks.catalogue import catalogue

SourceKind = Literal["mteb results", "harness results", "model card"]
MAIN = "main_score"
"""How mteb calls the figure that a task is ranked by, whichever metric it is."""
MOST_DIGITS = 2
"""Decimals of points that tables and papers print; files hold more, which no other machine gives again."""
BELOW_ZERO = ("spearman", "pearson", "kendall", "mcc", "kappa", "p-MRR", MAIN)
"""In the names of metrics that go down to -1; what a `main_score` is of nobody may know."""
_ROUNDED = 1e-6
"""Beyond its range that a float may lie."""
_OLD_NAMES = {"cos_sim": "cosine", "cosine_similarity": "cosine"}
"""How metrics of mteb 1 begin -> how the same are called now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """One published score: a task on one split and subset."""

    task: str
    split: str
    subset: str
    metric: str
    """As mteb 2 calls it; `main_score` where the source does not say which that is."""
    value: float
    """In points."""
    mteb_version: str | None = None
    """That wrote it; None where the source does not say."""
    data_revision: str | None = None
    """Of the dataset; None where the source does not say."""
    items: int | None = None
    """That it is over; None where the source does not say."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the source says of how it was made: prompts, dtype, max_text_tokens, batch_tokens, similarity; often
    nothing."""

    def __str__(self) -> str:
        return f"{self.task}@{self.split}[{self.subset}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The rows of one model."""

    kind: SourceKind
    model: str
    """As the source calls it."""
    revision: str | None
    """Of the model; None where the source does not say."""
    where: str
    """The folder or file that was read."""
    rows: tuple[PublishedRow, ...]
    digits: int
    """Decimals of points that the source prints, at most `MOST_DIGITS`; files drop zeros at the end of a number, so it
    is the most that any row has."""
    unread: tuple[str, ...] = ()
    """A line for each file or entry that is no row, and why."""

    def versions(self) -> tuple[str, ...]:
        """Return the versions of mteb that wrote rows, each once."""
        return tuple(dict.fromkeys(row.mteb_version for row in self.rows if row.mteb_version))


def digits_of(values: Iterable[float], *, as_fraction: bool) -> int:
    """Return the decimals of points that numbers of a file print.

    Args:
        values: as the file has them.
        as_fraction: whether they go from 0 to 1.
    """
    shift = 2 if as_fraction else 0
    most = 0
    for value in values:
        exponent = Decimal(repr(float(value))).normalize().as_tuple().exponent
        most = max(most, -int(exponent) - shift)
    return min(most, MOST_DIGITS)


def as_number(value: object) -> float | None:
    """Return a value of a file as a number; None where it is none, or not finite. Yes and no are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:  # JSON's integers have no end
        return None
    return found if math.isfinite(found) else None


def as_text(value: object) -> str | None:
    """Return a value of a file that should be text; None where it is none."""
    return value if isinstance(value, str) else None


def outside(metric: str, value: float, most: int) -> str | None:
    """Return `outside 0 to 1` where no score of a metric can be `value`; None where one can.

    Args:
        metric: as mteb 2 calls it.
        value: as the file has it.
        most: what a perfect score is there, 1 or 100.
    """
    least = -most if any(name in metric for name in BELOW_ZERO) else 0
    is_inside = least - _ROUNDED * most <= value <= most + _ROUNDED * most
    return None if is_inside else f"outside {least} to {most}"


def current_name(metric: str) -> str:
    """Return what mteb 2 calls a metric: `cos_sim_spearman` is `cosine_spearman`."""
    for old, new in _OLD_NAMES.items():
        if metric.startswith(f"{old}_"):
            return f"{new}{metric.removeprefix(old)}"
    return metric


def main_metric(task: str, scores: Mapping[str, Any]) -> str:
    """Return which metric a file's `main_score` is: the task's own of today, or another that has its value.

    It is `main_score` where no metric of the file has that value.
    """
    value = scores[MAIN]
    info = catalogue().tasks.get(task)
    own = [info.main_score] if info else []
    names = [name for name, one in scores.items() if name != MAIN and type(one) is type(value) and one == value]
    same = [current_name(name) for name in names]
    return next((name for name in (*own, *same) if name in same), MAIN)


def in_points(fraction: float) -> float:
    """Return a score of mteb's files, 0 to 1, in points."""
    return fraction * POINTS
