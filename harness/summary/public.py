"""Published models beside one's own: over the same tasks, without what only per-item results can say; pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from harness.plan.cells import PlannedTask
from harness.published.rows import MAIN, Published
from harness.results.facts import facts_of
from harness.summary.views import AxisSummary, CellView, Mean, PublicView


def public_views(
    published: Sequence[Published],
    tasks: Sequence[PlannedTask],
    views: Mapping[tuple[str, str], CellView],
    axes: Sequence[AxisSummary],
) -> tuple[PublicView, ...]:
    """Return what of each published model can stand beside the models of a report.

    Args:
        published: their rows.
        tasks: of the report; a published score of another split, subset or metric is none of theirs.
        views: (model, task) -> cell.
        axes: whose common tasks means are over.
    """
    embedding = [task for task in tasks if task.axis == "embedding"]
    common = next((axis.common for axis in axes if axis.axis == "embedding"), ())
    off = {name for (_, name), view in views.items() if view.score and facts_of(view.score).is_off_count}
    names = Counter(one.model for one in published)
    found = (_view(one, embedding, common, off) for one in published)
    return tuple(replace(one, is_one_of_several=names[one.name] > 1) for one in found)


def _view(one: Published, tasks: Sequence[PlannedTask], common: Sequence[str], off: set[str]) -> PublicView:
    scores: dict[str, float] = {}
    lacking: dict[str, str] = {}
    for task in tasks:
        value, why = _score(one, task, is_off=task.name in off)
        if value is None:
            lacking[task.name] = why
        else:
            scores[task.name] = value
    by_type = {
        kind: _mean([scores.get(task.name) for task in tasks if task.name in common and task.type == kind])
        for kind in dict.fromkeys(task.type for task in tasks if task.name in common)
    }
    return PublicView(
        name=one.model,
        revision=one.revision,
        versions=one.versions(),
        kind=one.kind,
        scores=scores,
        lacking=lacking,
        mean=_mean([scores.get(name) for name in common]),
        by_type=by_type,
    )


def _score(one: Published, task: PlannedTask, *, is_off: bool) -> tuple[float | None, str]:
    """Return the mean over the task's splits and subsets, as a cell has it; or None and why there is none."""
    if task.custom is not None:
        return None, "a task of your own"
    if task.limit is not None:
        return None, f"limited to {task.limit} items here"
    if is_off:
        return None, "the data here have another number of items than MTEB's own"
    rows = {(row.split, row.subset): row for row in one.rows if row.task == task.name}
    unread = _unread(one, task.name)
    if not rows:
        return None, unread or "not published"
    places = [(split, subset) for split in task.splits for subset in task.subsets]
    absent = [f"{split}/{subset}" for split, subset in places if (split, subset) not in rows]
    if absent:
        return None, unread or f"not published on {', '.join(absent)}"
    metrics = {rows[place].metric for place in places} - {MAIN, task.info.main_score}
    if metrics:
        return None, f"published as {', '.join(sorted(metrics))}, which is not {task.info.main_score}"
    return fmean(rows[place].value for place in places), ""


def _unread(one: Published, task: str) -> str | None:
    """Return why a published score of a task is none; None where all that names it was read."""
    named = re.compile(rf"(?<!\w){re.escape(task)}(?!\w)")
    return next((f"not read: {line}" for line in one.unread if named.search(line)), None)


def _mean(values: Sequence[float | None]) -> Mean:
    """Return the mean over exactly these tasks; none where one of them is lacking."""
    numbers = [value for value in values if value is not None]
    return Mean(value=fmean(numbers) if numbers and len(numbers) == len(values) else None, n=len(values))
