"""Ranks of an axis as a table of report.md: how sure each is, and how far from the leader and the baseline."""

from __future__ import annotations

from harness.candidates.rule import rule_of
from harness.report.numbers import COULD_SHOW, NOT_THERE, could_show, interval_text, points
from harness.report.tables import table
from harness.summary.views import AxisSummary, Standing, Summary

LEGEND = (
    "Differences in points [95% interval]. Tasks are fixed; within each, items are resampled, the same for both "
    "models. A task counts as ahead or behind when its own interval lies on one side of 0 (each at 95%, not "
    "corrected for the number of tasks). The interval of a rank counts the models that are clearly better or worse "
    "(5% for all comparisons of a model together); models whose intervals overlap are not told apart. Could show: "
    "where the difference to the baseline is undecided, the smallest true one that would have been clear with a "
    "chance of 80%."
)


def section(summary: Summary, axis: AxisSummary) -> str:
    """Return the table, which `LEGEND` explains; empty where no task has a score from every model."""
    rows = [_row(summary, axis, place, one) for place, one in enumerate(axis.standings, 1)]
    if not rows:
        return ""
    to_base = f"to {summary.baseline}" if summary.baseline else "to the baseline"
    header = [
        "rank",
        "95% interval",
        "model",
        "mean",
        "to the leader",
        to_base,
        COULD_SHOW,
        "tasks ahead / behind / undecided",
    ]
    return table(header, rows)


def _row(summary: Summary, axis: AxisSummary, place: int, one: Standing) -> list[str]:
    is_baseline = one.model == summary.baseline
    tied = one.to_leader is not None and one.to_leader.low is not None and one.is_tied_with_leader
    base = "baseline" if is_baseline else interval_text(one.to_baseline)
    is_same = is_baseline or (one.to_baseline is not None and one.to_baseline.is_same_record)
    counts = "" if is_same else f"{one.ahead} / {one.behind} / {one.undecided}"
    lead = "leader" if one.to_leader is None else interval_text(one.to_leader)
    is_alone = len(axis.models) == 1  # one model has no rank among others
    within = NOT_THERE if one.best_rank is None or is_alone else f"{one.best_rank} to {one.worst_rank}"
    rule = rule_of(summary.candidates.get(one.model))
    model = one.model if rule is None else f"{one.model} ({rule})"
    return [
        "1=" if tied else str(place),
        within,
        model,
        points(one.mean),
        lead,
        base,
        could_show(one.to_baseline),
        counts,
    ]
