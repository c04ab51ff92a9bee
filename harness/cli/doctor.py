"""`harness doctor`: is everything a suite needs here, whole, and can it be opened?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.options import JsonOption, ModelsOption, SetOption, SuiteArgument, TasksOption, print_json, suite_needs
from harness.errors import ExitCode, InputError
from harness.provision.doctor import Check, engine_checks, examine, sandbox_check, surroundings
from harness.provision.wanted import Needs
from harness.sources.places import Sources


def doctor(
    suite: SuiteArgument,
    hub: Annotated[Path | None, typer.Option("--hub", envvar="HARNESS_HUB", help="The local hub to look at.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask whether the hub can be reached.")] = False,
    models: ModelsOption = "",
    tasks: TasksOption = "",
    override: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open every dataset and model of the suite and say what is missing, changed or unreadable; downloads nothing."""
    if hub is not None and not hub.is_dir():
        raise InputError([f"--hub {hub}: no such folder; harness fetch {suite} --hub {hub} makes and fills it"])
    needs, spelling = suite_needs(suite, override, models, tasks)

    sources = Sources(hub=hub.resolve() if hub else None, offline=offline)
    around = surroundings(sources)
    checks = examine(needs, sources, fetch_command=f"harness fetch {spelling} --hub {hub or 'DIR'}")
    checks += [*sandbox_check(needs), *engine_checks()]
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
    tally = {status: sum(check.status == status for check in checks) for status in ("missing", "changed", "unreadable")}
    lacking = ", ".join(f"{count} {status}" for status, count in tally.items() if count)
    print(f"not complete: {lacking}" if lacking else f"complete: all {len(checks)} checks are ok")
