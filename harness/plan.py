"""From a suite to its cells: every candidate x task, each with its key; loads no model, imports no engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from harness import ability
from harness.candidates import Candidate, MissingCandidate, identify
from harness.catalogue import DEFAULT_BENCHMARK, Axis, Catalogue, Counts, Member, TaskInfo, catalogue
from harness.custom_data import count, read_custom
from harness.digests import sha256_files, visible_files
from harness.errors import InputError
from harness.hub import Gap, Located, Sources, locate_dataset
from harness.keys import KeyParts, key_of
from harness.prompts import NO_ROLE, resolve, roles_of
from harness.suite import AbilityRef, CustomRef, LoadedModel, MeanPoolSpec, RationaleSpec, Suite, TaskRef
from harness.yaml_source import did_you_mean, display_path, listing

BACKEND_SCORING_VERSION = {"mteb": 2, "lm-eval": 3}
"""Raised when our backend code changes a score; part of every key, held by golden scores in the tests."""

Applicability = Literal["cell", "n/a", "missing"]
CUSTOM_REVISION = "files"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask:
    """A task as this suite uses it."""

    name: str
    axis: Axis
    type: str
    engine: str
    splits: tuple[str, ...]
    subsets: tuple[str, ...]
    limit: int | None
    info: TaskInfo
    custom: CustomRef | None = None
    """The user's own task, where it is one."""
    ability: AbilityRef | None = None
    """The suite's entry, where it is an ability task."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Ability tasks: shots, template, filters, stop strings, ..., each with the value that is used."""
    is_official_split: bool = True
    """False when a split is not one the task's authors evaluate on: no published figure compares."""

    @property
    def label(self) -> str:
        """The name with what differs from the default task, such as `STS17[en-en,es-en]` or `mmlu[10/57]`.

        A part of a task is never taken for the whole: the two names differ wherever they are shown.
        """
        if self.axis == "ability":
            of, have = len(self.info.subsets), len(self.subsets)
            return self.name if have == of else f"{self.name}[{have}/{of}]"
        if self.custom is not None:
            return self.name
        default = catalogue().default_member(self.name)
        splits = "" if set(self.splits) == set(default.splits) else f"@{','.join(self.splits)}"
        subsets = "" if set(self.subsets) == set(default.subsets) else f"[{','.join(self.subsets)}]"
        return f"{self.name}{splits}{subsets}"

    def items(self) -> int | None:
        """Return the scored items, after the limit; None while unknown."""
        return self._total("items")

    def texts(self) -> int | None:
        """Return the texts to encode, repeats and training texts included, before any limit; None while unknown."""
        return self._total("texts")

    def characters(self) -> int | None:
        """Return the characters of those texts, training texts apart; None while unknown."""
        return self._total("characters")

    def training_texts(self) -> int | None:
        """Return the training texts among the texts; None while unknown."""
        return self._total("training_texts")

    def _total(self, what: str) -> int | None:
        infos = [catalogue().tasks[name] for name in self.info.parts] or [self.info]
        total = 0
        for info in infos:
            for split in self.splits:
                for subset in self.subsets:
                    counts = info.counts.get(split, {}).get(subset)
                    if counts is None:
                        return None
                    of_subset = getattr(counts, what) + (counts.training_texts if what == "texts" else 0)
                    if self.limit and self.axis == "ability":  # lm-eval limits each part
                        of_subset = min(of_subset, self.limit)
                    total += of_subset
        return min(total, self.limit) if what == "items" and self.limit and self.axis == "embedding" else total


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One candidate x one task; `str(cell)` is how it is named on the command line."""

    model: str
    task: PlannedTask
    state: Applicability
    key: str | None
    """None while something that goes into it is unknown (an untrained candidate, an unresolved revision)."""
    reason: str | None = None
    """Why the cell is missing or not applicable."""
    prompts: dict[str, str | None] = field(default_factory=dict)
    """Role -> prefix."""
    dataset: dict[str, Any] = field(default_factory=dict)
    """Dataset -> commit or digest."""

    def __str__(self) -> str:
        return f"{self.model}/{self.task.label}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The matrix, in suite order: models outside, tasks inside."""

    suite: Suite
    cells: tuple[Cell, ...]
    candidates: tuple[Candidate | MissingCandidate, ...]
    tasks: tuple[PlannedTask, ...]
    datasets: dict[str, Located]
    """Dataset name -> where it is; those not found are in `gaps`."""
    gaps: tuple[tuple[Gap, tuple[str, ...]], ...]
    """What is not there, and the cells that want it."""


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
    from harness.seeds import expand

    taken = [spec.name for spec in suite.models]
    candidates = tuple(one for spec in specs for one in expand(identify(spec, sources), taken))
    datasets, wanting = _locate_datasets(planned, sources)
    missing_data = {task.name: gap for gap, wanted_by in wanting for task in wanted_by}
    cells = tuple(
        _cell(candidate, task, datasets, missing_data.get(task.name), suite.seed)
        for candidate in candidates
        for task in planned
    )
    gaps = [(gap, tuple(task.label for task in wanted_by)) for gap, wanted_by in wanting]
    for candidate in candidates:
        if isinstance(candidate, MissingCandidate):
            gaps.extend((gap, (candidate.name,)) for gap in candidate.gaps)
    return Plan(
        suite=suite, cells=cells, candidates=candidates, tasks=tuple(planned), datasets=datasets, gaps=tuple(gaps)
    )


