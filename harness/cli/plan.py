"""`harness plan`: the matrix, what is there, and what it will cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.candidates.candidate import Candidate
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
from harness.cost import calibrate as calibration
from harness.cost.estimate import CellCost, Totals, cost_of, estimated_tokens, most_expensive, totals, writes_of
from harness.cost.pace import Pace
from harness.errors import InputError
from harness.evaluation.chatter import quiet
from harness.evaluation.permission import withheld
from harness.plan.cells import Cell, Plan
from harness.plan.tasks import resolve_tasks
from harness.results.damage import read
from harness.results.store import Store
from harness.suite.load import LoadedSuite, load_suite
from harness.suite.shipped import shipped_suites
from harness.wording import duration, first_few

LONG_RUN_SECONDS = 3600
"""From here on, cheaper suites are named."""
MILLION = 1e6
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
    as_json: JsonOption = False,
) -> None:
    """Show the matrix, what is there, and what it will cost; needs no network."""
    loaded = loaded_suite(suite, override)
    made = planned(loaded, sources_of(hub, offline), models=models, tasks=tasks, limit=limit)
    if calibrate:
        quiet(results)
    show(
        loaded,
        made,
        Store(results),
        calibrate=calibrate,
        stated=tokens_per_second,
        stated_generation=generated_per_second,
        as_json=as_json,
    )


def show(
    loaded: LoadedSuite,
    plan: Plan,
    store: Store,
    *,
    calibrate: bool,
    stated: float | None,
    stated_generation: float | None,
    as_json: bool,
) -> None:
    """Print the plan.

    Args:
        loaded: the suite, for how it is spelt.
        plan: of it.
        store: what has a score there is not to be run.
        calibrate: measure each model's pace here.
        stated, stated_generation: as in `paces_of`.
        as_json: one JSON document instead of tables.

    Raises:
        InputError: both a calibration and a stated pace were asked for, or the pace of generation alone.
    """
    if calibrate and (stated or stated_generation):
        raise InputError(["--calibrate measures and --tokens-per-second states the pace: give one of them"])
    if stated_generation and not stated:
        raise InputError(["--generated-per-second is the pace of writing: give --tokens-per-second, of reading, too"])

    paces = paces_of(plan, calibrate=calibrate, stated=stated, stated_generation=stated_generation)
    writes = writes_of(plan)
    costs = [cost_of(cell, paces.get(cell.model), writes=writes[cell.model]) for cell in plan.cells]
    rows = [plan_row(cell, store, cost) for cell, cost in zip(plan.cells, costs, strict=True)]
    to_run = [(cell, cost) for cell, cost, row in zip(plan.cells, costs, rows, strict=True)
              if row["status"] in ("to run", "error", "missing")]  # fmt: skip
    summed = totals(to_run, paces)
    if as_json:
        sums = asdict(summed) | {"cells": len(rows), "by_status": tally(rows, "status"), "by_type": tally(rows, "type")}
        pace = {name: asdict(one) if one else None for name, one in paces.items()}
        print_json({"suite": plan.suite.name, "cells": rows, "totals": sums, "paces": pace, "gaps": gap_rows(plan)})
        return
    _print_plan(loaded, plan, store, rows)
    _print_cost(plan, paces, to_run, summed)


def paces_of(
    plan: Plan, *, calibrate: bool, stated: float | None, stated_generation: float | None = None
) -> dict[str, Pace | None]:
    """Return model -> pace, None where none is known.

    Args:
        plan: whose models.
        calibrate: measure it now.
        stated: tokens a second, stated for all models instead.
        stated_generation: tokens written a second; None where it is not stated.
    """
    paces: dict[str, Pace | None] = {}
    for candidate in plan.candidates:
        if stated:
            paces[candidate.name] = calibration.stated(stated, stated_generation)
        elif not isinstance(candidate, Candidate):
            paces[candidate.name] = None
        else:
            known = None if calibrate else calibration.known_pace(candidate)
            paces[candidate.name] = known or (calibration.measure(candidate) if calibrate else None)
    return paces


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


def _print_plan(loaded: LoadedSuite, plan: Plan, store: Store, rows: list[dict[str, Any]]) -> None:
    print(f"{loaded.spelling}: {len(plan.candidates)} model(s) x {len(plan.tasks)} task(s) = {len(rows)} cell(s)")
    print("status: " + ", ".join(f"{count} {status}" for status, count in tally(rows, "status").items()))
    columns = {
        "items": ("items", 8), "requests": ("requests", 9), "texts": ("texts", 9), "unique": ("unique_texts", 9),
        "tokens in": ("tokens_in", 11), "to write": ("tokens_to_generate", 11),
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
    """Return a count, `-` where the axis has none, `?` where it is unknown."""
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


def _print_cost(
    plan: Plan, paces: dict[str, Pace | None], to_run: Sequence[tuple[Cell, CellCost]], summed: Totals
) -> None:
    print(f"\nto run: about {_millions(summed.tokens_in)} tokens through the models", end="")
    if summed.tokens_to_generate_at_most:
        most = _millions(summed.tokens_to_generate_at_most)
        print(f", {_millions(summed.tokens_to_generate)} to generate (at most {most})", end="")
    print(f", {summed.vector_bytes / MILLION:.0f} MB of vectors" if summed.vector_bytes else "")
    if summed.unknown:
        print(f"  {summed.unknown} cell(s) have no known cost and are not in these sums")
    for name, pace in paces.items():
        print(f"  pace of {name}: {pace.source if pace else 'not known: --calibrate measures it here'}")
    if summed.seconds is not None:
        without = f", {summed.untimed} cell(s) without a pace not in it" if summed.untimed else ""
        print(f"  time: about {duration(summed.seconds)}{without}")
    if len(plan.tasks) > 1:
        ranked, unit = most_expensive(to_run)
        dear = ", ".join(
            f"{label} ({duration(cost) if unit == 'seconds' else _millions(cost) + ' tokens'})"
            for label, cost in ranked
        )
        print(f"  most expensive, all models together: {dear}" if dear else "  nothing to run has a known cost")
    if summed.seconds is None or summed.seconds > LONG_RUN_SECONDS:
        _print_cheaper(plan)


def _print_cheaper(plan: Plan) -> None:
    own = estimated_tokens(plan.tasks)
    cheaper = []
    for name in shipped_suites():
        tasks = resolve_tasks(load_suite(name).suite)
        tokens = estimated_tokens(tasks)
        if 0 < tokens < own / 2 and not any(task.custom for task in tasks):
            cheaper.append((tokens, name))
    if cheaper:
        shown = ", ".join(
            f"{name} ({tokens / own:.2%} of the tokens)" for tokens, name in sorted(cheaper, reverse=True)
        )
        print(f"  cheaper: --limit N, or the suites {shown}")


def _millions(tokens: float) -> str:
    """Return a number of tokens in millions, such as `0.04M` or `710M`."""
    millions = tokens / MILLION
    return f"{millions:,.0f}M" if millions >= 10 else f"{millions:.2g}M"
