"""`harness plan`: the matrix, what is there, and what it will cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.options import (
    HubOption,
    JsonOption,
    LimitOption,
    ModelsOption,
    OfflineOption,
    ResultsOption,
    SetOption,
    SuiteArgument,
    TasksOption,
    loaded_suite,
    planned,
    print_json,
    sources_of,
)
from harness.cli.pacing import Pacing, paces_of
from harness.cli.plan_cost import print_cost, print_spread
from harness.cost.estimate import CellCost, cost_of, shared, writes_of
from harness.cost.totals import spreads, totals
from harness.evaluation.chatter import quiet
from harness.evaluation.permission import withheld
from harness.plan.cells import Cell, Plan
from harness.plan.pieces import cuttings_of
from harness.results.damage import read
from harness.results.outcome import needs_work
from harness.results.store import Store
from harness.suite.load import LoadedSuite
from harness.training.asked import Training, shown_command
from harness.training.order import to_train
from harness.training.otherwise import trained_otherwise
from harness.wording import duration, first_few

NOT_OF_AXIS = {"embedding": ("requests",), "ability": ("texts", "unique_texts")}
"""Counts that an axis does not have."""


def plan(
    suite: SuiteArgument,
    results: ResultsOption = Path("results"),
    hub: HubOption = None,
    offline: OfflineOption = False,
    models: ModelsOption = "",
    tasks: TasksOption = "",
    limit: LimitOption = None,
    override: SetOption = None,
    calibrate: Annotated[bool, typer.Option("--calibrate", help="Time each model here, once a machine.")] = False,
    tokens_per_second: Annotated[
        float | None, typer.Option("--tokens-per-second", min=0.001, help="State the pace instead.")
    ] = None,
    generated_per_second: Annotated[
        float | None, typer.Option("--generated-per-second", min=0.001, help="State that of writing as well.")
    ] = None,
    dimension: Annotated[
        int | None, typer.Option("--dimension", min=1, help="State the length of vectors, for the disk they take.")
    ] = None,
    load_seconds: Annotated[
        float | None, typer.Option("--load-seconds", min=0, help="State how long a device takes to load a model.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Say the time on so many devices, beside 1, 8 and 64.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the matrix, what is there, and what it will cost; needs no network."""
    pacing = Pacing(
        calibrate=calibrate,
        tokens_per_second=tokens_per_second,
        generated_per_second=generated_per_second,
        dimension=dimension,
        load_seconds=load_seconds,
    )
    loaded = loaded_suite(suite, override)
    made = planned(loaded, sources_of(hub, offline), models=models, tasks=tasks, limit=limit)
    if calibrate:
        quiet(results)
    show(loaded, made, Store(results), pacing=pacing, workers=workers, as_json=as_json)


def show(
    loaded: LoadedSuite, plan: Plan, store: Store, *, pacing: Pacing, workers: int | None = None, as_json: bool
) -> None:
    """Print the plan.

    Args:
        loaded: the suite, for how it is spelt.
        plan: of it.
        store: what has a score there is not to be run.
        pacing: where the models' paces come from.
        workers: devices whose time is wanted beside those that are always said.
        as_json: one JSON document instead of tables.
    """
    paces = paces_of(plan, pacing)
    writes, cuttings = writes_of(plan), cuttings_of(plan)
    costs = [
        cost_of(cell, paces.get(cell.model), writes=writes[cell.model], cutting=cuttings[cell.model])
        for cell in plan.cells
    ]
    costs = shared(list(zip(plan.cells, costs, strict=True)), to_run=lambda cell: needs_work(cell, store))
    models = [getattr(one, "seed_of", None) or one.name for one in plan.candidates]
    trainings, otherwise = to_train(plan.suite, models), trained_otherwise(plan.suite, models)
    rows = [plan_row(cell, store, cost) for cell, cost in zip(plan.cells, costs, strict=True)]
    to_run = [(cell, cost) for cell, cost, row in zip(plan.cells, costs, rows, strict=True)
              if row["status"] in ("to run", "error", "missing")]  # fmt: skip
    summed, spread = totals(to_run, paces), spreads(to_run, paces, workers=workers)
    if as_json:
        print_json(
            {
                "suite": plan.suite.name,
                "cells": rows,
                "totals": asdict(summed)
                | {"cells": len(rows), "by_status": tally(rows, "status"), "by_type": tally(rows, "type")},
                "spread": [asdict(one) for one in spread],
                "paces": {name: asdict(one) if one else None for name, one in paces.items()},
                "trainings": [training_row(one) for one in trainings],
                "trained_otherwise": list(otherwise),
                "gaps": gap_rows(plan),
            }
        )
        return
    _print_plan(loaded, plan, store, rows)
    _print_trainings(trainings)
    for line in otherwise:
        print(f"\n{line}")
    print_cost(plan, paces, to_run, summed)
    print_spread(summed, spread)


