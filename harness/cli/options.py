"""Options that several commands have, and the steps from them to a suite, a plan and sources; grace's commands too."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.streams import json_for_output
from harness.errors import InputError
from harness.plan.cells import Plan
from harness.plan.planner import make_plan
from harness.provision.wanted import Needs, needs_of
from harness.sources.places import Sources, go_offline
from harness.suite.load import LoadedSuite, load_suite
from harness.trackers import TRACKERS
from harness.training.order import to_train
from harness.wording import listing

SuiteArgument = Annotated[str, typer.Argument(metavar="SUITE", help="A suite file, or the name of a shipped one.")]
ResultsOption = Annotated[Path, typer.Option("--results", help="Where results are kept.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Where reports go [reports/out/SUITE].")]


def hub_option(says: str) -> Any:
    """Return `--hub` with what the folder is to a command."""
    return typer.Option("--hub", envvar="HARNESS_HUB", help=says)


HubOption = Annotated[Path | None, hub_option("A local hub, looked up before the network.")]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Never ask the network.")]
ModelsOption = Annotated[str, typer.Option("--models", help="Only these models, comma-separated.")]
TasksOption = Annotated[str, typer.Option("--tasks", help="Only these tasks, comma-separated.")]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="Scored items a task.")]
SetOption = Annotated[list[str] | None, typer.Option("-o", metavar="KEY=VALUE", help="Override a value of the suite.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
TrackOption = Annotated[
    str | None, typer.Option("--track", metavar="NAME", help=f"Also log to a tracker: {listing(TRACKERS)} [none].")
]
AvailableOption = Annotated[bool, typer.Option("--available", help="Run what can be run; show gaps as missing.")]


def loaded_suite(suite: str, override: list[str] | None) -> LoadedSuite:
    """Load the suite a user named, with the values of `-o`; raises InputError with all its problems."""
    return load_suite(suite, override or ())


def sources_of(hub: Path | None, offline: bool, *, otherwise: str | None = None) -> Sources:
    """Return where to look, and stay off the network where `--offline` says so.

    Args:
        hub: of `--hub`.
        offline: of `--offline`.
        otherwise: what to do where there is no such folder; what a local hub is where None.
    """
    if hub is not None and not hub.is_dir():
        advice = otherwise or "expected datasets/ORG/NAME and models/ORG/NAME below it"
        raise InputError([f"--hub {hub}: no such folder; {advice}"])
    if offline:
        go_offline()
    return Sources(hub=hub.resolve() if hub else None, offline=offline)


def planned(loaded: LoadedSuite, sources: Sources, *, models: str = "", tasks: str = "", limit: int | None) -> Plan:
    """Return the plan of a suite.

    Args:
        loaded: the suite.
        sources: where its data and weights are looked for.
        models, tasks: of `--models` and `--tasks`, names with commas between them; empty: all.
        limit: of `--limit`.
    """
    return make_plan(loaded.suite, sources, models=names_of(models), tasks=names_of(tasks), limit=limit)


def names_of(text: str) -> tuple[str, ...]:
    """Return the names of a comma-separated list; commas between brackets part none: `STS17[en-en,es-en]` is one."""
    return tuple(name.strip() for name in re.split(r",(?![^\[\]]*\])", text) if name.strip())


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    print(json_for_output(json.dumps(value, indent=1, ensure_ascii=False)))


def suite_needs(suite: str, override: list[str] | None, models: str, tasks: str) -> Needs:
    """Return what a suite wants from outside, trainings of missing candidates too; asks neither network nor local hub.

    Args:
        suite: as the user named it.
        override: of `-o`.
        models, tasks: of `--models` and `--tasks`.
    """
    loaded = loaded_suite(suite, override)
    plan = planned(loaded, Sources(), models=models, tasks=tasks, limit=None)
    return needs_of(plan, to_train(loaded.suite, names_of(models)))