def resolve_tasks(suite: Suite, limit: int | None = None) -> list[PlannedTask]:
    """Return the suite's tasks in its own order, each once; a task's own entry wins over its benchmark's."""
    known = catalogue()
    chosen: dict[str, PlannedTask] = {}
    for member in _members(suite, known):
        chosen[member.name] = _embedding_task(known.tasks[member.name], member, None, limit or suite.limit)
    embedding = suite.tasks.embedding
    references = [*(task for group in embedding.by_type.values() for task in group), *embedding.names]
    for reference in references:
        info = known.tasks[reference.name]
        default = known.default_member(reference.name)
        of_task = limit or reference.limit or suite.limit
        chosen[reference.name] = _embedding_task(info, default, reference, of_task)
    for custom in suite.tasks.custom:
        chosen[custom.name] = _custom_task(custom, limit or custom.limit or suite.limit)
    for entry in suite.tasks.ability:
        chosen[entry.name] = _ability_task(entry, known, limit or entry.limit or suite.limit)
    return list(chosen.values())


def _members(suite: Suite, known: Catalogue) -> Iterable[Member]:
    embedding = suite.tasks.embedding
    if embedding.benchmark is None and embedding.types is None:
        return []
    members = known.benchmarks[embedding.benchmark or DEFAULT_BENCHMARK]
    if embedding.types is None:
        return members
    return [member for member in members if known.tasks[member.name].type in embedding.types]


def _embedding_task(info: TaskInfo, default: Member, reference: TaskRef | None, limit: int | None) -> PlannedTask:
    splits = tuple(reference.splits) if reference and reference.splits else default.splits
    subsets = tuple(reference.subsets) if reference and reference.subsets else default.subsets
    return PlannedTask(
        name=info.name,
        axis="embedding",
        type=info.type,
        engine="mteb",
        splits=splits,
        subsets=subsets,
        limit=limit,
        info=info,
        is_official_split=set(splits) <= set(info.splits),
    )


def _ability_task(reference: AbilityRef, known: Catalogue, limit: int | None) -> PlannedTask:
    resolved = ability.resolve(reference, known.tasks)
    return PlannedTask(
        name=reference.name,
        axis="ability",
        type=resolved.info.type,
        engine="lm-eval",
        splits=resolved.info.splits,
        subsets=resolved.subsets,
        limit=limit,
        info=resolved.info,
        ability=reference,
        settings=resolved.settings,
    )


MAIN_SCORES = {
    "Retrieval": "ndcg_at_10",
    "Reranking": "map_at_1000",
    "Clustering": "v_measure",
    "PairClassification": "max_ap",
    "Classification": "accuracy",
    "STS": "cosine_spearman",
    "Summarization": "cosine_spearman",
}
"""Main score of each type, as MTEB has it; used for custom tasks."""


