"""`harness run`: every cell that has no result yet, then the report; `harness report`: the report alone."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import (
    AvailableOption,
    HubOption,
    JsonOption,
    LimitOption,
    ModelsOption,
    OfflineOption,
    OutOption,
    ResultsOption,
    SetOption,
    SuiteArgument,
    TasksOption,
    TrackOption,
    loaded_suite,
    names_of,
    planned,
    print_json,
    sources_of,
)
from harness.environment import settle_caches, versions
from harness.errors import ExitCode, InputError
from harness.evaluation.chatter import quiet
from harness.evaluation.executors.table import EXECUTORS
from harness.evaluation.options import RunOptions
from harness.evaluation.progress import reporter_for
from harness.evaluation.run import run as run_suite
from harness.evaluation.tracking import TrackingReporter
from harness.published.public import read_public
from harness.report.write import Written, write_report
from harness.results.outcome import outcome_of
from harness.results.records import Result
from harness.results.store import Store
from harness.results.versions import made_by_others
from harness.suite.load import LoadedSuite
from harness.trackers import check_tracker, speaking_aside
from harness.training.otherwise import trained_otherwise
from harness.wording import listing
from harness.writing import refuse, saying


class ReportFormat(StrEnum):
    """What a report can also be written as."""

    LATEX = "latex"


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
    train: Annotated[
        bool, typer.Option("--train", help="First train, with grace, the candidates that are missing.")
    ] = False,
    executor: Annotated[str, typer.Option("--executor", help=f"Where cells run: {listing(EXECUTORS)}.")] = "local",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            show_default=False,
            help="Processes on this machine (1 unless said), or Ray actors (one a GPU, else one a node).",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option("--shard", help="i/n: make the i-th of n shares of the work, from 1; start one run for each."),
    ] = None,
    cell_timeout: Annotated[
        float | None,
        typer.Option("--cell-timeout", min=1, help="Seconds for a cell, or a shard, before its worker is ended."),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Write every rationale anew; neither read nor fill the cache.")
    ] = False,
    track: TrackOption = None,
    override: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run every cell (model x task) that has no result yet, then write the report."""
    check_tracker(track)
    loaded = loaded_suite(suite, override)
    out = out or _reports_of(loaded)
    refuse({"--results": results, "--out": out})
    published = read_public(loaded.suite)
    sources = sources_of(hub, offline)
    quiet(results)
    settle_caches(results / "caches")
    otherwise = trained_otherwise(loaded.suite, names_of(models))
    for line in otherwise:
        print(line, file=sys.stderr)
    options = RunOptions(
        results=results,
        sources=sources,
        models=names_of(models),
        tasks=names_of(tasks),
        limit=limit,
        train=train,
        available=available,
        executor=executor,
        workers=workers,
        part=part_of(shard),
        cell_timeout=cell_timeout,
        use_cache=not no_cache,
    )
    try:
        told = {"suite": loaded.suite.name, "limit": limit or loaded.suite.limit, "versions": versions()}
        reporter = TrackingReporter(reporter_for(sys.stderr), track, name=loaded.suite.name, config=told)
        with speaking_aside(track):
            outcome = run_suite(loaded.suite, options, reporter)
    except KeyboardInterrupt:
        kept = "checkpoints and finished cells" if train else "finished cells"
        print(f"interrupted: {kept} are kept; the same command goes on from there", file=sys.stderr)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    kept = f"the results are kept: harness report {loaded.spelling} --results {results} --out OTHER"
    with saying(f"--out {out}", step=kept):
        written = write_report(
            outcome.plan,
            outcome.results,
            Store(results),
            out,
            remarks=[*otherwise, *_of_versions(outcome.results.values())],
            published=published,
        )
    _show(written, as_json, outcome.exit_code)
    raise typer.Exit(outcome.exit_code)


def part_of(shard: str | None) -> tuple[int, int] | None:
    """Return (i, n) of `i/n`; raises InputError where it is no share."""
    if shard is None:
        return None
    found = re.fullmatch(r"(\d+)/(\d+)", shard.strip())
    number, parts = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= parts:
        counted = f"; counted from 1, the first is 1/{parts}" if found and number == 0 and parts else ""
        raise InputError(
            [f"--shard {shard!r}: expected i/n with i from 1 to n, such as 1/8 for the first of eight{counted}"]
        )
    return number, parts


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
    no_texts: Annotated[
        bool, typer.Option("--no-texts", help="Leave the texts of the data out: items that moved, rationales.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the report from results on disk; runs nothing."""
    loaded = loaded_suite(suite, override)
    out = out or _reports_of(loaded)
    refuse({"--out": out})
    published = read_public(loaded.suite)
    plan = planned(loaded, sources_of(hub, offline), models=models, tasks=tasks, limit=limit)
    outcome = outcome_of(plan, Store(results))
    with saying(f"--out {out}"):
        written = write_report(
            outcome.plan,
            outcome.results,
            Store(results),
            out,
            with_latex=form is not None,
            remarks=[*trained_otherwise(loaded.suite, names_of(models)), *_of_versions(outcome.results.values())],
            published=published,
            with_texts=not no_texts,
        )
    # What is missing lacks nothing for a report; a failed cell is worth an exit code.
    failed = any(result.status == "error" for result in outcome.results.values())
    code = ExitCode.CELLS_FAILED if failed else ExitCode.OK
    _show(written, as_json, code)
    raise typer.Exit(code)


def _reports_of(loaded: LoadedSuite) -> Path:
    return Path("reports/out") / loaded.suite.name


def _of_versions(results: Iterable[Result]) -> list[str]:
    """Say where stored scores were made by other versions than those installed; returns it for the report."""
    lines = made_by_others(results, versions())
    for line in lines:
        print(line, file=sys.stderr)
    return lines


def _show(written: Written, as_json: bool, code: ExitCode) -> None:
    summary, files = written
    if as_json:
        cells = [
            {"cell": str(view.cell), "status": view.status, "score": view.value, "key": view.cell.key}
            for view in summary.cells.values()
        ]
        print_json({"suite": summary.title, "exit_code": int(code), "cells": cells, "files": [str(f) for f in files]})
        return
    tally: dict[str, int] = {}
    for view in summary.cells.values():
        tally[view.status] = tally.get(view.status, 0) + 1
    print(", ".join(f"{count} {status}" for status, count in tally.items()))
    for axis in summary.axes:
        for model in axis.models:
            mean = axis.over_tasks[model]
            if mean.value is not None:
                print(f"{axis.axis:10} {model:24} {mean.value:6.2f}  mean over {mean.n} task(s)")
    print(f"report: {files[0]}")