def plan_row(cell: Cell, store: Store, cost: CellCost) -> dict[str, Any]:
    """Return one cell as `plan --json` and `ls --json` show it."""
    stored = read(cell, store)
    status = stored.status if stored else cell.state
    return {
        "model": cell.model,
        "axis": cell.task.axis,
        "type": cell.task.type,
        "task": cell.task.label,
        "engine": cell.task.engine,
        "key": cell.key,
        "status": status,
        **asdict(cost),
        "limit": cell.task.limit,
        "splits": list(cell.task.splits),
        "subsets": list(cell.task.subsets),
        "prompts": cell.prompts,
        "settings": cell.task.plain_settings(),
        "reason": cell.reason,
    }


def tally(rows: Sequence[dict[str, Any]], key: str) -> dict[str, int]:
    """Return how many rows have each value of `key`."""
    counted: dict[str, int] = {}
    for row in rows:
        counted[row[key]] = counted.get(row[key], 0) + 1
    return counted


def gap_rows(plan: Plan) -> list[dict[str, Any]]:
    """Return what is not there, as JSON."""
    return [
        {"what": gap.what, "why": gap.why, "command": gap.command, "wanted_by": list(wanted)}
        for gap, wanted in plan.gaps
    ]


def training_row(training: Training) -> dict[str, Any]:
    """Return a training of a missing candidate as JSON."""
    return {
        "candidate": training.directory,
        "models": list(training.models),
        "command": shown_command(training),
        "objective": training.objective or None,
        "base": training.base[0] or None,
        "data": training.data_path or training.dataset,
        "steps": training.steps,
        "budget_minutes": training.budget_minutes,
        "budget_cpu_seconds": training.budget_cpu_seconds,
        "problems": list(training.problems),
    }


def _print_trainings(trainings: Sequence[Training]) -> None:
    """Say what is trained first, until when, and by which command."""
    if not trainings:
        return
    print(f"\nto train first (harness run --train, or grace train --suite): {len(trainings)} candidate(s)")
    for one in trainings:
        said = f"{one.objective}, ends after {one.ends_after}" if not one.problems else "it is refused"
        print(f"  {one.directory}: {said}\n    {shown_command(one)}")
        for problem in one.problems:
            print(f"    {problem}")
    known = [one.budget_cpu_seconds for one in trainings if one.budget_cpu_seconds is not None and one.steps is None]
    if known:
        print(f"  budgets of processor time: {duration(sum(known))} in all for {len(known)} of {len(trainings)}")
    if any(one.steps is not None for one in trainings):
        print("  how long steps take is known once they are made")


def _print_plan(loaded: LoadedSuite, plan: Plan, store: Store, rows: list[dict[str, Any]]) -> None:
    print(f"{loaded.spelling}: {len(plan.candidates)} model(s) x {len(plan.tasks)} task(s) = {len(rows)} cell(s)")
    print("status: " + ", ".join(f"{count} {status}" for status, count in tally(rows, "status").items()))
    columns = {
        "items": ("items", 8), "requests": ("requests", 9), "texts": ("texts", 9), "unique": ("unique_texts", 9),
        "tokens in": ("tokens_in", 11), "to write": ("tokens_to_generate", 11), "shards": ("shards", 6),
    }  # fmt: skip
    heads = " ".join(f"{head:>{width}}" for head, (_, width) in columns.items())
    print(f"\n  {'type':18} {'task':32} {heads}  status")
    for task in plan.tasks:
        of_task = [row for row in rows if row["task"] == task.label]
        dearest = max(of_task, key=lambda row: (row["tokens_in"] or 0, row["tokens_to_generate"] or 0))
        shown = " ".join(_number(dearest[name], width, name, task.axis) for name, width in columns.values())
        states = ", ".join(sorted({row["status"] for row in of_task}))
        print(f"  {task.type:18} {task.label:32} {shown}  {states}")
    print("  (of the model that costs most)")
    for note, labels in _notes(rows).items():
        print(f"  {first_few(labels)}: {note}")
    for gap, wanted in plan.gaps:
        print(f"\nnot there: {gap.what}: {gap.why} (wanted by {first_few(wanted)})\n    get it: {gap.command}")
    for refused in withheld(plan, store):
        print(f"\nwould not run: task {refused.task}: {refused.reason}")


def _number(value: int | None, width: int, name: str, axis: str) -> str:
    """Return a count, `-` where the axis has none or the cell is not cut, `?` where it is unknown."""
    if name == "shards" and value == 0:
        return f"{'-':>{width}}"
    unknown = "-" if name in NOT_OF_AXIS[axis] else "?"
    return f"{value if value is not None else unknown:>{width}}"


def _notes(rows: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """Return note -> the tasks, or where it holds for all of a model's embedding tasks the models, that have it."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row["note"] and row["status"] != "n/a":
            name = row["task"] if row["axis"] == "ability" else row["model"]
            found.setdefault(row["note"], [])
            if name not in found[row["note"]]:
                found[row["note"]].append(name)
    return found
