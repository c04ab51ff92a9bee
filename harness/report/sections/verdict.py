"""The verdict: in the page a card a model; in report.md each axis as a whole, its sentence first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.report.numbers import SAME_RECORD, interval_text
from harness.report.sections import ability, contamination, differences, retention, standings, tasks, types
from harness.report.sections.cards import cards
from harness.report.sections.section import Link, Report
from harness.summary.views import AxisSummary, Standing, Summary

LINK = Link("verdict", "Verdict")
HEADINGS = {"embedding": "Embedding", "ability": "General ability"}
MOST_NAMED = 10
"""Tasks that are named as left out; the others are in the table."""


def markdown(report: Report) -> str:
    """Return all that is said of each axis: verdict, standings, means, tasks, differences; then what is ability's."""
    return "\n\n".join(_axis(report.summary, axis) for axis in report.summary.axes)


def page(report: Report) -> dict[str, Any]:
    """Return the cards."""
    marks = contamination.marks_by_cell(contamination.records(report.summary))
    return {"cards": cards(report.summary, marks), "badges": retention.BADGES, "same_record": SAME_RECORD}


def _axis(summary: Summary, axis: AxisSummary) -> str:
    heading = f"## {HEADINGS[axis.axis]}"
    if not axis.models:
        return f"{heading}\n\nNo scores yet: {len(axis.tasks)} task(s) to run."
    is_ability = axis.axis == "ability"
    parts = [heading, *(retention.sentences(summary) if is_ability else ())]
    parts += [_verdict(summary, axis), standings.section(summary, axis), _over(axis)]
    parts += [types.means(summary, axis), "### By task", tasks.by_task(summary, axis)]
    parts += differences.section(summary, axis)
    if is_ability:
        parts += [*retention.section(summary), *ability.section(summary)]
    return "\n\n".join(parts)


def _over(axis: AxisSummary) -> str:
    """Return what the means are over, and what is in none."""
    said = f"Means over the {len(axis.common)} of {len(axis.tasks)} tasks that every model with scores has."
    missing = [task for task in axis.tasks if task not in axis.common and task not in axis.apart]
    if missing:
        said += f" Left out: {', '.join(missing[:MOST_NAMED])}{', ...' if len(missing) > MOST_NAMED else ''}."
    if axis.apart:
        said += f" In no mean: {'; '.join(f'{task} ({why})' for task, why in axis.apart.items())}."
    return said


def _verdict(summary: Summary, axis: AxisSummary) -> str:
    """Return the sentences a reader came for: which model, and how sure that is."""
    if not axis.standings:
        return "No task has a score from every model: nothing can be compared."
    leader, *others = axis.standings
    if not others:
        return f"Only **{leader.model}** has scores; there is nothing to compare it with."
    same = [one for one in others if one.to_leader is not None and one.to_leader.is_same_record]
    others = [one for one in others if one not in same]
    if not others:
        return f"{_names([leader, *same])} share their records: one measurement, nothing to compare."
    limited = " That is on a LIMITED sample of each task." if summary.limits else ""
    return _ahead(axis, [leader, *same], others) + limited


def _ahead(axis: AxisSummary, first: Sequence[Standing], others: Sequence[Standing]) -> str:
    """Return how far the best are ahead: `first` are one model, or several with one record."""
    same = len(first) > 1
    best = _names(first) + (" (the same record)" if same else "")
    unknown = [one for one in others if one.to_leader is not None and one.to_leader.low is None]
    tied = [one for one in others if one.is_tied_with_leader and one not in unknown]
    tasks_said = f"{len(axis.common)} task(s)"
    if others[0] in unknown:
        return (
            f"{best} {'have' if same else 'has'} the highest mean over {tasks_said}; how sure that is cannot be said, "
            "since not every task has items to resample."
        )
    if tied:
        return (
            f"{best} and {_names(tied)} cannot be told apart on these {tasks_said}: the difference of their means may "
            "be chance."
        )
    lead = interval_text(others[0].to_leader, flip=True)
    return (
        f"{best} {'are' if same else 'is'} the best of these {len(axis.standings)} models over {tasks_said}"
        f", {lead} points ahead of the next, {others[0].model}."
    )


def _names(standings_: Sequence[Standing]) -> str:
    return " and ".join(f"**{one.model}**" for one in standings_)
