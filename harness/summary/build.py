"""From a plan and its results to a `Summary`: pure, imports neither torch nor an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.candidates.candidate import Candidate
from harness.comparison.pair import without_interval
from harness.comparison.retention import Judge, judge
from harness.plan.cells import Cell, Plan
from harness.published.rows import Published
from harness.results.records import Failure, Result, Score
from harness.statistics.difference import Difference, adjusted
from harness.summary import remarks
from harness.summary.averages import summary_of
from harness.summary.matrix import Matrix
from harness.summary.prompts import prompts_of
from harness.summary.public import public_views
from harness.summary.retention import Weigher, retention_of, without_evidence
from harness.summary.views import AXES, CellView, Comparer, Summary


def summarise(
    plan: Plan,
    results: Mapping[str, Result],
    compare: Comparer = without_interval,
    weigh: Weigher = without_evidence,
    *,
    decide: Judge = judge,
    published: Sequence[Published] = (),
) -> Summary:
    """Return what a report says of a plan and whatever results there are.

    Args:
        plan: models, tasks and cells.
        results: str(cell) -> result.
        compare: gives the difference of two scores of one task with its paired interval.
        weigh: gives what the items of two ability scores of one task say of retention.
        decide: holds that against a margin.
        published: rows of models that others scored.
    """
    matrix = _matrix(plan, results, compare)
    tasks = {axis: [task for task in plan.tasks if task.axis == axis] for axis in AXES}
    ability = [task.name for task in tasks["ability"]]
    axes = tuple(summary_of(axis, of_axis, matrix) for axis, of_axis in tasks.items() if of_axis)
    return Summary(
        title=plan.suite.name,
        description=plan.suite.description,
        limits=tuple(sorted({task.limit for task in plan.tasks if task.limit})),
        baseline=matrix.baseline,
        models=matrix.models,
        tasks=plan.tasks,
        cells=matrix.views,
        axes=axes,
        candidates={one.name: one if isinstance(one, Candidate) else None for one in plan.candidates},
        differences=_differences(matrix),
        retention=retention_of(matrix, ability, plan.suite.retention, weigh, decide=decide),
        prompts=prompts_of(matrix, axes),
        unverified=remarks.unverified(matrix.views.values()),
        warnings=remarks.warnings(plan, matrix.views.values()),
        off_count=remarks.off_count(matrix.views.values()),
        public=public_views(published, plan.tasks, matrix.views, axes),
    )


def _matrix(plan: Plan, results: Mapping[str, Result], compare: Comparer) -> Matrix:
    models = tuple(candidate.name for candidate in plan.candidates)
    baseline = plan.suite.baseline_name()
    return Matrix(
        views={(cell.model, cell.task.name): _view(cell, results.get(str(cell))) for cell in plan.cells},
        models=models,
        baseline=baseline if baseline in models else None,
        compare=compare,
    )


def _view(cell: Cell, result: Result | None) -> CellView:
    if cell.state == "n/a":
        return CellView(cell=cell, status="n/a", reason=cell.reason)
    if isinstance(result, Score):
        return CellView(cell=cell, status="ok", score=result)
    if isinstance(result, Failure):
        return CellView(cell=cell, status="error", failure=result)
    return CellView(cell=cell, status="missing", reason=cell.reason or "not run yet")


def _differences(matrix: Matrix) -> dict[tuple[str, str], Difference]:
    if matrix.baseline is None:
        return {}
    each = {
        (model, task): matrix.difference(model, matrix.baseline, task)
        for model, task in matrix.views
        if model != matrix.baseline
    }
    return adjusted({place: one for place, one in each.items() if one is not None})
