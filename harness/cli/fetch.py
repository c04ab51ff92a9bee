"""`harness fetch`: every dataset and model of a suite into a local hub."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import (
    JsonOption,
    ModelsOption,
    SetOption,
    SuiteArgument,
    TasksOption,
    hub_option,
    print_json,
    suite_needs,
)
from harness.errors import EnvironmentGapError, ExitCode, InputError
from harness.provision.fetch import Fetched, FetchOptions
from harness.provision.fetch import fetch as fetch_all
from harness.provision.progress import FetchProgress, bytes_text
from harness.provision.wanted import Needs
from harness.sources.hub_client import Patience
from harness.writing import refuse


def fetch(
    suite: SuiteArgument,
    hub: Annotated[Path | None, hub_option("The local hub to fill; made if need be.")] = None,
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
    refuse({"--hub": hub})
    needs = suite_needs(suite, override, models, tasks)
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


def _show_fetched(needs: Needs, outcomes: list[Fetched], hub: Path, as_json: bool) -> None:
    failed = [one for one in outcomes if one.error is not None]
    if as_json:
        rows = [one.row() for one in outcomes]
        gaps = [{"what": gap.what, "why": gap.why, "next": gap.command} for gap in (*needs.gaps, *needs.refused)]
        document = {"hub": str(hub), "complete": not failed and not gaps, "repositories": rows, "gaps": gaps}
        print_json(document | {"notes": needs.notes})
    else:
        for note in needs.notes:
            print(f"note: {note}")
        size = sum(file.size for one in outcomes if one.entry for file in one.entry.files.values())
        print(f"{len(outcomes) - len(failed)} of {len(outcomes)} complete in {hub}, {bytes_text(size)}")
    lines = [f"  - {one.error.why}\n    next: {one.error.step}" for one in failed if one.error]
    lines += [f"  - {gap.what}: {gap.why}\n    next: {gap.command}" for gap in (*needs.gaps, *needs.refused)]
    if lines:
        said = [f"{len(lines)} thing(s) could not be had; the rest is in {hub}:", *lines]
        raise InputError(said) if needs.refused else EnvironmentGapError(said)