def _custom_task(reference: CustomRef, limit: int | None) -> PlannedTask:
    """Plan a task over own files; they are read here, so that bad rows are named before any model is loaded."""
    counts: dict[str, dict[str, Counts]] = {}
    if Path(reference.path).exists():  # otherwise it is a gap, named with the others
        data = read_custom(reference.name, reference.type, Path(reference.path))
        items, texts, unique, characters, training = count(data, reference.type)
        counts["test"] = {
            "default": Counts(
                items=items, texts=texts, unique_texts=unique, characters=characters, training_texts=training
            )
        }
    info = TaskInfo(
        name=reference.name,
        axis="embedding",
        type=reference.type,
        engine="mteb",
        main_score=MAIN_SCORES[reference.type],
        splits=("test",),
        subsets={"default": ()},
        prompt=None,
        dataset=reference.path,
        revision=CUSTOM_REVISION,
        parts=(),
        counts=counts,
    )
    return PlannedTask(
        name=reference.name,
        axis="embedding",
        type=reference.type,
        engine="mteb",
        splits=("test",),
        subsets=("default",),
        limit=limit,
        info=info,
        custom=reference,
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


def _locate_datasets(
    tasks: Sequence[PlannedTask], sources: Sources
) -> tuple[dict[str, Located], list[tuple[Gap, list[PlannedTask]]]]:
    found: dict[str, Located] = {}
    wanting: dict[str, tuple[Gap, list[PlannedTask]]] = {}
    for task in tasks:
        for info in infos_of(task):
            place = _locate(task, info, sources)
            if isinstance(place, Located):
                found[dataset_name(info)] = place
            else:
                wanting.setdefault(str(place), (place, []))[1].append(task)
    return found, list(wanting.values())


def infos_of(task: PlannedTask) -> list[TaskInfo]:
    """Return the task itself, or the parts it is an aggregate of."""
    return [catalogue().tasks[name] for name in task.info.parts] or [task.info]


def dataset_name(info: TaskInfo) -> str:
    """Return how `Plan.datasets` calls the data of a task: two tasks may read one repository at two revisions."""
    return f"{info.name}:{info.dataset}"


def _locate(task: PlannedTask, info: TaskInfo, sources: Sources) -> Located | Gap:
    if task.custom is not None:
        return _locate_custom(task.custom)
    if task.ability is not None:
        return ability.locate(task.ability, ability.Resolved(task.info, task.subsets, task.settings), sources)
    return locate_dataset(sources, str(info.dataset), info.revision, subsets=task.subsets, splits=task.splits)


def _locate_custom(reference: CustomRef) -> Located | Gap:
    path = Path(reference.path)
    if not path.exists():
        return Gap(
            what=f"data of custom task {reference.name!r}",
            why=f"no such file or folder: {display_path(path)}",
            command="mend `path` in the suite (relative paths are taken from the suite's own folder)",
        )
    files = visible_files(path) if path.is_dir() else [path]
    digest = sha256_files(path if path.is_dir() else path.parent, files)
    return Located(
        load_from=str(path),
        revision=None,
        identity={"files_sha256": digest},
        source=f"own data {display_path(path)}",
        vouched="own data, keyed by content",
    )


def _cell(
    candidate: Candidate | MissingCandidate,
    task: PlannedTask,
    datasets: dict[str, Located],
    gap: Gap | None,
    seed: int,
) -> Cell:
    if task.axis == "ability" and not candidate.has_language_model:
        return Cell(model=candidate.name, task=task, state="n/a", key=None, reason="no language model")
    if isinstance(candidate, MissingCandidate):
        reason = "; ".join(f"{one.what}: {one.why}; {one.command}" for one in candidate.gaps)
        return Cell(model=candidate.name, task=task, state="missing", key=None, reason=reason)
    if task.axis == "ability":
        task = _as_asked(task, candidate)
    prompts = _prompts(candidate, task)
    places = {info.name: datasets.get(dataset_name(info)) for info in infos_of(task)}
    dataset = {name: place.identity if place else None for name, place in places.items()}
    if gap is not None:
        lacking = f"{gap.what}: {gap.why}"
        return Cell(model=candidate.name, task=task, state="missing", key=None, reason=lacking, prompts=prompts)
    identity = candidate.language_model_identity() if task.axis == "ability" else candidate.identity()
    key = None if identity is None else key_of(_key_parts(identity, task, prompts, dataset, seed))
    unknown = None if key else "a revision or a wheel's sha256 is not known before the network was asked"
    return Cell(
        model=candidate.name, task=task, state="cell", key=key, reason=unknown, prompts=prompts, dataset=dataset
    )


def _as_asked(task: PlannedTask, candidate: Candidate) -> PlannedTask:
    """Return the task with what the model's own entry says differently."""
    own = candidate.spec.ability if isinstance(candidate.spec, MeanPoolSpec | RationaleSpec) else {}
    return replace(task, settings=ability.overridden(task.settings, own.get(task.name)))


def _prompts(candidate: Candidate, task: PlannedTask) -> dict[str, str | None]:
    if task.axis == "ability" or not isinstance(candidate.spec, LoadedModel):
        return {}
    spec = candidate.spec
    return {role or NO_ROLE: resolve(task.info, role, spec.prompts, spec.instruction) for role in roles_of(task.type)}


@cache
def _installed(engine: str) -> str:
    """Return an engine's installed version; its metadata are parsed once, not once a cell."""
    return version(engine)


def _key_parts(
    identity: dict[str, Any],
    task: PlannedTask,
    prompts: dict[str, str | None],
    dataset: dict[str, Any],
    seed: int,
) -> KeyParts:
    return KeyParts(
        candidate=identity,
        task=task.name,
        splits=task.splits,
        subsets=task.subsets,
        prompts=prompts,
        dataset=dataset,
        seed=seed,
        limit=task.limit,
        engine=f"{task.engine}=={_installed(task.engine)}",
        scoring_version=BACKEND_SCORING_VERSION[task.engine],
        settings=task.settings | ({"type": task.type} if task.custom else {}),
    )
