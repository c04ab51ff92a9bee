"""The retention verdict of every model, from cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from harness.comparison.evidence import PairEvidence
from harness.comparison.retention import AxisRetention, TaskRetention, judge_axis, judge_task, of_same_record
from harness.plan.cells import PlannedTask
from harness.results.facts import facts_of
from harness.results.records import Score
from harness.results.stored_items import is_same_record
from harness.suite.schema import Retention
from harness.summary.views import CellView

Weigher = Callable[[Score, Score], PairEvidence]


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


def _judged(task: str, score: Score, base: Score, settings: Retention, weigh: Weigher) -> TaskRetention:
    if is_same_record(score, base):
        return of_same_record(task)
    evidence = weigh(score, base)
    facts = facts_of(base).ability
    chances = [one for one in (facts.get("chance"), facts.get("majority")) if one is not None]
    return judge_task(
        task,
        evidence.main,
        evidence.nats,
        chance=max(chances, default=None),
        margin=settings.margin,
        nats_margin=settings.nats_margin,
    )
