"""What a suite wants from outside: each dataset and model repository once, with its revision and who wants it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from harness.candidates.candidate import Candidate, MissingCandidate
from harness.plan.ability import reads_own_files, splits_read
from harness.plan.cells import Plan, PlannedTask
from harness.provision.counting import KnownCount
from harness.sources.places import Gap
from harness.sources.wheel_reference import PREFIX, parse
from harness.suite.model_entries import LoadedModel
from harness.suite.task_entries import FileRef, NllRef
from harness.tasks import humaneval
from harness.tasks.catalogue import TaskInfo, catalogue
from harness.tasks.types import EMBEDDING_TYPES
from harness.training.asked import Training, shown_command
from harness.training.lacking import data_gap, named_splits, package_gaps, problem_gaps

Kind = Literal["datasets", "models", "wheels"]
T = TypeVar("T")
NO_SUBSET = "default"
"""What an ability task is said to read whose file or entry names no configuration."""


class Reads(NamedTuple):
    """What one task reads of a dataset."""

    subsets: tuple[str, ...]
    """Empty where the task names none."""
    splits: tuple[str, ...]
    ranks_candidates: bool = False
    """True: each query ranks candidates of its own."""
    known: tuple[KnownCount, ...] = ()
    """How many items the benchmark's own data have; empty where that is not known."""


class Base(NamedTuple):
    """The weights that an adapter goes on, as the suite names them."""

    model: str
    revision: str | None
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A repository or wheel."""

    kind: Kind
    repo: str
    """`org/name`, or a whole `wheel:` reference."""
    revision: str | None
    """The pinned revision; None where nothing pins it."""
    sha256: str | None = None
    """Of a wheel, where the suite says it."""
    subsets: tuple[str, ...] | None = None
    """Of a dataset: what its tasks read; None for all."""
    reads: tuple[Reads, ...] = ()
    """Of a dataset: what each of its tasks is scored on."""
    known_subsets: tuple[str, ...] = ()
    """Of a dataset: every subset its tasks have."""
    trust_remote_code: bool = False
    encoders: tuple[str, ...] = ()
    """Of a model's weights: the kinds of encoder made of them."""
    needs_head: bool = False
    """Of a model's weights: whether anything is answered or written with them."""
    base: Base | None = None
    """Of an adapter: what it goes on."""
    wanted_by: tuple[str, ...] = ()
    """Task labels or model names."""
    is_own: bool = False
    """True: a folder or file of the user's; nothing to fetch."""
    is_humaneval: bool = False
    """True: the wheel with HumanEval's problems, for which the hub's dataset in a local hub does as well."""

    def __str__(self) -> str:
        """Return how people name it: `dataset mteb/sts12-sts`, `model org/name`, `wheel name==version`."""
        if self.kind == "wheels":
            return f"wheel {parse(self.repo).requirement}"
        return f"{self.kind[:-1]} {self.repo}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Everything a suite wants."""

    repositories: tuple[Wanted, ...]
    own_models: tuple[Wanted, ...]
    """Folders and files on this machine, of models and of training data; `repo` is the path."""
    gaps: tuple[Gap, ...]
    """What no download can supply: own files that are not there, broken references."""
    notes: tuple[str, ...]
    """Models that bring their own weights or are not trained yet."""
    runs_code: tuple[str, ...] = ()
    """Tasks that run model-written programs, and so need a sandbox."""
    refused: tuple[Gap, ...] = ()
    """What is wrong with trainings: a mistake of the user's, as one in the suite is."""


def needs_of(plan: Plan, trainings: Sequence[Training] = ()) -> Needs:
    """Return what the tasks and models of a plan want, and the trainings that make its missing candidates.

    Args:
        plan: made with no local hub and not offline.
        trainings: whose data and base are wanted too.
    """
    found: dict[tuple[str, str, str | None], Wanted] = {}
    gaps = {str(gap): gap for gap, wanted_by in plan.gaps if not _is_candidate(plan, wanted_by)}
    notes: list[str] = []
    trained = {name for one in trainings for name in one.models}
    for task in plan.tasks:
        if task.custom is None and not reads_own_files(task):
            for wanted in _of_task(task):
                _add(found, wanted)
    answers = any(task.ability is not None or task.runs_code for task in plan.tasks)
    for candidate in plan.candidates:
        if candidate.name not in trained:
            for wanted in _of_candidate(candidate, notes, answers=answers):
                _add(found, wanted)
    for training in trainings:
        for wanted in of_training(training, notes):
            _add(found, wanted)
        gaps |= {str(gap): gap for gap in (data_gap(training), *package_gaps(training)) if gap is not None}
    own = tuple(one for one in found.values() if one.is_own)
    repositories = tuple(one for one in found.values() if not one.is_own)
    return Needs(
        repositories=repositories,
        own_models=own,
        gaps=tuple(gaps.values()),
        notes=tuple(notes),
        runs_code=tuple(task.label for task in plan.tasks if task.runs_code),
        refused=tuple(gap for one in trainings for gap in problem_gaps(one)),
    )


def _is_candidate(plan: Plan, wanted_by: Sequence[str]) -> bool:
    untrained = {one.name for one in plan.candidates if isinstance(one, MissingCandidate) and one.untrained}
    return set(wanted_by) <= untrained


