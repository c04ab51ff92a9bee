"""From a suite to its cells: every candidate x task, each with its key; loads no model, imports no engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.candidates.candidate import Candidate, MissingCandidate
from harness.candidates.identify import identify_all
from harness.errors import InputError
from harness.plan import ability
from harness.plan.cells import Cell, Plan, PlannedTask, dataset_name
from harness.plan.data import locate_datasets
from harness.plan.keys import KeyParts, key_of
from harness.plan.prompts import with_variants
from harness.plan.seeds import expand
from harness.plan.tasks import resolve_tasks
from harness.sources.places import Gap, Located, Sources
from harness.suite.fields import SearchPrecision
from harness.suite.model_entries import LoadedModel
from harness.suite.schema import Suite
from harness.suite.size import BITS_VERSION, Size
from harness.tasks.engines import ENGINES, installed_version
from harness.tasks.limits import LEAST_SETS, draws_least_sets, keeps_excluded
from harness.tasks.prompts import resolve, roles_of
from harness.tasks.types import NO_ROLE, ranks_a_corpus, ranks_documents
from harness.wording import did_you_mean, listing

NO_VECTORS = "it gives no vectors: it ranks documents alone"
"""Why a lexical model is n/a where something else is measured."""


def make_plan(
    suite: Suite, sources: Sources, *, models: Sequence[str] = (), tasks: Sequence[str] = (), limit: int | None = None
) -> Plan:
    """Resolve models, tasks and data, and key every cell.

    Args:
        suite: the suite.
        sources: where weights and data are looked for.
        models, tasks: keep only these (all when empty).
        limit: overrides the suite's and every task's limit.

    Raises:
        InputError: a name in `models` or `tasks` is not in the suite.
    """
    planned = _only(resolve_tasks(suite, limit), tasks, "task")
    specs = _only(suite.models, models, "model")

    taken = [spec.name for spec in suite.models]
    candidates = tuple(
        one
        for found in identify_all(specs, sources, beside=suite.models)
        for prompted in with_variants(found, taken)
        for one in expand(prompted, taken)
    )
    datasets, wanting = locate_datasets(planned, sources)
    missing_data = {task.name: gap for gap, wanted_by in wanting for task in wanted_by}
    cells = tuple(
        _cell(candidate, task, datasets, gap=missing_data.get(task.name), seed=suite.seed)
        for candidate in candidates
        for task in planned
    )
    gaps = [(gap, tuple(task.label for task in wanted_by)) for gap, wanted_by in wanting]
    of_models: dict[Gap, list[str]] = {}
    for candidate in candidates:
        for gap in candidate.gaps if isinstance(candidate, MissingCandidate) else candidate.lacking():
            of_models.setdefault(gap, []).append(candidate.name)
    gaps += [(gap, tuple(names)) for gap, names in of_models.items()]
    return Plan(
        suite=suite, cells=cells, candidates=candidates, tasks=tuple(planned), datasets=datasets, gaps=tuple(gaps)
    )


def _only(entries: Sequence[Any], names: Sequence[str], noun: str) -> list[Any]:
    known = [entry.name for entry in entries]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(
            [
                f"--{noun}s {name}: no such {noun} in the suite; there are: {listing(known)}{did_you_mean(name, known)}"
                for name in unknown
            ]
        )
    return [entry for entry in entries if not names or entry.name in names]


def _cell(
    candidate: Candidate | MissingCandidate,
    task: PlannedTask,
    datasets: dict[str, Located],
    *,
    gap: Gap | None,
    seed: int,
) -> Cell:
    """Return one candidate on one task.

    Args:
        candidate: whose seed, where it has several, is part of its name.
        task: as the suite asks it.
        datasets: dataset name -> where it is.
        gap: what is lacking of the task's data; None where all is there.
        seed: the suite's.
    """
    if task.axis == "ability" and not candidate.has_language_model:
        return Cell(model=candidate.name, task=task, state="n/a", key=None, reason="no language model")
    if isinstance(candidate, Candidate) and not (candidate.embeds or ranks_documents(task.type)):
        return Cell(model=candidate.name, task=task, state="n/a", key=None, reason=NO_VECTORS)
    if isinstance(candidate, MissingCandidate):
        reason = "; ".join(f"{one.what}: {one.why}; {one.command}" for one in candidate.gaps)
        return Cell(model=candidate.name, task=task, state="missing", key=None, reason=reason)
    if task.axis == "ability":
        task = _as_asked(task, candidate)
    prompts = _prompts(candidate, task)
    places = {info.name: datasets.get(dataset_name(info)) for info in task.parts}
    dataset = {name: place.identity if place else None for name, place in places.items()}
    size = candidate.size if task.axis == "embedding" else None
    made_by = candidate.encoder_name if candidate.size else None
    if gap is not None:
        return Cell(
            model=candidate.name,
            task=task,
            state="missing",
            key=None,
            reason=f"{gap.what}: {gap.why}",
            prompts=prompts,
            size=size,
            encoder_name=made_by,
        )
    identity = candidate.language_model_identity() if task.axis == "ability" else candidate.identity()
    drawn = task.draws_random_numbers or (task.axis == "embedding" and candidate.draws_random_numbers)
    seed = seed if drawn else 0  # a seed that nothing draws from makes no other cell
    precision = _searched_as(candidate) if ranks_documents(task.type) else "float32"
    rescore = candidate.spec.rescore if precision == "binary" and ranks_a_corpus(task.type) else None
    searched = _searched(precision, rescore) if ranks_documents(task.type) else _compared(size)
    made = _key_parts(identity, task, prompts=prompts, dataset=dataset, seed=seed, searched=searched)
    key = key_of(made) if made else None
    unknown = None if key else "a revision or a wheel's sha256 is not known before the network was asked"
    return Cell(
        model=candidate.name,
        task=task,
        state="to run",
        key=key,
        reason=unknown,
        prompts=prompts,
        dataset=dataset,
        search_precision=precision,
        rescore=rescore,
        size=size,
        encoder_name=made_by,
        whole_key=_whole_key(made, candidate) if made and size else None,
    )


def _whole_key(made: KeyParts, candidate: Candidate) -> str:
    """Return the key of the cell of a model's whole vectors."""
    of_size = ("search_precision", "rescore", "bits_version")
    settings = {name: one for name, one in made.settings.items() if name not in of_size}
    return key_of(replace(made, candidate=candidate.whole().identity() or {}, settings=settings))


