"""The means of one axis, and what is in none of them; pure.

Means: the mean over tasks and the mean over types (of each type's mean over tasks), both over exactly those tasks that
every model with any score on the axis has a score for; n stands beside them. A model that is not applicable to some
tasks of the axis (BM25 beside tasks that rank nothing) is in none of them, and takes no task from the others. A
difference to the baseline is taken over the tasks that both have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from harness.plan.cells import PlannedTask
from harness.summary.matrix import Matrix
from harness.summary.standings import standings_of
from harness.summary.views import AxisSummary, Mean, ordered_types
from harness.tasks.types import Axis


def summary_of(axis: Axis, tasks: Sequence[PlannedTask], matrix: Matrix) -> AxisSummary:
    """Return the means of one axis, whose `tasks` are these."""
    scored = [model for model in matrix.models if any(matrix.score(model, task.name) for task in tasks)]
    scored = [one for one in scored if not any(matrix.views[one, task.name].status == "n/a" for task in tasks)]
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


def _mean(values: Sequence[float | None]) -> Mean:
    numbers = [value for value in values if value is not None]
    return Mean(value=fmean(numbers) if numbers else None, n=len(numbers))


def _difference(own: Mapping[str, float], base: Mapping[str, float]) -> Mean:
    return _mean([own[task] - base[task] for task in own if task in base])
