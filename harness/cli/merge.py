"""`harness merge`: results folders of machines without a shared disk, joined into one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.options import (
    HubOption,
    JsonOption,
    LimitOption,
    ModelsOption,
    OfflineOption,
    SetOption,
    TasksOption,
    loaded_suite,
    planned,
    print_json,
    sources_of,
)
from harness.comparison.making import made_with
from harness.errors import ExitCode, InputError
from harness.plan.cells import Plan
from harness.provision.progress import bytes_text
from harness.results.damage import read
from harness.results.facts import name_of
from harness.results.merge import Merged, Refused
from harness.results.merge import merge as merge_folders
from harness.results.merge_cells import Differing, Whole
from harness.results.outcome import needs_work
from harness.results.records import Failure
from harness.results.store import Store
from harness.wording import first_lines
from harness.writing import refuse

SHOWN = 50
"""Cells without a score that are listed; `--json` has all."""


def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR", help="Results folders, one a machine.")],
    results: Annotated[Path, typer.Option("--results", help="Where they are joined: a new folder, or one of results.")],
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="SUITE", help="Also list its cells that are without a score then.")
    ] = None,
    models: ModelsOption = "",
    tasks: TasksOption = "",
    limit: LimitOption = None,
    hub: HubOption = None,
    offline: OfflineOption = False,
    override: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Join results folders, as of `harness run SUITE --shard i/n` on each machine; what is not whole is named."""
    refuse({"--results": results})
    plan = None
    if suite is None:
        _refuse_without_suite({"--models": models, "--tasks": tasks, "--limit": limit, "-o": override})
    else:
        sources = sources_of(hub, offline)
        plan = planned(loaded_suite(suite, override), sources, models=models, tasks=tasks, limit=limit)
    try:
        merged = merge_folders(folders, results)
    except KeyboardInterrupt:
        print("interrupted: what was copied is whole; the same command goes on from there", file=sys.stderr)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    code = ExitCode.OK if merged.is_complete else ExitCode.CELLS_FAILED
    lacking = [] if plan is None else _without_score(plan, Store(results))
    if as_json:
        print_json(_document(merged, code) | ({} if plan is None else {"without_score": lacking}))
    else:
        _show(merged, suite, None if plan is None else (lacking, len(plan.cells)))
    raise typer.Exit(code)


def _refuse_without_suite(flags: dict[str, object]) -> None:
    given = [flag for flag, value in flags.items() if value]
    if given:
        raise InputError([f"{flag}: is about the cells of --suite SUITE, which is not given" for flag in given])


def _without_score(plan: Plan, store: Store) -> list[dict[str, str | None]]:
    """Return the cells that `harness run` would run, each with what is known of why."""
    found = []
    for cell in plan.cells:
        if needs_work(cell, store):
            stored = read(cell, store)
            failed = f"{stored.error}: {stored.message}".splitlines()[0] if isinstance(stored, Failure) else None
            found.append({"cell": str(cell), "key": cell.key, "why": failed or cell.reason})
    return found


def _show(merged: Merged, suite: str | None, lacking: tuple[list[dict[str, str | None]], int] | None) -> None:
    for one in merged.differing:
        for line in _differing_lines(one, merged.results):
            print(line, file=sys.stderr)
    for refused in merged.refused:
        print(_refused_line(refused), file=sys.stderr)
    for line in _steps(merged):
        print(line, file=sys.stderr)
    copied = f"{merged.cells} cell(s), {merged.failures} failure(s), {merged.shards} shard(s)"
    there = f"{merged.cells_there} cell(s), {merged.failures_there} failure(s), {merged.shards_there} shard(s)"
    print(f"merged into {merged.results}: {copied}, {bytes_text(merged.bytes)}; already there: {there}")
    if lacking is not None:
        rows, all_cells = lacking
        print(f"{suite}: {len(rows)} of {all_cells} cell(s) without a score{':' if rows else ''}")
        lines = [f"  {row['cell']}" + (f": {row['why']}" if row["why"] else "") for row in rows]
        print("".join(f"{line}\n" for line in first_lines(lines, most=SHOWN)), end="")
    what = "runs what is without a score, and writes the report"
    if merged.shards or merged.shards_there:
        what = "closes the cells that were made in shards (what is in one is not encoded again), and writes the report"
    print(f"next: harness run {suite or 'SUITE'} --results {merged.results}   {what}")


def _differing_lines(one: Differing, results: Path) -> list[str]:
    """Say which two scores a cell has, and, where they contradict each other, what they were made with."""
    first, other = one.first, one.other
    cell = f"{name_of(first.score)} ({first.score.key})"
    scores = f"{first.score.score!r} in {first.folder}, {other.score.score!r} in {other.folder}"
    if one.contradiction is None:
        what = "last digits differ" if first.score.score != other.score.score else "per-item results differ"
        return [f"{what}: {cell}: {scores}; that of {first.folder} is kept"]
    stays = "neither is copied" if first.folder != results else f"that of {results} stays, the other is not copied"
    return [
        f"conflict: {cell}: {scores}; {one.contradiction}; {stays}",
        *(f"  {line}" for line in _made_unlike(first, other)),
    ]


def _made_unlike(first: Whole, other: Whole) -> list[str]:
    sides = made_with(first.score), made_with(other.score)
    found = [
        f"{what}: {sides[0].get(what, 'not recorded')} in {first.folder}, {sides[1].get(what, 'not recorded')} in "
        f"{other.folder}"
        for what in dict.fromkeys((*sides[0], *sides[1]))
        if sides[0].get(what) != sides[1].get(what)
    ]
    return found or ["by what they say of themselves, both were made alike"]


def _refused_line(one: Refused) -> str:
    instead = f"; that of {one.instead} counts" if one.instead else ""
    return f"refused: {one.what}: {one.path}: {one.why}{instead}"


def _steps(merged: Merged) -> list[str]:
    lines = []
    if any(one.instead is None for one in merged.refused):
        again = "run those parts again where they were made (the same `harness run`; what is whole is kept)"
        lines.append(f"next: {again}, and merge again: {_no_longer(merged)}")
    if merged.conflicts:
        lines.append("next: remove the record (KEY.json) of the score that is not to be believed, and merge again")
    return lines


def _no_longer(merged: Merged) -> str:
    lost = sum(one.instead is None for one in merged.refused)
    return f"{lost} of what was refused was whole in no folder, and is not in {merged.results}"


def _document(merged: Merged, code: ExitCode) -> dict[str, Any]:
    return {
        "results": str(merged.results),
        "exit_code": int(code),
        "copied": {
            "cells": merged.cells,
            "failures": merged.failures,
            "shards": merged.shards,
            "bytes": merged.bytes,
        },
        "already_there": {
            "cells": merged.cells_there,
            "failures": merged.failures_there,
            "shards": merged.shards_there,
        },
        "refused": [
            {"what": one.what, "path": str(one.path), "why": one.why, "instead": one.instead and str(one.instead)}
            for one in merged.refused
        ],
        "differing": [_row(one) for one in merged.differing],
    }


def _row(one: Differing) -> dict[str, Any]:
    sides = (one.first, one.other)
    return {
        "cell": name_of(one.first.score),
        "key": one.first.score.key,
        "scores": [{"folder": str(side.folder), "score": side.score.score} for side in sides],
        "conflict": one.contradiction,
        "made_unlike": _made_unlike(*sides),
    }
