"""What a comparison report says, as plain data: pure, imports neither torch nor an engine.

Means: the mean over tasks and the mean over types (of each type's mean over tasks), both over exactly those tasks that
every model with any score on the axis has a score for; n stands beside them. A difference to the baseline is taken over
the tasks that both have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from statistics import fmean
from typing import Literal

from harness.candidates import Candidate
from harness.catalogue import EMBEDDING_TYPES, Axis
from harness.compare import without_interval
from harness.paired import Difference, adjusted, mean_difference
from harness.plan import Cell, Plan, PlannedTask
from harness.report.retention import Weigher, retention_of, without_evidence
from harness.results import Failure, Result, Score
from harness.retention import AxisRetention

Comparer = Callable[[Score, Score], Difference]
LEVEL = 0.05
"""Of rank intervals."""
Status = Literal["ok", "error", "missing", "n/a"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellView:
    """One cell as a report shows it."""

    cell: Cell
    status: Status
    score: Score | None = None
    failure: Failure | None = None
    reason: str | None = None
    """Why it is missing or not applicable."""

    @property
    def value(self) -> float | None:
        """The score in points, or None."""
        return self.score.score if self.score else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean over tasks, with what it is over."""

    value: float | None
    """None where there is nothing to average."""
    n: int
    """Tasks (or types) in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a model stands on an axis, over the tasks that every model with scores has."""

    model: str
    mean: float
    """Over the common tasks, in points."""
    is_tied_with_leader: bool
    """Whether its difference to the best mean is not clear of 0."""
    to_leader: Difference | None
    """None for the leader itself."""
    to_baseline: Difference | None
    """None for the baseline itself, or where there is none."""
    ahead: int
    """Common tasks on which it is clearly ahead of the baseline: the paired interval lies above 0."""
    behind: int
    undecided: int
    """Common tasks whose interval covers 0 or that have none, but for those whose cell is the baseline's own."""
    best_rank: int | None = None
    """1 + the models that are clearly better; None where a difference has no interval."""
    worst_rank: int | None = None
    """The number of models less those clearly worse: with `best_rank` a 95 % interval of the rank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisSummary:
    """The means of one axis, a model each."""

    axis: Axis
    tasks: tuple[str, ...]
    """All tasks of the axis in the suite."""
    common: tuple[str, ...]
    """Those the means are over."""
    models: tuple[str, ...]
    """Models with any score on the axis; the others are left out of the means."""
    by_type: dict[str, dict[str, Mean]]
    """type -> model -> mean over its common tasks."""
    over_tasks: dict[str, Mean]
    over_types: dict[str, Mean]
    delta: dict[str, Mean]
    """Model -> mean difference to the baseline over the tasks both have."""
    standings: tuple[Standing, ...]
    """Best mean first; empty where there is no common task."""
    apart: dict[str, str] = field(default_factory=dict)
    """Task that no mean may hold -> why: another unit than points, or other parts for other models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a report says."""

    title: str
    description: str | None
    limits: tuple[int, ...]
    """Distinct limits of the cells shown; empty for a full run."""
    baseline: str | None
    models: tuple[str, ...]
    tasks: tuple[PlannedTask, ...]
    cells: dict[tuple[str, str], CellView]
    """(model, task) -> view."""
    axes: tuple[AxisSummary, ...]
    candidates: dict[str, Candidate | None]
    """None for a candidate that is not there."""
    differences: dict[tuple[str, str], Difference]
    """(model, task) -> difference to the baseline, where both have a score; `q_value` over all of them."""
    retention: tuple[AxisRetention, ...] = ()
    """Whether each model kept the baseline's general ability; empty without a baseline or results to compare."""
    unverified: tuple[str, ...] = ()
    """Sources that nothing vouches for."""
    warnings: tuple[str, ...] = field(default=())


