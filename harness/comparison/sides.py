"""The cells of one side of a comparison: from a suite's plan, or whatever is stored under a model's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from harness.candidates.candidate import Candidate
from harness.candidates.rule import rule_of
from harness.errors import InputError
from harness.plan.planner import make_plan
from harness.plan.seeds import split_seed
from harness.results.damage import relied_on
from harness.results.facts import facts_of, name_of
from harness.results.outcome import outcome_of
from harness.results.records import Failure, Result, Score
from harness.results.seeds import mean_over_seeds
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.load import load_suite
from harness.wording import did_you_mean, listing


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two models."""

    name: str
    """As it is shown."""
    model: str
    results: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A task as one model has it."""

    axis: str
    type: str
    result: Result | None
    reason: str = ""
    rule: str | None = None
    """merged or switched, of a model with an adapter."""


def side_of(text: str, results: Path) -> Side:
    """Return the side that `MODEL` or `FOLDER:MODEL` names; raises InputError where no results are there."""
    folder, colon, model = text.rpartition(":")
    if colon and not folder:
        raise InputError([f"{text!r}: expected MODEL, or FOLDER:MODEL for one whose results are elsewhere"])
    place = Path(folder) if colon else results
    if not (place / "cells").is_dir():
        raise InputError([f"{place}: no results there; expected cells/TASK/KEY.json below it (--results DIR)"])
    return Side(name=text, model=model, results=place)


def planned(
    side: Side,
    *,
    suite: str | Path,
    tasks: Sequence[str],
    limit: int | None,
    overrides: Sequence[str],
    sources: Sources,
) -> dict[str, Found]:
    """Return the cells of a model of a suite, task -> cell.

    Args:
        side: the model and its results folder.
        suite: a shipped suite's name, or a file.
        tasks: only these; all where empty.
        limit: items a task, as in a run; None: what the suite says.
        overrides: `key=value`, of the suite.
        sources: where weights and data are looked for, since they are part of a cell's key.

    Raises:
        InputError: the suite has no such model.
    """
    loaded = load_suite(suite, overrides).suite
    names = [model.name for model in loaded.models]
    if side.model not in names:
        near = did_you_mean(side.model, names)
        raise InputError([f"{side.model!r} is no model of {suite}; there are: {listing(names)}{near}"])
    plan = make_plan(loaded, sources, models=(side.model,), tasks=tasks, limit=limit)
    outcome = outcome_of(plan, Store(side.results))
    rules = {one.name: rule_of(one) for one in outcome.plan.candidates if isinstance(one, Candidate)}
    found = {}
    for cell in outcome.plan.cells:
        reason = f"n/a: {cell.reason}" if cell.state == "n/a" else cell.reason or "not run yet"
        result = outcome.results.get(str(cell))
        found[cell.task.label] = Found(
            axis=cell.task.axis, type=cell.task.type, result=result, reason=reason, rule=rules.get(cell.model)
        )
    return found


def stored(side: Side, tasks: Sequence[str]) -> dict[str, Found]:
    """Return what is stored under a model's name, its seeds (`name@seed-0`, ...) as one model.

    Raises:
        InputError: no such model or task, or a task with several scores.
    """
    store = Store(side.results)
    every = _entries(store)
    mine = [one for one in every if side.model in (one.model, split_seed(one.model).model)]
    if not mine:
        names = sorted({name for one in every for name in (one.model, split_seed(one.model).model)})
        raise InputError(
            [f"no model {side.model!r} in {side.results}; there are: {listing(names)}{did_you_mean(side.model, names)}"]
        )
    by_task: dict[str, list[_Entry]] = {}
    for one in mine:
        if not tasks or one.result.task in tasks or one.label in tasks:
            by_task.setdefault(one.label, []).append(one)
    unknown = set(tasks) - {name for one in mine for name in (one.result.task, one.label)}
    known = sorted({one.result.task for one in mine})
    problems = [line for label, entries in by_task.items() for line in _scored_twice(side, label, entries)]
    problems += [f"--tasks {name}: {side.name} has no such task{did_you_mean(name, known)}" for name in sorted(unknown)]
    if problems:
        raise InputError(problems)
    seeds = 1 + max(_run_of(side, one) for one in mine) if any(one.model != side.model for one in mine) else 0
    return {label: _as_one(side, entries, seeds, store) for label, entries in by_task.items()}


class _Entry(NamedTuple):
    """A stored record under one of its names."""

    model: str
    label: str
    """The task with its splits, subsets and parts."""
    result: Result
    rule: str | None


def _entries(store: Store) -> list[_Entry]:
    others = store.other_names()
    found = []
    for stored in store.all_results():
        one = relied_on(stored, store) if isinstance(stored, Score) else stored
        found.append(_Entry(one.model, _label(one), one, facts_of(one).rule))
        further = others.get((one.task, one.key), [])
        found += [_Entry(name.model, name.cell.partition("/")[2], one, name.rule) for name in further]
    return found


def _run_of(side: Side, entry: _Entry) -> int:
    """Return which seed an entry is; a model's own name stands for the first, whose keys are those without seeds."""
    return 0 if entry.model == side.model else split_seed(entry.model).number


def _scored_twice(side: Side, label: str, entries: Sequence[_Entry]) -> list[str]:
    runs: dict[int, dict[str, Score]] = {}
    for one in entries:
        if isinstance(one.result, Score):
            runs.setdefault(_run_of(side, one), {})[one.result.key] = one.result
    lines = []
    for scores in (one.values() for one in runs.values() if len(one) > 1):
        said = ", ".join(f"{one.key[:8]} {f'limit {one.limit}' if one.limit else 'whole'}" for one in scores)
        lines.append(f"{side.name}/{label} was scored {len(scores)} times ({said}); --suite says which is meant")
    return lines


def _as_one(side: Side, entries: Sequence[_Entry], seeds: int, store: Store) -> Found:
    """Return a task's cell: its score, or the mean over `seeds` of them where that is not 0, never over fewer."""
    runs: dict[int, Result] = {}
    for one in entries:
        number = _run_of(side, one)
        if number not in runs or isinstance(one.result, Score):
            runs[number] = one.result
    each = [runs[number] for number in sorted(runs)]
    scores = [one for one in each if isinstance(one, Score)]
    result: Result | None = each[0]
    reason = ""
    if failed := next((one for one in each if isinstance(one, Failure)), None):
        result = failed
    elif seeds and not _is_measured_once(scores, seeds):
        result = mean_over_seeds(side.model, scores, store) if len(scores) == seeds else None
        reason = "" if result else f"{seeds - len(scores)} of {seeds} seeds not run yet"
    rule = next((one.rule for one in entries if one.rule), None)
    return Found(axis=each[0].axis, type=each[0].type, result=result, reason=reason, rule=rule)


def _is_measured_once(scores: Sequence[Score], seeds: int) -> bool:
    """Whether all seeds are one record: general ability, which no seed changes."""
    return len({one.key for one in scores}) == 1 and (len(scores) == seeds or scores[0].axis == "ability")


def _label(result: Result) -> str:
    return name_of(result).partition("/")[2]
