"""The `harness` command. Every heavy import stands inside its command, so that `--help` answers at once."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness import cli_compare, cli_data, cli_gate
from harness.errors import ExitCode, HarnessError, InputError

if TYPE_CHECKING:
    from harness.hub import Sources
    from harness.plan import Plan
    from harness.results import Result
    from harness.store import Store
    from harness.suite_load import LoadedSuite

app = typer.Typer(
    name="harness",
    help="Is it a better text encoder, and what did it forget? Evaluate encoders on MTEB and general ability.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
cli_data.add_to(app)
cli_compare.add_to(app)
cli_gate.add_to(app)

SuiteArgument = Annotated[str, typer.Argument(metavar="SUITE", help="A suite file, or the name of a shipped one.")]
ResultsOption = Annotated[Path, typer.Option("--results", help="Where results are kept.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Where reports go [reports/out/SUITE].")]
HubOption = Annotated[
    Path | None, typer.Option("--hub", envvar="HARNESS_HUB", help="A local hub, looked up before the network.")
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Never ask the network.")]
ModelsOption = Annotated[str, typer.Option("--models", help="Only these models, comma-separated.")]
TasksOption = Annotated[str, typer.Option("--tasks", help="Only these tasks, comma-separated.")]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="Scored items a task.")]
SetOption = Annotated[list[str] | None, typer.Option("-o", metavar="KEY=VALUE", help="Override a value of the suite.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
AvailableOption = Annotated[bool, typer.Option("--available", help="Run what can be run; show gaps as missing.")]


class ReportFormat(StrEnum):
    """What a report can also be written as."""

    LATEX = "latex"


@app.command()
def run(
    suite: SuiteArgument,
    results: ResultsOption = Path("results"),
    out: OutOption = None,
    hub: HubOption = None,
    offline: OfflineOption = False,
    models: ModelsOption = "",
    tasks: TasksOption = "",
    limit: LimitOption = None,
    available: AvailableOption = False,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes on this machine.")] = 1,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Write every rationale anew; neither read nor fill the cache.")
    ] = False,
    override: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run every cell (model x task) that has no result yet, then write the report."""
    loaded = _load(suite, override)
    sources = _sources(hub, offline)
    _quiet(results)
    from harness.progress import reporter_for
    from harness.run import RunOptions
    from harness.run import run as run_suite
    from harness.store import Store

    options = RunOptions(
        results=results,
        sources=sources,
        models=_names(models),
        tasks=_names(tasks),
        limit=limit,
        available=available,
        workers=workers,
        use_cache=not no_cache,
    )
    try:
        outcome = run_suite(loaded.suite, options, reporter_for(sys.stderr))
    except KeyboardInterrupt:
        print("interrupted: finished cells are kept; the same command goes on from there", file=sys.stderr)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    files = _write(loaded, outcome.plan, outcome.results, Store(results), out)
    _show(outcome.plan, outcome.results, files, as_json, outcome.exit_code)
    raise typer.Exit(outcome.exit_code)


@app.command()
def report(
    suite: SuiteArgument,
    results: ResultsOption = Path("results"),
    out: OutOption = None,
    hub: HubOption = None,
    offline: OfflineOption = False,
    models: ModelsOption = "",
    tasks: TasksOption = "",
    limit: LimitOption = None,
    override: SetOption = None,
    form: Annotated[
        ReportFormat | None, typer.Option("--format", help="Also write this: latex, as report.tex.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the report from results on disk; runs nothing."""
    loaded = _load(suite, override)
    plan = _plan(loaded, hub, offline, models, tasks, limit)
    from harness.run import outcome_of
    from harness.store import Store

    outcome = outcome_of(plan, Store(results))
    files = _write(loaded, outcome.plan, outcome.results, Store(results), out, with_latex=form is not None)
    # What is missing lacks nothing for a report; a failed cell is worth an exit code.
    failed = any(result.status == "error" for result in outcome.results.values())
    code = ExitCode.CELLS_FAILED if failed else ExitCode.OK
    _show(outcome.plan, outcome.results, files, as_json, code)
    raise typer.Exit(code)


@app.command()
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
    loaded = _load(suite, override)
    made = _plan(loaded, hub, offline, models, tasks, limit)
    from harness import cli_plan
    from harness.store import Store

    if calibrate:
        _quiet(results)
    cli_plan.show(
        loaded,
        made,
        Store(results),
        calibrate=calibrate,
        stated=tokens_per_second,
        stated_generation=generated_per_second,
        as_json=as_json,
    )


@app.command()
def validate(
    suites: Annotated[list[str], typer.Argument(metavar="SUITE", help="Suite files, or names of shipped ones.")],
    override: SetOption = None,
) -> None:
    """Check suites: every problem of every file at once; loads no engine."""
    from harness.plan import resolve_tasks
    from harness.suite_load import load_suite

    problems: list[str] = []
    for source in suites:
        try:
            loaded = load_suite(source, override or ())
        except InputError as error:
            problems.extend(error.problems)
        else:
            count = len(resolve_tasks(loaded.suite))
            print(f"{loaded.spelling}: ok, {len(loaded.suite.models)} model(s) x {count} task(s)")
    if problems:
        raise InputError(problems)


@app.command()
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
        _list_cells(suite, cells or [], results, _sources(hub, offline), as_json)


@app.command()
def inspect(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="model/task, or the beginning of a key.")],
    results: ResultsOption = Path("results"),
    items: Annotated[int, typer.Option("--items", min=0, help="Show so many per-item results.")] = 0,
) -> None:
    """Show everything a stored cell was made of, as JSON; the traceback of a failed one."""
    from harness.inspection import find
    from harness.results import Failure, Score, to_json
    from harness.store import Store

    store = Store(results)
    for one, cells in find(store, cell):
        print(to_json(one), end="")
        if len(cells) > 1:
            print(f"one record, measured once for: {', '.join(cells)}", file=sys.stderr)
        if isinstance(one, Failure):
            print(one.traceback, file=sys.stderr, end="")
        table = store.items_of(one) if items and isinstance(one, Score) else None
        if table is not None:
            print(table.slice(0, items).to_pandas().to_string(max_colwidth=60))


@app.command()
def schema() -> None:
    """Print the JSON Schema of suites."""
    from harness.suite import Suite

    _print_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **Suite.model_json_schema()})


