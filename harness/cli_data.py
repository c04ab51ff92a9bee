"""The commands that get data and models and look whether they are whole: `harness fetch`, `harness doctor`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.errors import EnvironmentGapError, ExitCode, InputError

if TYPE_CHECKING:
    from harness.doctor import Check
    from harness.fetch import Fetched
    from harness.wanted import Needs

SuiteArgument = Annotated[str, typer.Argument(metavar="SUITE", help="A suite file, or the name of a shipped one.")]
ModelsOption = Annotated[str, typer.Option("--models", help="Only these models, comma-separated.")]
TasksOption = Annotated[str, typer.Option("--tasks", help="Only these tasks, comma-separated.")]
SetOption = Annotated[list[str] | None, typer.Option("-o", metavar="KEY=VALUE", help="Override a value of the suite.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command()(fetch)
    app.command()(doctor)


def fetch(
    suite: SuiteArgument,
    hub: Annotated[
        Path | None, typer.Option("--hub", envvar="HARNESS_HUB", help="The local hub to fill; made if need be.")
    ] = None,
    models: ModelsOption = "",
    tasks: TasksOption = "",
    update: Annotated[bool, typer.Option("--update", help="Resolve anew what the suite does not pin.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for a silent server.")] = 30.0,
    retries: Annotated[int, typer.Option("--retries", min=0, help="Tries after one that got no further.")] = 5,
    override: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Download every dataset and model the suite names into a local hub, and lock them; goes on where it stopped."""
    if hub is None:
        raise InputError(["fetch needs --hub DIR (or HARNESS_HUB): the folder to download to"])
    needs, _ = _needs(suite, override, models, tasks)
    from harness.fetch import FetchOptions
    from harness.fetch import fetch as fetch_all
    from harness.fetch_progress import FetchProgress
    from harness.hub_client import Patience

    progress = FetchProgress()
    options = FetchOptions(
        hub=hub.resolve(), patience=Patience(timeout_seconds=timeout, retries=retries), update=update
    )
    try:
        outcomes = fetch_all(needs, options, progress)
    except KeyboardInterrupt:
        progress.close()
        print("interrupted: the same command goes on from there", file=sys.stderr)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    finally:
        progress.close()
    _show_fetched(needs, outcomes, hub, as_json)


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
    needs, spelling = _needs(suite, override, models, tasks)
    from harness.doctor import engine_checks, examine, sandbox_check, surroundings
    from harness.hub import Sources

    sources = Sources(hub=hub.resolve() if hub else None, offline=offline)
    around = surroundings(sources)
    checks = examine(needs, sources, fetch_command=f"harness fetch {spelling} --hub {hub or 'DIR'}")
    checks += [*sandbox_check(needs), *engine_checks()]
    is_complete = all(check.status == "ok" for check in checks)
    if as_json:
        _print_json({"complete": is_complete, "checks": [one.row() for one in checks], "notes": needs.notes} | around)
    else:
        _print_doctor(checks, needs, around)
    if not is_complete:
        raise typer.Exit(ExitCode.ENVIRONMENT)


def _needs(suite: str, override: list[str] | None, models: str, tasks: str) -> tuple[Needs, str]:
    """Return what the suite wants and how the user spells it; asks neither network nor local hub."""
    from harness.hub import Sources
    from harness.plan import make_plan
    from harness.suite_load import load_suite
    from harness.wanted import needs_of

    loaded = load_suite(suite, override or ())
    plan = make_plan(loaded.suite, Sources(), models=_names(models), tasks=_names(tasks))
    return needs_of(plan), suite


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _show_fetched(needs: Needs, outcomes: list[Fetched], hub: Path, as_json: bool) -> None:
    failed = [one for one in outcomes if one.error is not None]
    if as_json:
        rows = [one.row() for one in outcomes]
        gaps = [{"what": gap.what, "why": gap.why, "next": gap.command} for gap in needs.gaps]
        document = {"hub": str(hub), "complete": not failed and not gaps, "repositories": rows, "gaps": gaps}
        _print_json(document | {"notes": needs.notes})
    else:
        for note in needs.notes:
            print(f"note: {note}")
        from harness.fetch_progress import bytes_text

        size = sum(file.size for one in outcomes if one.entry for file in one.entry.files.values())
        print(f"{len(outcomes) - len(failed)} of {len(outcomes)} complete in {hub}, {bytes_text(size)}")
    lines = [f"  - {one.error.why}\n    next: {one.error.step}" for one in failed if one.error]
    lines += [f"  - {gap.what}: {gap.why}\n    next: {gap.command}" for gap in needs.gaps]
    if lines:
        raise EnvironmentGapError([f"{len(lines)} thing(s) could not be had; the rest is in {hub}:", *lines])


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


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))
