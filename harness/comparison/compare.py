"""Two models, task by task: what `harness compare` says, as plain data.

Cells come from results on disk: from a suite's plan, or, without one, from whatever is stored under the two names. Only
tasks that both have in full, with the same parts, metric and limit, are compared; every other one is named with its
reason. p-values are adjusted over the tasks together, over the types together, and over the means of the axes together.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from harness.comparison.making import unlike_making
from harness.comparison.pair import difference
from harness.comparison.sides import Found, planned, side_of, stored
from harness.errors import InputError
from harness.results.facts import facts_of
from harness.results.joined import JoinedStore
from harness.results.records import Failure, Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.statistics.difference import Difference, adjusted, mean_difference
from harness.tasks.types import UNITS
from harness.wording import first_few

Level = Literal["task", "type", "axis"]
ALL_TASKS, ALL_TYPES = "mean over tasks", "mean over types"
ABILITY_UNIT = "question (or text)"
"""What is resampled on the ability axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line: a task, or a mean over tasks."""

    level: Level
    axis: str
    type: str
    """Empty for the means of an axis."""
    name: str
    """The task with its parts; `mean over ...` otherwise."""
    metric: str
    """Empty for a mean."""
    a: float
    b: float
    n: int
    """Items of a task; tasks or types of a mean."""
    unit: str
    difference: Difference
    """a minus b; `q_value` is over the rows of the same level."""
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All that is said about two models."""

    a: str
    b: str
    rows: tuple[Row, ...]
    """Tasks by axis and type, each type's mean after its tasks, the axis' means at its end."""
    left_out: tuple[tuple[str, str], ...]
    """Task -> why it is not compared."""
    units: tuple[tuple[str, str], ...]
    """Type -> what is resampled in it."""
    unlike: tuple[str, ...]
    """What the cells of the two models differ in beside the model: batch, device, dtype, versions, ..."""
    failed: bool
    """Whether a cell that is left out ended in an error."""
    rules: tuple[tuple[str, str], ...] = ()
    """Model with an adapter -> merged or switched."""

    @property
    def limits(self) -> tuple[int, ...]:
        """Distinct limits of the tasks compared; empty where all are whole."""
        return tuple(sorted({row.limit for row in self.rows if row.limit}))

    def of(self, level: Level) -> list[Row]:
        """Return the rows of one level."""
        return [row for row in self.rows if row.level == level]


def compare(
    a: str,
    b: str,
    *,
    suite: str | Path | None = None,
    results: str | Path = "results",
    tasks: Sequence[str] = (),
    limit: int | None = None,
    overrides: Sequence[str] = (),
    sources: Sources | None = None,
) -> Comparison:
    """Compare two models on every task both have a score for.

    Args:
        a, b: names of models, or `FOLDER:NAME` for one whose results are in another folder.
        suite: its tasks, its models, the settings it gives them; None: what is stored under the two names.
        results: the results folder.
        tasks: only these; all where empty.
        limit: as in `run`: the cells of that limit. Needs a suite.
        overrides: `key=value`, of the suite.
        sources: where the suite's weights and data are looked for, since they are part of a cell's key.

    Raises:
        InputError: a model or task is not there, a name has several scores, or no task can be compared.
    """
    both = both_sides(a, b, asked=Asked(suite, Path(results), tasks, limit, overrides, sources))
    return compared(both.a, both.b, both.own, both.other, compare_cells=partial(difference, both.store))


class Asked(NamedTuple):
    """What `compare` is asked for beside the two models; its arguments say what each is."""

    suite: str | Path | None = None
    results: Path = Path("results")
    tasks: Sequence[str] = ()
    limit: int | None = None
    overrides: Sequence[str] = ()
    sources: Sources | None = None


class Both(NamedTuple):
    """The cells of two models, task -> cell, and where their files are."""

    a: str
    b: str
    own: Mapping[str, Found]
    other: Mapping[str, Found]
    store: Store