def _add(found: dict[tuple[str, str, str | None], Wanted], new: Wanted) -> None:
    identity = (new.kind, new.repo, new.revision)
    old = found.get(identity)
    if old is None:
        found[identity] = new
        return
    both = None if old.subsets is None or new.subsets is None else _joined(old.subsets, new.subsets)
    found[identity] = replace(
        old,
        sha256=old.sha256 or new.sha256,
        subsets=both,
        reads=_joined(old.reads, new.reads),
        known_subsets=_joined(old.known_subsets, new.known_subsets),
        trust_remote_code=old.trust_remote_code or new.trust_remote_code,
        encoders=_joined(old.encoders, new.encoders),
        needs_head=old.needs_head or new.needs_head,
        base=old.base or new.base,
        wanted_by=_joined(old.wanted_by, new.wanted_by),
    )


def _joined(first: Sequence[T], second: Sequence[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys([*first, *second]))


def _of_task(task: PlannedTask) -> list[Wanted]:
    """Return the repositories of a task; of MMLU and BBH the subtasks that the suite names, a subset each."""
    if task.runs_code:
        return [
            Wanted(
                kind="wheels",
                repo=humaneval.WHEEL,
                revision=None,
                sha256=humaneval.WHEEL_SHA256,
                wanted_by=(task.label,),
                is_humaneval=True,
            )
        ]
    return [_of_dataset(task, info) for info in task.parts if info.dataset]


def _of_dataset(task: PlannedTask, info: TaskInfo) -> Wanted:
    subsets = info.configs or _subsets_read(task)
    ranks_candidates = task.ability is None and EMBEDDING_TYPES[task.type].ranks == "candidates"
    also = (task.info.ability or {}).get("also_reads", ())
    return Wanted(
        kind="datasets",
        repo=str(info.dataset),
        revision=info.revision,
        subsets=None if subsets is None else (*subsets, *(subset for subset, _ in also)),
        reads=(
            Reads(
                subsets or (),
                () if info.configs else splits_read(task),
                ranks_candidates,
                _known_counts(task, info),
            ),
            *(Reads((subset,), (split,)) for subset, split in also),
        ),
        known_subsets=_configs_known(info) or (tuple(info.subsets) if subsets else ()),
        wanted_by=(task.label,),
    )


def _configs_known(info: TaskInfo) -> tuple[str, ...]:
    """Return the configs that any task of the catalogue reads of the same repository; empty where this one names none.

    Those of other tasks need not be fetched with this one's.
    """
    if not info.configs:
        return ()
    others = (one.configs for one in catalogue().tasks.values() if one.dataset == info.dataset)
    return tuple(dict.fromkeys(config for configs in (info.configs, *others) for config in configs))


def _known_counts(task: PlannedTask, info: TaskInfo) -> tuple[KnownCount, ...]:
    ranks = EMBEDDING_TYPES[task.type].ranks if task.ability is None else None
    return tuple(
        KnownCount(
            type=task.type,
            ranks=ranks is not None,
            subset=subset,
            split=split,
            items=counts.items,
            documents=counts.documents if ranks else 0,
            has_candidates=ranks == "candidates",
        )
        for split in task.splits
        for subset in task.subsets
        if (counts := info.counts.get(split, {}).get(subset)) is not None and counts.items
    )


def _subsets_read(task: PlannedTask) -> tuple[str, ...] | None:
    """Return the subsets a task reads; None where it names no configuration, so that all files are wanted."""
    if task.ability is None:
        return task.subsets
    names_none = isinstance(task.ability, FileRef | NllRef)
    return None if names_none and task.subsets == (NO_SUBSET,) else task.subsets


def _of_candidate(candidate: Candidate | MissingCandidate, notes: list[str], *, answers: bool) -> list[Wanted]:
    if isinstance(candidate, MissingCandidate):
        if candidate.untrained:
            notes.append(f"model {candidate.name}: not trained yet; its base is fetched once its candidate.yaml exists")
        return []
    spec = candidate.spec
    if not isinstance(spec, LoadedModel):
        notes.append(f"model {candidate.name}: encoder {candidate.kind!r} brings its own weights, if any")
        return []
    base = Base(spec.model, spec.revision, spec.sha256)
    needs_head = candidate.kind == "rationale" or (answers and candidate.has_language_model)
    by = (candidate.name,)
    found = [replace(_of_model(base, by), encoders=(candidate.kind,), needs_head=needs_head)]
    if candidate.adapter is not None:  # a folder's `load_from` is its path, a repository's its name
        found.append(replace(_of_model(Base(candidate.adapter.load_from, None, None), by), base=base))
    return [replace(one, trust_remote_code=spec.trust_remote_code) for one in found]


def of_training(training: Training, notes: list[str]) -> list[Wanted]:
    """Return base and dataset of a training; of a refused one they are not known."""
    if training.problems:
        return []
    notes.append(f"{training.directory}: not trained yet; ends after {training.ends_after}: {shown_command(training)}")
    found = [_of_model(Base(*training.base), training.models)]
    if training.dataset is not None:
        subsets = None if training.subset is None else (training.subset,)
        reads = (Reads(subsets or (NO_SUBSET,), named_splits(training)),)
        found.append(
            Wanted(
                kind="datasets",
                repo=training.dataset,
                revision=training.revision,
                subsets=subsets,
                reads=reads,
                wanted_by=training.models,
                is_own=Path(training.dataset).is_absolute(),
            )
        )
    return found


def _of_model(named: Base, wanted_by: tuple[str, ...]) -> Wanted:
    is_wheel = named.model.startswith(PREFIX)
    return Wanted(
        kind="wheels" if is_wheel else "models",
        repo=named.model,
        revision=named.revision,
        sha256=named.sha256,
        wanted_by=wanted_by,
        is_own=not is_wheel and Path(named.model).expanduser().exists(),
    )