def build(
    plan: Plan,
    results: Mapping[str, Result],
    compare: Comparer = without_interval,
    weigh: Weigher = without_evidence,
) -> Report:
    """Return the report over a plan and whatever results there are.

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
    axes = tuple(
        summary
        for axis in ("embedding", "ability")
        if (summary := _summarise(axis, plan.tasks, models, views, baseline, compare)) is not None
    )
    limits = sorted({task.limit for task in plan.tasks if task.limit})
    return Report(
        title=suite.name,
        description=suite.description,
        limits=tuple(limits),
        baseline=baseline,
        models=models,
        tasks=plan.tasks,
        cells=views,
        axes=axes,
        candidates={one.name: one if isinstance(one, Candidate) else None for one in plan.candidates},
        differences=_differences(views, baseline, compare),
        retention=retention_of(suite.retention, plan.tasks, models, views, baseline, weigh),
        unverified=_unverified(views.values()),
        warnings=_warnings(plan, views.values()),
    )


def ordered_types(tasks: Sequence[PlannedTask]) -> list[str]:
    """Return the types of `tasks`, MTEB's own order first, others as they come."""
    present = list(dict.fromkeys(task.type for task in tasks))
    known = [kind for kind in EMBEDDING_TYPES if kind in present]
    return known + [kind for kind in present if kind not in known]


def _view(cell: Cell, result: Result | None) -> CellView:
    if cell.state == "n/a":
        return CellView(cell=cell, status="n/a", reason=cell.reason)
    if isinstance(result, Score):
        return CellView(cell=cell, status="ok", score=result)
    if isinstance(result, Failure):
        return CellView(cell=cell, status="error", failure=result)
    return CellView(cell=cell, status="missing", reason=cell.reason or "not run yet")


def _summarise(
    axis: Axis,
    tasks: Sequence[PlannedTask],
    models: Sequence[str],
    views: Mapping[tuple[str, str], CellView],
    baseline: str | None,
    compare: Comparer,
) -> AxisSummary | None:
    of_axis = [task for task in tasks if task.axis == axis]
    if not of_axis:
        return None
    scored = [model for model in models if any(views[model, task.name].score for task in of_axis)]
    apart = {task.name: why for task in of_axis if (why := _why_apart([views[one, task.name] for one in models]))}
    values = {
        model: {
            task.name: value
            for task in of_axis
            if task.name not in apart and (value := views[model, task.name].value) is not None
        }
        for model in models
    }
    common = [task for task in of_axis if scored and all(task.name in values[model] for model in scored)]
    by_type = {
        kind: {model: _mean([values[model][t.name] for t in common if t.type == kind]) for model in scored}
        for kind in ordered_types(common)
    }
    return AxisSummary(
        axis=axis,
        tasks=tuple(task.name for task in of_axis),
        common=tuple(task.name for task in common),
        models=tuple(scored),
        by_type=by_type,
        over_tasks={model: _mean([values[model][task.name] for task in common]) for model in scored},
        over_types={
            model: _mean([of[model].value for of in by_type.values() if of[model].value is not None])
            for model in scored
        },
        delta={model: _difference(values[model], values.get(baseline or "", {})) for model in scored},
        standings=_standings([task.name for task in common], scored, views, baseline, compare),
        apart=apart,
    )


def _why_apart(views: Sequence[CellView]) -> str | None:
    """Return why a task may be in no mean, or None: nats are no points, and `mmlu[10/57]` is not mmlu."""
    scores = [view.score for view in views if view.score]
    units = sorted({score.unit for score in scores})
    if any(unit != "points" for unit in units) or any(score.lower_is_better for score in scores):
        return f"in {' and '.join(units)}{', lower is better' if any(one.lower_is_better for one in scores) else ''}"
    labels = sorted({view.cell.task.label for view in views if view.score})
    return f"not the same task for every model: {', '.join(labels)}" if len(labels) > 1 else None