def both_sides(a: str, b: str, *, asked: Asked) -> Both:
    """Return the cells of two models; raises InputError as `compare` does."""
    suite, results, tasks, limit, overrides, sources = asked
    left, right = side_of(a, results), side_of(b, results)
    if left.name == right.name:
        raise InputError([f"{a} and {b} are the same model in the same results: there is nothing to compare"])
    if suite is None:
        if limit is not None or overrides:
            raise InputError(["--limit and -o change what a suite asks for: name one with --suite"])
        found = [stored(side, tasks) for side in (left, right)]
    else:
        planner = partial(
            planned, suite=suite, tasks=tasks, limit=limit, overrides=overrides, sources=sources or Sources()
        )
        found = [planner(side) for side in (left, right)]
    own, other = found
    return Both(left.name, right.name, own, other, JoinedStore(Store(left.results), Store(right.results)))


def compared(
    a: str,
    b: str,
    own: Mapping[str, Found],
    other: Mapping[str, Found],
    *,
    compare_cells: Callable[[Score, Score], Difference],
) -> Comparison:
    """Return the comparison of two models' cells.

    Args:
        a, b: the models' names, as they are shown.
        own, other: task -> cell, of `a` and of `b`.
        compare_cells: gives the difference of two scores of one task, with its interval.

    Raises:
        InputError: no task can be compared.
    """
    found = comparable(a, b, own, other)
    return Comparison(
        a=a,
        b=b,
        rows=tuple(_rows(found.pairs, compare_cells)),
        left_out=found.left_out,
        units=tuple({first.type: UNITS.get(first.type, ABILITY_UNIT) for first, _ in found.pairs.values()}.items()),
        unlike=tuple(unlike_making(a, b, found.pairs)),
        failed=found.failed,
        rules=tuple((name, rule) for name, side in ((a, own), (b, other)) if (rule := _rule_of(side))),
    )


class Comparable(NamedTuple):
    """What of two models can be compared."""

    pairs: dict[str, tuple[Score, Score]]
    """Task -> both scores."""
    left_out: tuple[tuple[str, str], ...]
    """Task -> why it is not compared."""
    failed: bool
    """Whether a cell that is left out ended in an error."""


def comparable(a: str, b: str, own: Mapping[str, Found], other: Mapping[str, Found]) -> Comparable:
    """Return the scores of two models that can be compared; raises InputError where none can be.

    Args:
        a, b: the models' names, as they are shown.
        own, other: task -> cell, of `a` and of `b`.
    """
    pairs: dict[str, tuple[Score, Score]] = {}
    left_out: list[tuple[str, str]] = []
    failed = False
    for task in dict.fromkeys((*own, *other)):
        reason = _why_not(a, own.get(task)) or _why_not(b, other.get(task))
        reason = reason or _unlike_items((a, own[task]), (b, other[task])) or _unlike_cells(own[task], other[task])
        if reason:
            left_out.append((task, reason))
            failed |= any(isinstance(cell.result, Failure) for cell in (own.get(task), other.get(task)) if cell)
        else:
            pairs[task] = (own[task].result, other[task].result)  # type: ignore[assignment]
    if not pairs:
        why = [f"{task}: {reason}" for task, reason in left_out[:20]] or ["neither has any cell"]
        raise InputError([f"{a} and {b} have no task in common that can be compared", *why])
    return Comparable(pairs, tuple(left_out), failed)


def _rule_of(side: Mapping[str, Found]) -> str | None:
    return next((one.rule for one in side.values() if one.rule), None)


def _why_not(model: str, found: Found | None) -> str | None:
    if found is None:
        return f"{model} has no such cell"
    if isinstance(found.result, Failure):
        return f"{model} failed: {found.result.error}"
    if found.result is None:
        return f"{model}: {found.reason}"
    return None if math.isfinite(found.result.score) else f"{model}: the score is {found.result.score}"


