"""Whether general ability was kept, in words; pure. Markdown and page show it with the ability scores."""

from __future__ import annotations

from harness.candidates.rule import ANSWERS_AS_BASE, rule_of
from harness.comparison.retention import SAME_MODEL, AxisRetention, Judgement, TaskRetention, Verdict
from harness.report.numbers import figure
from harness.report.tables import table
from harness.statistics.difference import Difference
from harness.summary.views import Summary

HEADER = (
    "task", "model", "verdict", "loss", "excluded (95%)", "won / lost of", "items can exclude", "margin", "remark",
)  # fmt: skip
BADGES: dict[Verdict, str] = {"retained": "good", "lost": "bad", SAME_MODEL: "", "undecided": "warn"}
"""Verdict -> its colour in the page; the others are a warning."""
FEW_ITEMS = 100
"""Of fewer items a mean is retained with a remark: losses that one item in twenty has may not be among them."""
LEGEND = (
    "Retained: a loss of the margin or more is excluded; lost: anything up to the margin is excluded (each one-sided, "
    "5%); undecided: neither. Excluded: the loss above which all are excluded by these items; items can exclude: the "
    "smallest loss that so many could exclude at best. Right-or-wrong answers are tested exactly, other scores by "
    "Student's t over items, less sure where a few items lose much. Not measurable: the baseline is not above chance "
    "by more than the margin; then nats per token of the gold answers decide. The axis: the mean over the measurable "
    "tasks (tasks fixed, items resampled within each) and every task that only nats decide; the worst of them counts, "
    "a lost one where it is sure at 5% divided by the number of those that could be lost."
)


def sentences(summary: Summary) -> list[str]:
    """Return one sentence a model: retained, lost, undecided or not measurable, with what stands behind it."""
    limited = " On a LIMITED sample of each task." if summary.limits else ""
    return [_sentence(one) + _served(summary, one.model) + limited for one in summary.retention]


def rows(summary: Summary) -> list[list[str]]:
    """Return a row a model and ability task, as `HEADER` says."""
    differences = summary.differences
    return [
        _row(one.model, task, differences.get((one.model, task.task)))
        for one in summary.retention
        for task in one.tasks
    ]


def section(summary: Summary) -> list[str]:
    """Return the heading, table and legend of retention as Markdown blocks; nothing where there is none."""
    found = rows(summary)
    return ["## Retention", table(HEADER, found), LEGEND] if found else []


def _sentence(one: AxisRetention) -> str:
    said = f"General ability of **{one.model}** against {one.baseline}: **{one.verdict}**"
    if one.loss is not None:
        count = len(one.measurable)
        change = f"{0.0 - one.loss:+.2f} points over {count} task(s)"
        said += f" ({change}; a loss above {one.upper:.2f} is excluded, the margin is {one.margin:g})"
    said += "."
    if one.verdict == "undecided" and one.needed is not None:
        said += f" About {one.needed:,} items in place of {sum(_n(task) for task in one.measurable):,} would decide it."
    if one.by_nats:
        named = ", ".join(f"{task.task} ({task.decision})" for task in one.by_nats)
        said += f" Decided by nats per token: {named}."
    if one.verdict == "undecided" and any(task.decision == "lost" for task in one.by_nats):
        said += f" Lost is meant at 5% for a task alone; one of these would need {100 * one.lost_level:.2g}%."
    same = [task.task for task in one.tasks if task.verdict == SAME_MODEL]
    if same:
        said += f" {', '.join(same)}: one stored measurement for both; vectors differ, answers cannot."
    unjudged = [
        task.task for task in one.tasks if task.verdict != SAME_MODEL and (task.decision is None or task.main is None)
    ]
    if unjudged:
        said += f" Nothing can be said of {', '.join(unjudged)}."
    if one.absent:
        said += f" Without {', '.join(one.absent)}: no score from both models."
    return said


def _served(summary: Summary, model: str) -> str:
    """Return under which rule a model was judged; nothing of one without an adapter."""
    rule = rule_of(summary.candidates.get(model))
    if rule is None:
        return ""
    return f" Served switched: {ANSWERS_AS_BASE}." if rule == "switched" else " Served merged: the adapter was on."


def _n(task: TaskRetention) -> int:
    return task.main.evidence.n if task.main else 0


def _row(model: str, task: TaskRetention, difference: Difference | None) -> list[str]:
    if task.verdict == SAME_MODEL:
        return [task.task, model, task.verdict, "-", "-", "-", "-", "-", "one stored cell for both"]
    shown = task.main
    remarks = [task.why] if task.why else []
    if task.verdict == "not measurable":
        remarks.append(_in_nats(task.nats))
        if task.nats is not None:
            shown = task.nats
    verdict = (
        task.verdict if task.decision == task.verdict else f"{task.verdict}; by nats: {task.decision or 'nothing'}"
    )
    if shown is None:
        return [task.task, model, task.verdict, "-", "-", "-", "-", "-", "; ".join(remarks)]
    if shown.verdict == "undecided" and shown.needed is not None:
        remarks.append(f"about {shown.needed:,} items would decide")
    if shown.verdict == "undecided" and difference is not None and difference.detectable is not None:
        least = figure(difference.detectable, shown.evidence.unit)
        remarks.append(f"a true change of {least} would have been clear with a chance of 80%")
    if shown.verdict == "retained" and shown.evidence.stderr is not None and shown.evidence.n < FEW_ITEMS:
        remarks.append(f"a rare large loss may be missing among {shown.evidence.n} items")
    unit = shown.evidence.unit
    return [
        task.task,
        model,
        verdict,
        f"{figure(shown.evidence.loss, unit)}{' nats' if unit == 'nats' else ''}",
        f"above {figure(shown.upper, unit)}",
        f"{shown.evidence.wins} / {shown.evidence.losses} of {shown.evidence.n}",
        figure(shown.excludable, unit),
        f"{shown.margin:g}",
        "; ".join(remarks),
    ]


def _in_nats(nats: Judgement | None) -> str:
    if nats is None:
        return "no nats per token of the same gold answers in the same tokens, so nothing decides"
    return f"decided by {nats.evidence.measure}"
