"""The verdict: a sentence an axis, then in the page a card a model, in report.md ranks and means of each axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.report.numbers import SAME_RECORD, interval_text
from harness.report.sections import contamination, retention, standings, types
from harness.report.sections.cards import cards
from harness.report.sections.section import Link, Report
from harness.report.sections.tasks import AXIS_TITLES
from harness.summary.views import AxisSummary, Standing, Summary
from harness.wording import first_few

LINK = Link("verdict", "Verdict")
MOST_NAMED = 10
"""Tasks that are named as left out; the others are in the table."""


def markdown(report: Report) -> str:
    """Return what is said of each axis as a whole: verdict, standings, means. Every long table comes later."""
    summary = report.summary
    ranked = any(axis.standings for axis in summary.axes)
    parts = [_axis(summary, axis) for axis in summary.axes]
    return "\n\n".join([*parts, standings.LEGEND] if ranked else parts)


def page(report: Report) -> dict[str, Any]:
    """Return the sentence of each axis, and the cards."""
    summary = report.summary
    marks = contamination.marks_by_cell(contamination.records(summary))
    return {
        "verdicts": [(AXIS_TITLES[axis.axis], _verdict(summary, axis)) for axis in summary.axes],
        "cards": cards(summary, marks),
        "badges": retention.BADGES,
        "same_record": SAME_RECORD,
    }


def _axis(summary: Summary, axis: AxisSummary) -> str:
    heading = f"## {AXIS_TITLES[axis.axis]}"
    verdict = _verdict(summary, axis)
    if not axis.models:
        return f"{heading}\n\n{verdict}"
    kept = retention.sentences(summary) if axis.axis == "ability" else ()
    parts = [heading, *kept, verdict, standings.section(summary, axis), _over(axis), types.means(summary, axis)]
    return "\n\n".join(part for part in parts if part)


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
    if not axis.models:
        return f"No scores yet: {len(axis.tasks)} task(s) to run."
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
    return _ahead(axis, [leader, *same], others, why_unsure=_why_unsure(summary, axis)) + limited


def _why_unsure(summary: Summary, axis: AxisSummary) -> str:
    """Return why a mean over the common tasks has no interval: which tasks have none, and what they lack."""
    reasons: dict[str, str] = {}
    for task in axis.common:
        scores = [score for model in axis.models if (score := summary.cells[model, task].score)]
        bare = next((score for score in scores if score.ci_low is None), None)
        if bare is not None:
            one = f"one {bare.items.unit}" if bare.items and bare.n == 1 else "no interval of its own"
            reasons[task] = bare.items_missing or one
    if not reasons:
        return "since the models were not scored on the same items of every task"
    told = first_few((f"{task} ({why})" for task, why in reasons.items()), most=MOST_NAMED)
    return f"since {len(reasons)} of them have nothing to resample: {told}"


def _ahead(axis: AxisSummary, first: Sequence[Standing], others: Sequence[Standing], *, why_unsure: str) -> str:
    """Return how far the best are ahead: `first` are one model, or several with one record."""
    same = len(first) > 1
    best = _names(first) + (" (the same record)" if same else "")
    unknown = [one for one in others if one.to_leader is not None and one.to_leader.low is None]
    tied = [one for one in others if one.is_tied_with_leader and one not in unknown]
    tasks_said = f"{len(axis.common)} task(s)"
    if others[0] in unknown:
        return (
            f"{best} {'have' if same else 'has'} the highest mean over {tasks_said}; how sure that is cannot be said, "
            f"{why_unsure}."
        )
    if tied:
        return (
            f"{f'{best} and {_names(tied)}' if same else _names([*first, *tied])} cannot be told apart on these "
            f"{tasks_said}: the difference of their means may be chance."
        )
    lead = interval_text(others[0].to_leader, flip=True)
    return (
        f"{best} {'are' if same else 'is'} the best of these {len(axis.standings)} models over {tasks_said}"
        f", {lead} points ahead of the next, {others[0].model}."
    )


def _names(standings_: Sequence[Standing]) -> str:
    *others, last = [f"**{one.model}**" for one in standings_]
    return f"{', '.join(others)} and {last}" if others else last
