"""`harness doctor`: is everything a suite needs here, whole, and can it be opened?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from harness.candidates.named import named_candidate
from harness.cli.options import (
    JsonOption,
    ModelsOption,
    SetOption,
    TasksOption,
    hub_option,
    print_json,
    sources_of,
    suite_needs,
)
from harness.errors import ExitCode, InputError
from harness.provision.doctor import Check, Status, engine_checks, examine, sandbox_check, surroundings
from harness.provision.folders import folder_checks
from harness.provision.invariance import Invariance
from harness.provision.invariance import invariance as invariance_of
from harness.provision.invariance_rows import Row
from harness.provision.wanted import Needs
from harness.sources.places import Sources


def doctor(
    suite: Annotated[str | None, typer.Argument(metavar="SUITE", help="A suite file, or a shipped one's name.")] = None,
    invariance: Annotated[
        str | None,
        typer.Option(
            "--invariance", metavar="MODEL", help="Does batch, order, padding, dtype or thread move a vector?"
        ),
    ] = None,
    hub: Annotated[Path | None, hub_option("The local hub to look at.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask whether the hub can be reached.")] = False,
    results: Annotated[
        Path | None, typer.Option("--results", help="Also try whether results can be written here.")
    ] = None,
    models: ModelsOption = "",
    tasks: TasksOption = "",
    override: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open every dataset and model of the suite and say what is missing, changed, unreadable or of another size.

    With --invariance instead: encode texts of its own with MODEL (a candidate directory, SUITE:MODEL or an entry in
    braces) in other batches, orders, dtypes and so on; exit 1 where a vector or a score moves beyond what is stated.
    """
    if invariance is not None:
        _only_invariance(suite, models, tasks, results)
        _invariance(invariance, sources_of(hub, offline), override or [], as_json=as_json)
        return
    if suite is None:
        raise InputError(["doctor: name a SUITE, or a model with --invariance MODEL"])
    sources = sources_of(hub, offline, otherwise=f"harness fetch {suite} --hub {hub} makes and fills it")
    needs = suite_needs(suite, override, models, tasks)
    around = surroundings(sources)
    checks = examine(needs, sources, fetch_command=f"harness fetch {suite} --hub {hub or 'DIR'}")
    checks += [*sandbox_check(needs), *engine_checks(), *folder_checks(sources, results)]
    is_complete = all(check.status == "ok" for check in checks)
    if as_json:
        print_json({"complete": is_complete, "checks": [one.row() for one in checks], "notes": needs.notes} | around)
    else:
        _print_doctor(checks, needs, around)
    if needs.refused:
        raise typer.Exit(ExitCode.USER_ERROR)
    if not is_complete:
        raise typer.Exit(ExitCode.ENVIRONMENT)


def _only_invariance(suite: str | None, models: str, tasks: str, results: Path | None) -> None:
    """Raise InputError for what --invariance has no use for."""
    named = {"SUITE": suite, "--models": models, "--tasks": tasks, "--results": results}
    said = [name for name, value in named.items() if value]
    if said:
        raise InputError([f"{name}: --invariance names its model itself (SUITE:MODEL); take it out" for name in said])


def _invariance(reference: str, sources: Sources, override: list[str], *, as_json: bool) -> None:
    found = invariance_of(named_candidate(reference, sources, override))
    if as_json:
        rows = [asdict(row) | {"holds": row.holds} for row in found.rows]
        print_json(asdict(found) | {"rows": rows, "holds": found.holds})
    else:
        _print_invariance(found)
    if not found.holds:
        raise typer.Exit(ExitCode.GATE_FAILED)


def _print_invariance(found: Invariance) -> None:
    asked = f" as {found.role}s" if found.role else ""
    print(f"{found.model}: {found.dtype} on {found.device}, {found.texts} texts of its own{asked}, each alone:")
    pairs = "all pairs are alike to it" if found.sts is None else f"pairs {found.sts:.2f} (Spearman)"
    print(f"  {pairs}, queries {found.retrieval:.2f} (nDCG@10); no benchmark")
    for text in found.left_out:
        print(f"  left out: {text}")
    width = max(len(row.what) for row in found.rows)
    for row in found.rows:
        print(f"{_verdict(row):10} {row.what:{width}}  {_said(row)}")
    moved = sum(not row.holds for row in found.rows if row.counts)
    print(f"{moved} of {len(found.rows)} move a vector or a score" if moved else "nothing moves beyond its tolerance")


def _verdict(row: Row) -> str:
    if row.why_not:
        return "not tried"
    return "ok" if row.holds else "failed" if row.failed else "moves" if row.counts else "would move"


def _said(row: Row) -> str:
    if row.why_not or row.failed:
        return str(row.why_not or row.failed)
    parts = [f"largest cosine loss {row.cosine_loss:.1e} ({row.text})"]
    moved = [f"{name} {by:+.2f}" for name, by in (("pairs", row.sts), ("queries", row.retrieval)) if by is not None]
    if moved:
        parts.append(f"{', '.join(moved)} points")
    if row.rationales:
        parts.append(f"rationales {row.rationales}")
    if row.tolerance:
        parts.append(f"allowed {row.tolerance.cosine_loss:.0e}, {row.tolerance.points:g} points")
    return "; ".join(parts)


def _print_doctor(checks: list[Check], needs: Needs, around: dict[str, Any]) -> None:
    print("versions: " + ", ".join(f"{name} {found}" for name, found in around["versions"].items()))
    print(f"device: {around['device']}")
    for path, free in around["free_disk_bytes"].items():
        print(f"free disk: {free / 1e9:.1f} GB at {path}")
    for path, size in around["caches_bytes"].items():
        print(f"cache: {size / 1e6:.1f} MB in {path}")
    print(f"network: {around['network']}")
    for note in needs.notes:
        print(f"note: {note}")
    width = max((len(check.what) for check in checks), default=0)
    for check in checks:
        print(f"{check.status:10} {check.what:{width}}  {check.detail}")
        if check.step:
            print(f"{'':10} {'':{width}}  next: {check.step}")
    tally = {status: sum(check.status == status for check in checks) for status in get_args(Status)[1:]}
    lacking = ", ".join(f"{count} {status}" for status, count in tally.items() if count)
    print(f"not complete: {lacking}" if lacking else f"complete: all {len(checks)} checks are ok")
