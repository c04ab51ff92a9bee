"""What hangs on the prompts: the range of each score, and whether models change places within their ranges; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from harness.results.records import PromptedScore
from harness.summary.matrix import Matrix
from harness.summary.views import AxisSummary, PromptRange, PromptSummary


def prompts_of(matrix: Matrix, axes: Sequence[AxisSummary]) -> PromptSummary | None:
    """Return the ranges, and what they do to the order of models; None where no model has variants with scores."""
    ranges = tuple(
        _range(matrix, model, view.cell.task.label, view.score)
        for (model, _), view in matrix.views.items()
        if isinstance(view.score, PromptedScore) and view.score.variants
    )
    if not ranges:
        return None
    turned = [
        line
        for axis in axes
        if axis.axis == "embedding"
        for line in (*_turned_means(matrix, axis), *_turned_tasks(matrix, axis.tasks))
    ]
    return PromptSummary(ranges=ranges, turned=tuple(turned))


def _range(matrix: Matrix, model: str, task: str, score: PromptedScore) -> PromptRange:
    each = sorted((score, *score.variants), key=lambda one: one.score)
    least, most = each[0], each[-1]
    return PromptRange(
        model=model, task=task, score=score, least=least, most=most, difference=matrix.compare(most, least)
    )


def _turned_tasks(matrix: Matrix, tasks: Sequence[str]) -> Iterator[str]:
    for task in tasks:
        values = {model: _values(matrix, model, task) for model in matrix.models}
        yield from _turned(matrix.label(task), {model: each for model, each in values.items() if each})


def _turned_means(matrix: Matrix, axis: AxisSummary) -> Iterator[str]:
    """Yield which models change places in the mean over tasks, each setting of the prompts kept over all of them."""
    means: dict[str, list[float]] = {}
    for model in axis.models:
        of_tasks = [_values(matrix, model, task) for task in axis.common]
        most = max((len(one) for one in of_tasks), default=0)
        if most and all(len(one) in (1, most) for one in of_tasks):
            means[model] = [fmean(one[min(k, len(one) - 1)] for one in of_tasks) for k in range(most)]
    if len(axis.common) > 1:
        yield from _turned(f"mean over {len(axis.common)} tasks", means)


def _values(matrix: Matrix, model: str, task: str) -> list[float]:
    """Return a model's scores of a task, that under its own prompts first."""
    score = matrix.score(model, task)
    if score is None:
        return []
    variants = score.variants if isinstance(score, PromptedScore) and len(score.variants) == score.wanted else ()
    return [score.score, *(one.score for one in variants)]


def _turned(where: str, values: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """Yield a line of the pairs whose first model could be behind the second under other prompts of either."""
    pairs = [
        f"{model} ({_said(own)}) before {other} ({_said(theirs)})"
        for model, own in values.items()
        for other, theirs in values.items()
        if own[0] > theirs[0] and min(own) < max(theirs) and len(own) + len(theirs) > 2
    ]
    if pairs:
        yield f"{where}: {'; '.join(pairs)}"


def _said(values: Sequence[float]) -> str:
    own = f"{values[0]:.2f}"
    return own if len(values) == 1 else f"{own}, {min(values):.2f} to {max(values):.2f}"
