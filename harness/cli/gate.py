"""`harness gate`: hold the results of a suite against its gates; exit 1 where one fails."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.options import (
    HubOption,
    JsonOption,
    OfflineOption,
    ResultsOption,
    SetOption,
    SuiteArgument,
    loaded_suite,
    names_of,
    planned,
    print_json,
    sources_of,
)
from harness.comparison.pair import difference
from harness.digests import write_atomically
from harness.errors import EnvironmentGapError, ExitCode, InputError, worst
from harness.gates import baselines
from harness.gates.baselines import Baseline, Reference
from harness.gates.check import Check, Judge, needs_baseline
from harness.gates.judge import judge
from harness.report import gate_files
from harness.results.joined import JoinedStore
from harness.results.outcome import outcome_of
from harness.results.store import Store
from harness.results.stored_items import decisions_behind
from harness.sources.places import Sources
from harness.suite.load import LoadedSuite
from harness.summary.build import summarise
from harness.summary.views import Summary
from harness.wording import did_you_mean, display_path, listing
from harness.writing import refuse, saying


def gate(
    suite: SuiteArgument,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", help="A file of --update, or another results folder.")
    ] = None,
    results: ResultsOption = Path("results"),
    summary: Annotated[Path | None, typer.Option("--summary", help="Write Markdown for a CI page there.")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML there.")] = None,
    update: Annotated[bool, typer.Option("--update", help="Write the baseline and show what changed.")] = False,
    hub: HubOption = None,
    offline: OfflineOption = False,
    models: Annotated[str, typer.Option("--models", help="Judge only these models, comma-separated.")] = "",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Scored items a task, as in `run`.")] = None,
    override: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold results on disk against the suite's gates; runs nothing. Exit 1 where a gate fails, 3 over a failed cell."""
    loaded = loaded_suite(suite, override)
    refuse({}, {"--summary": summary, "--junit": junit, "--baseline": baseline if update else None})
    _refuse_useless(loaded, baseline, update, any(needs_baseline(one) for one in loaded.suite.gates))
    report, store = _report(loaded, results, sources_of(hub, offline), limit)
    only = _only(models, report)
    stored = _baseline(baseline, report, store) if baseline and not (update and not baseline.exists()) else None
    if update:
        _update(loaded, report, store, stored, Path(str(baseline)), only, as_json)
        return
    joined = _joined(store, stored)
    by = Judge(
        summary=report,
        baseline=stored,
        compare=partial(difference, joined),
        decided=partial(decisions_behind, joined),
        models=only,
    )
    checks = judge(loaded.suite.gates, by)
    if not checks:
        raise InputError([f"--models {models}: no gate of {loaded.spelling} is for these models"])
    name = loaded.suite.name
    _write(summary, gate_files.markdown(name, checks, stored.source if stored else None))
    _write(junit, gate_files.junit(name, checks))
    code = worst(
        [ExitCode.CELLS_FAILED for check in checks if check.failed_cell]
        + [ExitCode.GATE_FAILED for check in checks if not check.passed]
    )
    _show(name, checks, code, as_json)
    raise typer.Exit(code)


def _refuse_useless(loaded: LoadedSuite, baseline: Path | None, update: bool, needed: bool) -> None:
    if update and baseline is None:
        raise InputError(["--update needs --baseline FILE: the file to write"])
    if update and baseline is not None and baseline.is_dir():
        raise InputError([f"--baseline {baseline}: --update writes a file, and this is a folder"])
    if not loaded.suite.gates and not update:
        raise InputError(
            [f"{loaded.spelling} has no gates; write some, such as `gates: [{{axis: embedding, floor: 50}}]`"]
        )
    if needed and baseline is None:
        raise InputError(
            [
                f"{loaded.spelling} has gates against a baseline: give --baseline FILE (`--update` writes it), or name "
                "a model of the suite as `against:` in the gate"
            ]
        )


def _report(loaded: LoadedSuite, results: Path, sources: Sources, limit: int | None) -> tuple[Summary, Store]:
    plan = planned(loaded, sources, limit=limit)
    store = Store(results)
    outcome = outcome_of(plan, store)
    return summarise(outcome.plan, outcome.results), store


def _only(models: str, report: Summary) -> tuple[str, ...]:
    names = names_of(models)
    problems = [
        f"--models {name}: no such model in the suite; there are: {listing(report.models)}"
        f"{did_you_mean(name, report.models)}"
        for name in names
        if name not in report.models
    ]
    if problems:
        raise InputError(problems)
    return names


def _baseline(path: Path, report: Summary, store: Store) -> Baseline:
    limits = {str(view.cell): view.cell.task.limit for view in report.cells.values()}
    return baselines.read(path, store, limits)


def _joined(store: Store, baseline: Baseline | None) -> Store:
    return JoinedStore(store, baseline.store) if baseline and baseline.store else store


def _update(
    loaded: LoadedSuite,
    report: Summary,
    store: Store,
    stored: Baseline | None,
    path: Path,
    only: Sequence[str],
    as_json: bool,
) -> None:
    """Write every finished cell's score, and show what changed; refuse where one that can run has none."""
    views = [view for view in report.cells.values() if not only or view.cell.model in only]
    lacking = [f"{view.cell}: {view.status}" for view in views if view.status not in ("ok", "n/a")]
    if lacking:
        raise EnvironmentGapError(
            [
                f"the baseline was not written: {len(lacking)} cell(s) have no score; `harness run {loaded.spelling}`",
                *lacking[:10],
            ]
        )
    now = {
        str(view.cell): Reference.of(view.score, decisions_behind(store, view.score)) for view in views if view.score
    }
    before = dict(stored.cells) if stored else {}
    kept = {name: one for name, one in before.items() if only and name.split("/")[0] not in only}
    after = kept | now
    text = baselines.document_of(loaded.suite.name, after)
    lines = baselines.changes(before, after)
    with saying(f"--baseline {path}"):
        baselines.write(path, text)
    if as_json:
        print_json({"suite": loaded.suite.name, "baseline": str(path), "changes": lines})
        return
    print("\n".join(lines or ["nothing changed"]))
    print(f"baseline: {display_path(path)}, {len(after)} cell(s)")


def _write(path: Path | None, text: str) -> None:
    if path is None:
        return
    with saying(str(path)):
        write_atomically(path, text.encode("utf-8", "backslashreplace"))


def _show(suite: str, checks: Sequence[Check], code: ExitCode, as_json: bool) -> None:
    failed = [check for check in checks if not check.passed]
    if as_json:
        from dataclasses import asdict

        document = {"suite": suite, "exit_code": int(code), "checks": [asdict(check) for check in checks]}
        print_json(_finite(document))
        return
    for check in checks:
        if check.passed:
            print(f"pass  {check.gate} | {check.model} | {check.scope}: {check.said}")
    for check in failed:
        print(f"FAIL  {check.gate} | {check.model} | {check.scope}:")
        print("\n".join(f"        {reason}" for reason in check.reasons))
    verdict = f"{len(failed)} of {len(checks)} check(s) failed" if failed else f"all {len(checks)} check(s) passed"
    print(f"gate of {suite}: {verdict}")


def _finite(value: Any) -> Any:
    """Return `value` with every number JSON cannot hold as its name."""
    if isinstance(value, float) and value - value != 0:
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