def _standings(
    common: Sequence[str],
    models: Sequence[str],
    views: Mapping[tuple[str, str], CellView],
    baseline: str | None,
    compare: Comparer,
) -> tuple[Standing, ...]:
    if not common:
        return ()
    means = {model: fmean(views[model, task].value or 0.0 for task in common) for model in models}
    order = sorted(models, key=lambda model: -means[model])
    leader = order[0]

    def against(model: str, other: str | None) -> list[Difference]:
        if other is None or other not in models or model == other:
            return []
        pairs = [(views[model, task].score, views[other, task].score) for task in common]
        return [compare(own, base) for own, base in pairs if own and base]

    ranks = _rank_intervals(order, {pair: mean_difference(against(*pair)) for pair in permutations(order, 2)})
    standings = []
    for model in order:
        to_leader, each = mean_difference(against(model, leader)), against(model, baseline)
        clear = [one for one in each if one.is_clear]
        standings.append(
            Standing(
                model=model,
                mean=means[model],
                is_tied_with_leader=to_leader is None or not to_leader.is_clear,
                to_leader=to_leader,
                to_baseline=mean_difference(each),
                ahead=sum(one.value > 0 for one in clear),
                behind=sum(one.value < 0 for one in clear),
                undecided=sum(not (one.is_clear or one.is_same_record) for one in each),
                best_rank=ranks[model][0] if model in ranks else None,
                worst_rank=ranks[model][1] if model in ranks else None,
            )
        )
    return tuple(standings)


def _rank_intervals(
    models: Sequence[str], differences: Mapping[tuple[str, str], Difference | None]
) -> dict[str, tuple[int, int]]:
    """Return the 95 % interval of each model's rank, 1 the best; nothing for a model with an unknown difference.

    A model outranks another when the p-value of their mean difference is under 5 % divided by the number of other
    models (Bonferroni), so that all comparisons behind one rank hold together (Klein, Wright & Wieczorek 2020).
    """
    found = {}
    level = LEVEL / max(1, len(models) - 1)
    for model in models:
        others = [differences[model, other] for other in models if other != model]
        known = [one for one in others if one is not None and (one.p_value is not None or one.is_same_record)]
        if len(known) == len(others):
            clear = [one for one in known if one.p_value is not None and one.p_value < level]
            better, worse = sum(one.value < 0 for one in clear), sum(one.value > 0 for one in clear)
            found[model] = (1 + better, len(models) - worse)
    return found


def _differences(
    views: Mapping[tuple[str, str], CellView], baseline: str | None, compare: Comparer
) -> dict[tuple[str, str], Difference]:
    found: dict[tuple[str, str], Difference] = {}
    for (model, task), view in views.items():
        base = views[baseline, task].score if baseline and model != baseline else None
        if view.score and base and views[str(baseline), task].cell.task.label == view.cell.task.label:
            found[model, task] = compare(view.score, base)
    return adjusted(found)


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
        provenance = view.score.provenance
        for name, place in (provenance.get("data") or {}).items():
            if place["vouched"] is None:
                found[f"{name}: {place['source']} (local, unverified)"] = None
        for what in ("weights", "adapter"):
            place = provenance.get(what)
            if place and place["vouched"] is None:
                why = "local, unverified" if "folder" in place["source"] or "local" in place["source"] else "unpinned"
                found[f"{view.cell.model}: {what} from {place['source']} ({why})"] = None
    return tuple(found)


def _warnings(plan: Plan, views: Iterable[CellView]) -> tuple[str, ...]:
    lines: dict[str, None] = {}
    for task in plan.tasks:
        if not task.is_official_split:
            lines[f"{task.name} is run on {', '.join(task.splits)}, which MTEB does not evaluate on"] = None
    for view in views:
        score = view.score
        if score is None:
            continue
        counts = score.provenance.get("counts", {})
        for what, said in (
            ("truncated_texts", "text(s) were cut at the length limit"),
            ("empty_texts", "text(s) had no token and were embedded as the end-of-text token"),
            ("out_of_memory", "time(s) the batch was halved for lack of GPU memory"),
        ):
            if counts.get(what):
                lines[f"{view.cell}: {int(counts[what])} {said}"] = None
    return tuple(lines)
