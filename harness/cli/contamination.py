"""`harness contamination`: training files against the texts of a suite's tasks, and scores over what is clean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.candidates.candidate import Candidate
from harness.cli.options import (
    HubOption,
    JsonOption,
    LimitOption,
    ModelsOption,
    OfflineOption,
    ResultsOption,
    SetOption,
    SuiteArgument,
    TasksOption,
    loaded_suite,
    names_of,
    planned,
    print_json,
    sources_of,
)
from harness.contamination.check import Training, overlaps, without_data
from harness.contamination.record import FOLDER, Overlap, from_json, to_json, with_earlier
from harness.contamination.training import check_files
from harness.digests import sha256_file, write_atomically
from harness.errors import ExitCode, InputError
from harness.plan.cells import Plan
from harness.report.overlap_tables import as_text
from harness.results.outcome import outcome_of
from harness.results.records import Score
from harness.results.store import Store
from harness.wording import display_path
from harness.writing import refuse, saying


def contamination(
    suite: SuiteArgument,
    training: Annotated[
        list[Path] | None,
        typer.Option("--training", help="A file that the models were trained on; may be given several times."),
    ] = None,
    columns: Annotated[str, typer.Option("--columns", help="Only these columns of it, comma-separated.")] = "",
    results: ResultsOption = Path("results"),
    hub: HubOption = None,
    offline: OfflineOption = False,
    models: ModelsOption = "",
    tasks: TasksOption = "",
    limit: LimitOption = None,
    override: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find test texts in training files (whole, or 13 words in a row), and score what is clean; runs no model."""
    check_files(training or ())
    refuse({"--results": results})
    loaded = loaded_suite(suite, override)
    plan = planned(loaded, sources_of(hub, offline), models=models, tasks=tasks, limit=limit)
    store = Store(results)
    outcome = outcome_of(plan, store)
    sets = _training(outcome.plan, tuple(training or ()), names_of(columns))
    scores = {name: one for name, one in outcome.results.items() if isinstance(one, Score)}
    found = overlaps(outcome.plan, sets, scores, store)
    if as_json:
        print_json(_plain(found))
    else:
        units = {one.task: one.unit for one in scores.values()}
        print(as_text(found, units), end="")
    name = f"{loaded.suite.name}.json"
    kept = with_earlier(found, _earlier(store, name), [one.name for one in loaded.suite.models])
    with saying(f"--results {results}"):
        write_atomically(store.folder(FOLDER) / name, to_json(kept).encode())
    if without_data(outcome.plan):
        raise typer.Exit(ExitCode.ENVIRONMENT)


def _earlier(store: Store, name: str) -> tuple[Overlap, ...]:
    """Return what was kept before; nothing where there is none, or none that can be read."""
    try:
        return from_json(store.kept(FOLDER, name) or "")
    except ValueError:
        return ()


def _plain(found: tuple[Overlap, ...]) -> Any:
    return json.loads(to_json(found))["overlaps"]


def _training(plan: Plan, files: tuple[Path, ...], columns: tuple[str, ...]) -> list[Training]:
    """Return the files that were named, for all models; else those that candidates say they were trained on.

    Raises:
        InputError: there are none, or one is not the file that a candidate was trained on.
    """
    if files:
        return [Training(models=tuple(one.name for one in plan.candidates), files=files, columns=columns)]
    found, problems = [], []
    for one in plan.candidates:
        named = one.training.get("data") if isinstance(one, Candidate) else None
        if not isinstance(one, Candidate) or not isinstance(named, str):
            continue
        path, sha256 = Path(named), (one.training.get("data_identity") or {}).get("sha256")
        if not path.is_file():
            problems.append(f"{one.name} was trained on {named}, and no such file is here: name it with --training")
        elif sha256 != sha256_file(path):
            where = display_path(path)
            problems.append(
                f"{one.name}: {where} is not the file it was trained on any more: name that with --training"
            )
        else:
            found.append(Training(models=(one.name,), files=(path,), columns=columns))
    if problems or not found:
        raise InputError(problems or ["no model of the suite says what it was trained on: name files with --training"])
    return found