def _searched_as(candidate: Candidate) -> SearchPrecision:
    """Return as what a candidate's vectors are compared where documents are ranked."""
    if candidate.size is None:
        return candidate.spec.search_precision
    precision = candidate.size.precision
    return "float32" if precision == "float16" else precision  # half floats are compared as floats


def _searched(precision: SearchPrecision, rescore: int | None) -> dict[str, Any]:
    """Return what the key holds of how documents are compared; nothing of what is usual."""
    said: dict[str, Any] = {} if precision == "float32" else {"search_precision": precision}
    return said if rescore is None else said | {"rescore": rescore}


def _compared(size: Size | None) -> dict[str, Any]:
    """Return what the key holds of how vectors are compared that rank no documents."""
    return {"bits_version": BITS_VERSION} if size is not None and size.precision == "binary" else {}


def _as_asked(task: PlannedTask, candidate: Candidate) -> PlannedTask:
    """Return the task with what the model's own entry says differently."""
    return replace(task, settings=ability.overridden(task.settings, candidate.ability.get(task.name)))


def _prompts(candidate: Candidate, task: PlannedTask) -> dict[str, str | None]:
    if task.axis == "ability" or not isinstance(candidate.spec, LoadedModel):
        return {}
    spec = candidate.spec
    return {role or NO_ROLE: resolve(task.info, role, spec.prompts, spec.instruction) for role in roles_of(task.type)}


def _key_parts(
    identity: dict[str, Any] | None,
    task: PlannedTask,
    *,
    prompts: dict[str, str | None],
    dataset: dict[str, Any],
    seed: int,
    searched: dict[str, Any],
) -> KeyParts | None:
    """Return what the key is made of; None while the candidate's `identity` is unknown."""
    if identity is None:
        return None
    limited: dict[str, Any] = {"least_sets": LEAST_SETS} if draws_least_sets(task.type, task.limit) else {}
    limited |= {"keeps": "excluded"} if keeps_excluded(task.name, task.limit) else {}
    return KeyParts(
        candidate=identity,
        task=task.name,
        splits=task.splits,
        subsets=task.subsets,
        prompts=prompts,
        dataset=dataset,
        seed=seed,
        limit=task.limit,
        engine=f"{task.engine}=={installed_version(task.engine)}",
        scoring_version=ENGINES[task.engine].scoring_version,
        settings=task.plain_settings() | searched | limited,
    )