@app.callback(invoke_without_command=True)
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)
    ] = False,
) -> None:
    if show_version:
        from importlib.metadata import version

        print(version("encoder-verdict"))
        raise typer.Exit


def main() -> None:
    """Run the command line; a user's mistake ends with its exit code and no traceback."""
    sys.exit(run_app(app))


def run_app(application: typer.Typer) -> int:
    """Run a typer application and return the exit code; bugs keep their traceback."""
    try:
        application()
    except InputError as error:  # as they are, so that each begins with file:line:column
        print(error, file=sys.stderr)
        return int(error.exit_code)
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
    except SystemExit as leave:  # typer's own end: --help, typer.Exit, wrong usage (2), Ctrl-C (130)
        return leave.code if isinstance(leave.code, int) else int(ExitCode.OK)
    return int(ExitCode.OK)


def _load(suite: str, override: list[str] | None) -> LoadedSuite:
    from harness.suite_load import load_suite

    return load_suite(suite, override or ())


def _sources(hub: Path | None, offline: bool) -> Sources:
    from harness.hub import Sources, go_offline

    if hub is not None and not hub.is_dir():
        raise InputError([f"--hub {hub}: no such folder; expected datasets/ORG/NAME and models/ORG/NAME below it"])
    if offline:
        go_offline()
    return Sources(hub=hub.resolve() if hub else None, offline=offline)


def _plan(loaded: LoadedSuite, hub: Path | None, offline: bool, models: str, tasks: str, limit: int | None) -> Plan:
    from harness.plan import make_plan

    return make_plan(loaded.suite, _sources(hub, offline), models=_names(models), tasks=_names(tasks), limit=limit)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _quiet(results: Path) -> None:
    """Send the engines' chatter to a log file, so that the terminal shows progress alone."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    log = results / "logs" / "harness.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(log, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    warnings.simplefilter("default")


def _write(
    loaded: LoadedSuite,
    plan: Plan,
    results: dict[str, Result],
    store: Store,
    out: Path | None,
    *,
    with_latex: bool = False,
) -> list[Path]:
    from harness.report.write import write_report

    return write_report(plan, results, store, out or Path("reports/out") / loaded.suite.name, with_latex=with_latex)


def _show(plan: Plan, results: dict[str, Result], files: list[Path], as_json: bool, code: ExitCode) -> None:
    from harness.report.table import build

    report = build(plan, results)
    if as_json:
        cells = [
            {"cell": str(view.cell), "status": view.status, "score": view.value, "key": view.cell.key}
            for view in report.cells.values()
        ]
        _print_json(
            {"suite": plan.suite.name, "exit_code": int(code), "cells": cells, "files": [str(f) for f in files]}
        )
        return
    tally: dict[str, int] = {}
    for view in report.cells.values():
        tally[view.status] = tally.get(view.status, 0) + 1
    print(", ".join(f"{count} {status}" for status, count in tally.items()))
    for axis in report.axes:
        for model in axis.models:
            mean = axis.over_tasks[model]
            if mean.value is not None:
                print(f"{axis.axis:10} {model:24} {mean.value:6.2f}  mean over {mean.n} task(s)")
    print(f"report: {files[0]}")


def _list_suites(as_json: bool) -> None:
    from harness.plan import resolve_tasks
    from harness.suite_load import load_suite, shipped_suites

    rows = []
    for name in shipped_suites():
        suite = load_suite(name).suite
        rows.append({"suite": name, "tasks": len(resolve_tasks(suite)), "description": suite.description or ""})
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        print(f"{row['suite']:16} {row['tasks']:4} task(s)  {row['description']}")


def _list_tasks(as_json: bool) -> None:
    from harness.catalogue import catalogue

    tasks = catalogue().tasks.values()
    if as_json:
        _print_json([{"task": t.name, "axis": t.axis, "type": t.type, "metric": t.main_score} for t in tasks])
        return
    for task in tasks:
        print(f"{task.name:48} {task.type:18} {task.main_score:18} {', '.join(task.splits)}")


def _list_cells(suite: str, wanted: list[str], results: Path, sources: Sources, as_json: bool) -> None:
    from harness.cli_plan import plan_row
    from harness.cost import cost_of, writes_of
    from harness.plan import make_plan
    from harness.results import Score
    from harness.store import Store
    from harness.yaml_source import did_you_mean

    plan = make_plan(_load(suite, None).suite, sources)
    names = [str(cell) for cell in plan.cells]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise InputError([f"no cell {name!r} in {suite}{did_you_mean(name, names)}" for name in unknown])
    store = Store(results)
    shown = [cell for cell in plan.cells if not wanted or str(cell) in wanted]
    writes = writes_of(plan)
    rows = [plan_row(cell, store, cost_of(cell, None, writes=writes[cell.model])) for cell in shown]
    if as_json:
        _print_json(rows)
        return
    for cell, row in zip(shown, rows, strict=True):
        stored = store.get(cell.task.name, cell.key)
        score = f"{stored.score:6.2f}" if isinstance(stored, Score) else "     -"
        print(f"{cell!s:48} {row['status']:8} {score}  {cell.key or cell.reason or ''}")


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