def _unlike_items(*sides: tuple[str, Found]) -> str | None:
    """Return which items the engine left out of one of two scores and not of the other, or None."""
    left_out = {name: facts_of(found.result).left_out for name, found in sides if isinstance(found.result, Score)}
    if len({json.dumps(parts, sort_keys=True) for parts in left_out.values()}) < 2:
        return None
    lacks = [
        f"{name} lacks {one['unit']} {first_few(map(str, one['items']))} of {part}, counted from 0 ({one['why']})"
        for name, parts in left_out.items()
        for part, one in parts.items()
    ]
    return "; ".join(lacks)


def _unlike_cells(own: Found, other: Found) -> str | None:
    """Return why two finished cells of one name cannot be compared, or None."""
    a, b = own.result, other.result
    if not isinstance(a, Score) or not isinstance(b, Score):
        return "no score"
    if a.limit != b.limit:
        return f"limited to {a.limit or 'nothing'} for one and to {b.limit or 'nothing'} for the other"
    both = [(what, getattr(a, what), getattr(b, what)) for what in ("metric", "unit", "type", "n")]
    apart = [f"{what} {one} for one and {two} for the other" for what, one, two in both if one != two]
    return "; ".join(apart) or None


def _rows(pairs: Mapping[str, tuple[Score, Score]], compare_cells: Callable[[Score, Score], Difference]) -> list[Row]:
    every = adjusted({task: compare_cells(*pair) for task, pair in pairs.items()})
    tasks = {task: _task_row(task, *pair, every[task]) for task, pair in pairs.items()}
    groups: dict[str, dict[str, list[Row]]] = {}
    for row in tasks.values():
        groups.setdefault(row.axis, {}).setdefault(row.type, []).append(row)
    means: dict[tuple[str, str], Row] = {}
    for axis, types in groups.items():
        in_points = {kind: kept for kind, rows in types.items() if (kept := [row for row in rows if _averages(row)])}
        for kind, rows in in_points.items():
            means[axis, kind] = _mean_row("type", axis, ALL_TASKS, rows, kind=kind)
        if in_points:
            flat = [row for rows in in_points.values() for row in rows]
            means[axis, ALL_TASKS] = _mean_row("axis", axis, ALL_TASKS, flat)
            of_types = [means[axis, kind] for kind in in_points]
            means[axis, ALL_TYPES] = _mean_row("axis", axis, ALL_TYPES, of_types)
    for level in ("type", "axis"):
        of_level = {key: row.difference for key, row in means.items() if row.level == level}
        for key, one in adjusted(of_level).items():
            means[key] = replace(means[key], difference=one)
    rows = []
    for axis, types in groups.items():
        for kind, of_type in types.items():
            rows += [*of_type, *([means[axis, kind]] if (axis, kind) in means else [])]
        rows += [means[axis, name] for name in (ALL_TASKS, ALL_TYPES) if (axis, name) in means]
    return rows


def _averages(row: Row) -> bool:
    return row.unit == "points" and not row.difference.lower_is_better


def _task_row(task: str, a: Score, b: Score, found: Difference) -> Row:
    return Row(
        level="task",
        axis=a.axis,
        type=a.type,
        name=task,
        metric=a.metric,
        a=a.score,
        b=b.score,
        n=a.n,
        unit=a.unit,
        difference=found,
        limit=a.limit,
    )


def _mean_row(level: Level, axis: str, name: str, rows: Sequence[Row], *, kind: str = "") -> Row:
    found = mean_difference([row.difference for row in rows]) if len(rows) > 1 else rows[0].difference
    assert found is not None  # noqa: S101 - there is at least one row
    n = len(rows)
    a, b = sum(row.a for row in rows) / n, sum(row.b for row in rows) / n
    found = replace(found, q_value=None)
    return Row(level=level, axis=axis, type=kind, name=name, metric="", a=a, b=b, n=n, unit="points", difference=found)
