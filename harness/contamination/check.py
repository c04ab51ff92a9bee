"""Training files against the tasks of a plan: texts are joined chunk by chunk, then scored over what is clean.

The test's hashes are in memory, at most so many; where a task has more, the training files are read once for each
chunk of it. Training texts are streamed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from harness.backends.interface import ItemText, Job, texts_of
from harness.contamination.clean import Place, clean_score
from harness.contamination.index import Index
from harness.contamination.record import Matched, Overlap, TaskOverlap, TrainingFile
from harness.contamination.training import check_texts, training_texts
from harness.contamination.words import GRAM, Hasher, words_of
from harness.digests import sha256_file
from harness.errors import EnvironmentGapError
from harness.plan.cells import Cell, Plan, PlannedTask, dataset_name
from harness.results.records import Score
from harness.results.store import Store
from harness.results.stored_items import OpenItems
from harness.tasks.types import NO_ROLE
from harness.wording import display_path

MOST_HASHES = 20_000_000
"""Of the test, in memory at once: some 500 MB while they are sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Files that some models were trained on."""

    models: tuple[str, ...]
    files: tuple[Path, ...]
    columns: tuple[str, ...] = ()
    """Only these columns; all that hold texts where empty."""


@dataclass(slots=True, kw_only=True)
class _Counted:
    """What of a task is matched by one set of files, so far."""

    texts: dict[str, list[int]] = field(default_factory=dict)
    """Role -> texts, whole matches, further matches in part."""
    touched: dict[Place, set[str]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class _Task:
    """One task while it is compared."""

    counted: list[_Counted]
    """One a set of files."""
    items: dict[Place, set[str]] = field(default_factory=dict)
    short: int = 0
    why: str = ""


NOT_HERE = "its data are not here; `harness fetch` gets them"


def without_data(plan: Plan) -> list[str]:
    """Return the tasks of a plan whose data are not on this machine."""
    return [task.label for task in plan.tasks if job_of(plan, task) is None]


def overlaps(plan: Plan, training: Sequence[Training], results: dict[str, Score], store: Store) -> tuple[Overlap, ...]:
    """Return what of a plan's tasks stands in training files, and the scores over the rest.

    Args:
        plan: its tasks; no model is loaded.
        training: files, with the models that were trained on them.
        results: str(cell) -> score, of cells that have one.
        store: where their per-item results are.

    Raises:
        InputError: a training file cannot be read, with file and line, or has no text.
        EnvironmentGapError: no task has its data here.
    """
    lacking = without_data(plan)
    if lacking and len(lacking) == len(plan.tasks):
        raise EnvironmentGapError([f"{name}: {NOT_HERE}" for name in lacking])
    for one in training:
        check_texts(one.files, one.columns)
    join = _Join(plan=plan, training=training)
    tasks = {task.name: join.compared(task) for task in plan.tasks}
    scored = _Scored(plan=plan, results=results, items=OpenItems(store))
    return tuple(
        Overlap(
            models=one.models,
            training=tuple(
                TrainingFile(
                    file=display_path(file),
                    sha256=sha256_file(file),
                    texts=join.read.get((number, file), 0),
                    columns=one.columns,
                )
                for file in one.files
            ),
            tasks=tuple(scored.found(task, tasks[task.name], number, one.models) for task in plan.tasks),
        )
        for number, one in enumerate(training)
    )


@dataclass(slots=True, kw_only=True)
class _Join:
    """Every set of training files against one task after the other."""

    plan: Plan
    training: Sequence[Training]
    hasher: Hasher = field(default_factory=Hasher)
    read: dict[tuple[int, Path], int] = field(default_factory=dict)
    """Texts of each file, which is read at least once."""

    def compared(self, task: PlannedTask) -> _Task:
        """Return what of a task stands in each set of files."""
        found = _Task(counted=[_Counted() for _ in self.training])
        job = job_of(self.plan, task)
        if job is None:
            found.why = NOT_HERE
            return found
        texts = texts_of(task.engine)(job)
        for first in texts:
            index, held = Index(self.hasher), []
            for one in chain((first,), texts):
                index.add(one.text)
                held.append((one.part, one.split, one.subset, one.items, one.role))
                _note(found, one)
                if index.hashes >= MOST_HASHES:
                    break
            for number in range(len(self.training)):
                matches = index.matches(self._streamed(number))
                for place, about in enumerate(held):
                    _count(found.counted[number], about, bool(matches.whole[place]), bool(matches.part[place]))
        return found

    def _streamed(self, number: int) -> Iterator[str]:
        for file in self.training[number].files:
            count = 0
            for text in training_texts(file, self.training[number].columns):
                count += 1
                yield text
            self.read[number, file] = count


def job_of(plan: Plan, task: PlannedTask) -> Job | None:
    """Return what a backend needs to load a task's data; None where they are not here."""
    cell: Cell | None = next((one for one in plan.cells if one.task.name == task.name), None)
    names = {info.name: dataset_name(info) for info in task.parts}
    if cell is None or any(name not in plan.datasets for name in names.values()):
        return None
    return Job(
        cell=cell,
        data={part: plan.datasets[name] for part, name in names.items()},
        seed=plan.suite.seed,
        fingerprint="",
        native_folder=Path(),
    )


def _note(found: _Task, one: ItemText) -> None:
    """Take note of a text's items, and whether it is compared as a whole alone."""
    if one.role != "document":
        found.items.setdefault((one.part, one.split, one.subset), set()).update(map(str, one.items))
    found.short += len(words_of(one.text)) < GRAM


def _count(
    counted: _Counted, about: tuple[str, str, str, tuple[object, ...], str | None], whole: bool, part: bool
) -> None:
    *place, items, role = about
    row = counted.texts.setdefault(role or NO_ROLE, [0, 0, 0])
    row[0] += 1
    row[1] += whole
    row[2] += part and not whole
    if whole or part:
        counted.touched.setdefault((str(place[0]), str(place[1]), str(place[2])), set()).update(map(str, items))


@dataclass(slots=True, kw_only=True)
class _Scored:
    """The cells whose scores are given over clean items too."""

    plan: Plan
    results: dict[str, Score]
    items: OpenItems

    def found(self, task: PlannedTask, compared: _Task, number: int, models: Sequence[str]) -> TaskOverlap:
        """Return a task against one set of files, with the scores of its models."""
        counted = compared.counted[number]
        touched = {place: frozenset(names) for place, names in counted.touched.items()}
        cells = [one for one in self.plan.cells if one.task.name == task.name and one.model in models]
        named = {one.model: self.results[str(one)] for one in cells if str(one) in self.results}
        scores = {} if compared.why else named
        return TaskOverlap(
            task=task.label,
            type=task.type,
            matched=tuple(
                Matched(role=role, texts=texts, whole=whole, part=part)
                for role, (texts, whole, part) in counted.texts.items()
            ),
            items=sum(map(len, compared.items.values())),
            touched=sum(map(len, touched.values())),
            short=compared.short,
            scores={
                model: (score.key, clean_score(score, self.items.statistics(score), touched))
                for model, score in scores.items()
            },
            why=compared.why,
        )
