"""From a plan and its results to a `Summary`: pure, imports neither torch nor an engine.

Means: the mean over tasks and the mean over types (of each type's mean over tasks), both over exactly those tasks that
every model with any score on the axis has a score for; n stands beside them. A difference to the baseline is taken over
the tasks that both have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from harness.candidates.candidate import Candidate
from harness.comparison.pair import without_interval
from harness.plan.cells import Cell, Plan, PlannedTask
from harness.results.facts import facts_of
from harness.results.records import Failure, Result, Score
from harness.statistics.difference import Difference, adjusted
from harness.summary.matrix import Matrix
from harness.summary.retention import Weigher, retention_of, without_evidence
from harness.summary.standings import standings_of
from harness.summary.views import AxisSummary, CellView, Comparer, Mean, Summary, ordered_types
from harness.tasks.types import Axis

AXES: tuple[Axis, ...] = ("embedding", "ability")
"""In the order of a report."""


def summarise(
    plan: Plan,
    results: Mapping[str, Result],
    compare: Comparer = without_interval,
    weigh: Weigher = without_evidence,
) -> Summary:
    """Return what a report says of a plan and whatever results there are.

    Args:
        plan: models, tasks and cells.
        results: str(cell) -> result.
        compare: gives the difference of two scores of one task with its paired interval.
        weigh: gives what the items of two ability scores of one task say of retention.
    """
    suite = plan.suite
    views = {(cell.model, cell.task.name): _view(cell, results.get(str(cell))) for cell in plan.cells}
    models = tuple(candidate.name for candidate in plan.candidates)
    baseline = suite.baseline_name()
    baseline = baseline if baseline in models else None
    matrix = Matrix(views=views, models=models, baseline=baseline, compare=compare)
    ability = [task.name for task in plan.tasks if task.axis == "ability"]
    limits = sorted({task.limit for task in plan.tasks if task.limit})
    return Summary(
        title=suite.name,
        description=suite.description,
        limits=tuple(limits),
        baseline=baseline,
        models=models,
        tasks=plan.tasks,
        cells=views,
        axes=tuple(
            _of_axis(axis, tasks, matrix)
            for axis in AXES
            if (tasks := [task for task in plan.tasks if task.axis == axis])
        ),
        candidates={one.name: one if isinstance(one, Candidate) else None for one in plan.candidates},
        differences=_differences(matrix),
        retention=retention_of(matrix, ability, suite.retention, weigh),
        unverified=_unverified(views.values()),
        warnings=_warnings(plan, views.values()),
    )


def _view(cell: Cell, result: Result | None) -> CellView:
    if cell.state == "n/a":
        return CellView(cell=cell, status="n/a", reason=cell.reason)
    if isinstance(result, Score):
        return CellView(cell=cell, status="ok", score=result)
    if isinstance(result, Failure):
        return CellView(cell=cell, status="error", failure=result)
    return CellView(cell=cell, status="missing", reason=cell.reason or "not run yet")


def _of_axis(axis: Axis, tasks: Sequence[PlannedTask], matrix: Matrix) -> AxisSummary:
    """Return the means of one axis, whose `tasks` are these."""
    scored = [model for model in matrix.models if any(matrix.score(model, task.name) for task in tasks)]
    apart = {task.name: why for task in tasks if (why := _why_apart(task.name, matrix))}
    averaged = [task.name for task in tasks if task.name not in apart]
    values = {model: _values(model, averaged, matrix) for model in matrix.models}
    common = [task for task in tasks if scored and all(task.name in values[model] for model in scored)]
    by_type = {
        kind: {model: _mean([values[model][t.name] for t in common if t.type == kind]) for model in scored}
        for kind in ordered_types(common)
    }
    return AxisSummary(
        axis=axis,
        tasks=tuple(task.name for task in tasks),
        common=tuple(task.name for task in common),
        models=tuple(scored),
        by_type=by_type,
        over_tasks={model: _mean([values[model][task.name] for task in common]) for model in scored},
        over_types={model: _mean([of[model].value for of in by_type.values()]) for model in scored},
        delta={model: _difference(values[model], values.get(matrix.baseline or "", {})) for model in scored},
        standings=standings_of(matrix, scored, [task.name for task in common]),
        apart=apart,
    )


def _values(model: str, tasks: Sequence[str], matrix: Matrix) -> dict[str, float]:
    found = {task: matrix.views[model, task].value for task in tasks}
    return {task: value for task, value in found.items() if value is not None}


def _why_apart(task: str, matrix: Matrix) -> str | None:
    """Return why a task may be in no mean, or None: nats are no points, and `mmlu[10/57]` is not mmlu."""
    views = [matrix.views[model, task] for model in matrix.models]
    scores = [view.score for view in views if view.score]
    units = sorted({score.unit for score in scores})
    if any(unit != "points" for unit in units) or any(score.lower_is_better for score in scores):
        return f"in {' and '.join(units)}{', lower is better' if any(one.lower_is_better for one in scores) else ''}"
    labels = sorted({view.cell.task.label for view in views if view.score})
    return f"not the same task for every model: {', '.join(labels)}" if len(labels) > 1 else None


def _differences(matrix: Matrix) -> dict[tuple[str, str], Difference]:
    if matrix.baseline is None:
        return {}
    each = {
        (model, task): matrix.difference(model, matrix.baseline, task)
        for model, task in matrix.views
        if model != matrix.baseline
    }
    return adjusted({place: one for place, one in each.items() if one is not None})


def _mean(values: Sequence[float | None]) -> Mean:
    numbers = [value for value in values if value is not None]
    return Mean(value=fmean(numbers) if numbers else None, n=len(numbers))


def _difference(own: Mapping[str, float], base: Mapping[str, float]) -> Mean:
    return _mean([own[task] - base[task] for task in own if task in base])


def _unverified(views: Iterable[CellView]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for view in views:
        if view.score is None:
            continue
        facts = facts_of(view.score)
        for name, place in facts.data.items():
            if place["vouched"] is None:
                found[f"{name}: {place['source']} (local, unverified)"] = None
        for what, files in (("weights", facts.weights), ("adapter", facts.adapter)):
            if files and files["vouched"] is None:
                why = "local, unverified" if "folder" in files["source"] or "local" in files["source"] else "unpinned"
                found[f"{view.cell.model}: {what} from {files['source']} ({why})"] = None
    return tuple(found)


def _warnings(plan: Plan, views: Iterable[CellView]) -> tuple[str, ...]:
    lines: dict[str, None] = {}
    for task in plan.tasks:
        if not task.is_official_split:
            lines[f"{task.name} is run on {', '.join(task.splits)}, which MTEB does not evaluate on"] = None
    for view in views:
        if view.score is None:
            continue
        counts = facts_of(view.score).counts
        for what, said in (
            ("truncated_texts", "text(s) were cut at the length limit"),
            ("empty_texts", "text(s) had no token and were embedded as the end-of-text token"),
            ("out_of_memory", "time(s) the batch was halved for lack of GPU memory"),
        ):
            if counts.get(what):
                lines[f"{view.cell}: {int(counts[what])} {said}"] = None
    return tuple(lines)
