"""`harness validate`, `ls`, `schema`: what suites say, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import (
    HubOption,
    JsonOption,
    OfflineOption,
    ResultsOption,
    SetOption,
    loaded_suite,
    print_json,
    sources_of,
)
from harness.cli.plan import plan_row
from harness.cost.estimate import cost_of, writes_of
from harness.errors import InputError
from harness.plan.pieces import cuttings_of
from harness.plan.planner import make_plan
from harness.plan.tasks import resolve_tasks
from harness.results.damage import read
from harness.results.records import Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.load import load_suite
from harness.suite.schema import Suite
from harness.suite.shipped import shipped_suites
from harness.tasks.catalogue import catalogue
from harness.wording import did_you_mean


def validate(
    suites: Annotated[list[str], typer.Argument(metavar="SUITE", help="Suite files, or names of shipped ones.")],
    override: SetOption = None,
) -> None:
    """Check suites: every problem of every file at once; loads no engine."""
    problems: list[str] = []
    for source in suites:
        try:
            loaded = loaded_suite(source, override)
        except InputError as error:
            problems.extend(error.problems)
        else:
            tasks = resolve_tasks(loaded.suite)
            print(f"{loaded.spelling}: ok, {len(loaded.suite.models)} model(s) x {len(tasks)} task(s)")
            for line in (f"{task.name}: {said}" for task in tasks for said in task.remarks):
                print(f"  remark: {line}")
    if problems:
        raise InputError(problems)


def ls(
    suite: Annotated[
        str | None, typer.Argument(metavar="SUITE", help="List its cells; without: shipped suites.")
    ] = None,
    cells: Annotated[list[str] | None, typer.Argument(metavar="CELL", help="Only cells such as base/STS12.")] = None,
    tasks: Annotated[bool, typer.Option("--tasks", help="List every task that can be named.")] = False,
    results: ResultsOption = Path("results"),
    hub: HubOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
) -> None:
    """List shipped suites, the cells of a suite with their state, or all tasks."""
    if tasks:
        _list_tasks(as_json)
    elif suite is None:
        _list_suites(as_json)
    else:
        _list_cells(suite, cells or [], results, sources_of(hub, offline), as_json)


def schema() -> None:
    """Print the JSON Schema of suites."""
    print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **Suite.model_json_schema()})


def _list_suites(as_json: bool) -> None:
    rows = []
    for name in shipped_suites():
        suite = load_suite(name).suite
        rows.append({"suite": name, "tasks": len(resolve_tasks(suite)), "description": suite.description or ""})
    if as_json:
        print_json(rows)
        return
    for row in rows:
        print(f"{row['suite']:16} {row['tasks']:4} task(s)  {row['description']}")


def _list_tasks(as_json: bool) -> None:
    tasks = catalogue().tasks.values()
    if as_json:
        print_json([{"task": t.name, "axis": t.axis, "type": t.type, "metric": t.main_score} for t in tasks])
        return
    for task in tasks:
        print(f"{task.name:48} {task.type:18} {task.main_score:18} {', '.join(task.splits)}")


def _list_cells(suite: str, wanted: list[str], results: Path, sources: Sources, as_json: bool) -> None:
    plan = make_plan(loaded_suite(suite, None).suite, sources)
    names = [str(cell) for cell in plan.cells]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise InputError([f"no cell {name!r} in {suite}{did_you_mean(name, names)}" for name in unknown])
    store = Store(results)
    shown = [cell for cell in plan.cells if not wanted or str(cell) in wanted]
    writes, cuttings = writes_of(plan), cuttings_of(plan)
    costs = [cost_of(cell, None, writes=writes[cell.model], cutting=cuttings[cell.model]) for cell in shown]
    rows = [plan_row(cell, store, cost) for cell, cost in zip(shown, costs, strict=True)]
    if as_json:
        print_json(rows)
        return
    for cell, row in zip(shown, rows, strict=True):
        stored = read(cell, store)
        score = f"{stored.score:6.2f}" if isinstance(stored, Score) else "     -"
        print(f"{cell!s:48} {row['status']:8} {score}  {cell.key or cell.reason or ''}")
