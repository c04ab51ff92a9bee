"""Whether general ability was kept: collected from a report's cells, and put into words; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.compare import is_same_record
from harness.evidence import PairEvidence
from harness.report.ability import facts_of, figure
from harness.results import Score
from harness.retention import (
    SAME_MODEL,
    AxisRetention,
    Judgement,
    TaskRetention,
    judge_axis,
    judge_task,
    of_same_record,
)
from harness.suite import Retention

if TYPE_CHECKING:
    from harness.plan import PlannedTask
    from harness.report.table import CellView, Report

Weigher = Callable[[Score, Score], PairEvidence]
HEADER = (
    "task", "model", "verdict", "loss", "excluded (95%)", "won / lost of", "items can exclude", "margin", "remark",
)  # fmt: skip
FEW_ITEMS = 100
"""Of fewer items a mean is retained with a remark: losses that one item in twenty has may not be among them."""
LEGEND = (
    "Retained: a loss of the margin or more is excluded; lost: anything up to the margin is excluded (each one-sided, "
    "5%); undecided: neither. Excluded: the loss above which all are excluded by these items; items can exclude: the "
    "smallest loss that so many could exclude at best. Right-or-wrong answers are tested exactly, other scores by "
    "Student's t over items, less sure where a few items lose much. Not measurable: the baseline is not above chance "
    "by more than the margin; then nats per token of the gold answers decide. The axis: the mean over the measurable "
    "tasks (tasks fixed, items resampled within each) and every task that only nats decide; the worst of them counts."
)


def without_evidence(_score: Score, _base: Score) -> PairEvidence:
    """Return no evidence: for callers without a results folder."""
    return PairEvidence(None, None)


def retention_of(
    settings: Retention,
    tasks: Sequence[PlannedTask],
    models: Sequence[str],
    views: Mapping[tuple[str, str], CellView],
    baseline: str | None,
    weigh: Weigher,
) -> tuple[AxisRetention, ...]:
    """Return the verdict on every model that has ability scores, in the suite's order; empty without a baseline."""
    ability = [task.name for task in tasks if task.axis == "ability"]
    found = []
    for model in models:
        if baseline is None or model == baseline or not any(views[model, task].score for task in ability):
            continue
        judged, absent = [], []
        for task in ability:
            view, base = views[model, task], views[baseline, task]
            if view.score is None or base.score is None or view.cell.task.label != base.cell.task.label:
                absent.append(task)
                continue
            judged.append(_judged(view.cell.task.label, view.score, base.score, settings, weigh))
        found.append(judge_axis(model, baseline, judged, margin=settings.margin, absent=absent))
    return tuple(found)


def sentences(report: Report) -> list[str]:
    """Return one sentence a model: retained, lost, undecided or not measurable, with what stands behind it."""
    limited = " On a LIMITED sample of each task." if report.limits else ""
    return [_sentence(one) + limited for one in report.retention]


def rows(report: Report) -> list[list[str]]:
    """Return a row a model and ability task, as `HEADER` says."""
    return [_row(one.model, task) for one in report.retention for task in one.tasks]


def section(report: Report) -> list[str]:
    """Return the heading, table and legend of retention as Markdown blocks; nothing where there is none."""
    from harness.report.markdown import table

    found = rows(report)
    return ["### Retention", table(HEADER, found), LEGEND] if found else []


def _judged(task: str, score: Score, base: Score, settings: Retention, weigh: Weigher) -> TaskRetention:
    if is_same_record(score, base):
        return of_same_record(task)
    evidence = weigh(score, base)
    facts = facts_of(base)
    chances = [facts[name] for name in ("chance", "majority") if facts.get(name) is not None]
    return judge_task(
        task,
        evidence.main,
        evidence.nats,
        chance=max(chances, default=None),
        margin=settings.margin,
        nats_margin=settings.nats_margin,
    )


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


def _n(task: TaskRetention) -> int:
    return task.main.evidence.n if task.main else 0


def _row(model: str, task: TaskRetention) -> list[str]:
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
