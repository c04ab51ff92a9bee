"""Options and steps all commands share, grace's too."""

from __future__ import annotations

import json
import logging
import os
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.errors import InputError
from harness.plan.cells import Plan
from harness.plan.planner import make_plan
from harness.provision.wanted import Needs, needs_of
from harness.sources.places import Sources, go_offline
from harness.suite.load import LoadedSuite, load_suite

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


def loaded_suite(suite: str, override: list[str] | None) -> LoadedSuite:
    return load_suite(suite, override or ())


def sources_of(hub: Path | None, offline: bool) -> Sources:
    if hub is not None and not hub.is_dir():
        raise InputError([f"--hub {hub}: no such folder; expected datasets/ORG/NAME and models/ORG/NAME below it"])
    if offline:
        go_offline()
    return Sources(hub=hub.resolve() if hub else None, offline=offline)


def planned(loaded: LoadedSuite, hub: Path | None, offline: bool, models: str, tasks: str, limit: int | None) -> Plan:
    return make_plan(
        loaded.suite, sources_of(hub, offline), models=names_of(models), tasks=names_of(tasks), limit=limit
    )


def names_of(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def quiet(results: Path) -> None:
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


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))


def suite_needs(suite: str, override: list[str] | None, models: str, tasks: str) -> tuple[Needs, str]:
    """Return what the suite wants and how the user spells it; asks neither network nor local hub."""
    loaded = load_suite(suite, override or ())
    plan = make_plan(loaded.suite, Sources(), models=names_of(models), tasks=names_of(tasks))
    return needs_of(plan), suite
