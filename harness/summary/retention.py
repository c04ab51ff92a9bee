"""The retention verdict of every model, from cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.comparison.evidence import PairEvidence
from harness.comparison.retention import (
    AxisRetention,
    Judge,
    TaskRetention,
    judge,
    judge_axis,
    judge_task,
    of_same_record,
)
from harness.results.facts import facts_of
from harness.results.records import Score
from harness.results.stored_items import is_same_record
from harness.suite.schema import Retention
from harness.summary.matrix import Matrix, Pair

Weigher = Callable[[Score, Score], PairEvidence]


def without_evidence(_score: Score, _base: Score) -> PairEvidence:
    """Return no evidence: for callers without a results folder."""
    return PairEvidence(None, None)


def retention_of(
    matrix: Matrix, ability: Sequence[str], settings: Retention, weigh: Weigher, *, decide: Judge = judge
) -> tuple[AxisRetention, ...]:
    """Return the verdict on every model that has ability scores, in the suite's order; empty without a baseline.

    Args:
        matrix: the cells, and which model is the baseline.
        ability: names of the ability tasks.
        settings: the suite's margins.
        weigh: gives what the items of two scores of one task say of retention.
        decide: holds that against a margin.
    """
    baseline = matrix.baseline
    found = []
    for model in matrix.models:
        if baseline is None or model == baseline or not any(matrix.score(model, task) for task in ability):
            continue
        pairs = {task: matrix.pair(model, baseline, task) for task in ability}
        judged = [
            _judged(matrix.views[model, task].cell.task.label, pair, settings, weigh, decide=decide)
            for task, pair in pairs.items()
            if pair
        ]
        absent = [task for task, pair in pairs.items() if pair is None]
        found.append(judge_axis(model, baseline, judged, margin=settings.margin, absent=absent))
    return tuple(found)


def _judged(task: str, pair: Pair, settings: Retention, weigh: Weigher, *, decide: Judge) -> TaskRetention:
    if is_same_record(*pair):
        return of_same_record(task)
    evidence = weigh(*pair)
    facts = facts_of(pair.other).ability
    chances = [one for one in (facts.get("chance"), facts.get("majority")) if one is not None]
    return judge_task(
        task,
        evidence.main,
        evidence.nats,
        chance=max(chances, default=None),
        margin=settings.margin,
        nats_margin=settings.nats_margin,
        decide=decide,
    )
