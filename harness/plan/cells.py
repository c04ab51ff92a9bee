"""PlannedTask, Cell, Plan: the nouns of planning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from harness.candidates.candidate import Candidate, MissingCandidate
from harness.sources.places import Gap, Located
from harness.suite.schema import Suite
from harness.suite.task_entries import AbilityRef, CustomRef
from harness.tasks.catalogue import TaskInfo, catalogue
from harness.tasks.types import Axis

Applicability = Literal["to run", "n/a", "missing"]


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


def infos_of(task: PlannedTask) -> list[TaskInfo]:
    """Return the task itself, or the parts it is an aggregate of."""
    return [catalogue().tasks[name] for name in task.info.parts] or [task.info]


def dataset_name(info: TaskInfo) -> str:
    """Return how `Plan.datasets` calls the data of a task: two tasks may read one repository at two revisions."""
    return f"{info.name}:{info.dataset}"
