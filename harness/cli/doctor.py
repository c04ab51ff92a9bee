"""`harness doctor`: is everything a suite needs here, whole, and can it be opened?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from harness.cli.options import (
    JsonOption,
    ModelsOption,
    SetOption,
    SuiteArgument,
    TasksOption,
    hub_option,
    print_json,
    sources_of,
    suite_needs,
)
from harness.errors import ExitCode
from harness.provision.doctor import Check, Status, engine_checks, examine, sandbox_check, surroundings
from harness.provision.folders import folder_checks
from harness.provision.wanted import Needs


def doctor(
    suite: SuiteArgument,
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
    """Open every dataset and model of the suite and say what is missing, changed, unreadable or of another size."""
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
    if not is_complete:
        raise typer.Exit(ExitCode.ENVIRONMENT)


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
