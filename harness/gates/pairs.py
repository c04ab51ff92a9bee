"""What a cell is compared with: another model's cell, or one of the baseline; or why it cannot be judged."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.gates.baselines import Reference
from harness.gates.check import Judge
from harness.results.records import Score
from harness.statistics.conventions import NORMAL_QUANTILE
from harness.statistics.difference import Difference
from harness.suite.schema import Gate
from harness.summary.views import CellView, Comparer


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A cell and what it is compared with, or the reasons why it is not."""

    reasons: tuple[str, ...] = ()
    score: float = math.nan
    record: Score | None = None
    """The cell that is judged; None where there are reasons."""
    reference: Reference | None = None
    """None for a floor."""
    difference: Difference | None = None
    how: str = ""
    """How the difference got its interval."""
    source: str = ""


def pair_of(gate: Gate, by: Judge, view: CellView, against: str | None) -> Pair:
    """Return a cell with what it is compared with.

    Args:
        gate: says whether limited cells will do, and whether there is anything to compare with: not for a floor.
        by: the cells at hand and the baseline.
        view: the cell to be judged.
        against: a model of the suite; None: what `--baseline` named.
    """
    reason = _unfit(view, gate)
    if reason is not None or view.score is None:
        return Pair(reasons=(f"{view.cell}: {reason}",))
    if gate.floor is not None:
        return Pair(score=view.score.score)
    if against is not None:
        other = by.summary.cells.get((against, view.cell.task.name))
        reason = "not in this suite" if other is None else _unfit(other, gate)
        if other is None or other.score is None or reason is not None:
            return Pair(reasons=(f"{against}/{view.cell.task.label}: {reason}",))
        if other.cell.task.label != view.cell.task.label:
            return Pair(reasons=(f"{view.cell}: {other.cell} is another task",))
        reference, source = Reference.of(other.score), against
    elif by.baseline is None:
        return Pair(reasons=(f"{view.cell}: there is no baseline: give --baseline FILE",))
    elif (stored := by.baseline.cells.get(str(view.cell))) is None:
        return Pair(reasons=(f"{view.cell}: not in the baseline {by.baseline.source}",))
    else:
        reference, source = stored, by.baseline.source
    unlike = _unlike(view.score, reference)
    if unlike:
        return Pair(reasons=(f"{view.cell}: not the task of the baseline: {unlike}",))
    difference, how = _difference(view.score, reference, by.compare)
    return Pair(
        score=view.score.score,
        record=view.score,
        reference=reference,
        difference=difference,
        how=how,
        source=source,
    )


def _unfit(view: CellView, gate: Gate) -> str | None:
    """Return why a cell cannot be judged, or None."""
    if view.failure:
        return f"failed: {view.failure.error}: {view.failure.message.splitlines()[0] if view.failure.message else ''}"
    if view.status == "n/a":
        return f"n/a: {view.reason}; `models:` in the gate says whom it is for"
    if view.score is None:
        return f"missing: {view.reason}"
    if not math.isfinite(view.score.score):
        return f"the score is {view.score.score}"
    if view.score.limit and not gate.allow_limited:
        return f"limited to {view.score.limit} item(s); a gate wants whole tasks, or `allow_limited: true`"
    return None


def _unlike(score: Score, reference: Reference) -> str | None:
    both = [(name, getattr(score, name), getattr(reference, name)) for name in ("metric", "n", "limit")]
    apart = [f"{name} {own}, there {other}" for name, own, other in both if own != other]
    return "; ".join(apart) or None


def _difference(score: Score, reference: Reference, compare: Comparer) -> tuple[Difference, str]:
    """Return new minus reference, and how it got its interval."""
    if score.key == reference.key and abs(score.score - reference.score) < 1e-4:
        return Difference(value=0.0, stderr=0.0, low=0.0, high=0.0, n=score.n), "the very same cell"
    if reference.record is not None:
        paired = compare(score, reference.record)
        if paired.stderr is not None:
            return paired, "the very same cell" if paired.is_same_record else "paired over items"
    value = score.score - reference.score
    if score.stderr is None or reference.stderr is None:
        return Difference(value=value, stderr=None, low=None, high=None, n=score.n), "no interval"
    stderr = math.hypot(score.stderr, reference.stderr)
    reach = NORMAL_QUANTILE * stderr
    unpaired = Difference(value=value, stderr=stderr, low=value - reach, high=value + reach, n=score.n)
    return unpaired, "unpaired, from both standard errors, since the baseline's items are not at hand"
