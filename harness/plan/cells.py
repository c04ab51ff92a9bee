"""PlannedTask, Cell, Plan: the nouns of planning; records that read nothing but themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.candidates.candidate import Candidate, MissingCandidate
from harness.plan.asked import AskedWith, ReadWith
from harness.sources.places import Gap, Located
from harness.suite.fields import SearchPrecision
from harness.suite.schema import Suite
from harness.suite.size import Size
from harness.suite.task_entries import AbilityRef, CustomRef, FileRef
from harness.tasks.catalogue import Counts, TaskInfo
from harness.tasks.limits import limited_counts
from harness.tasks.types import Axis

Applicability = Literal["to run", "n/a", "missing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask:
    """A task as this suite uses it."""

    name: str
    label: str
    """The name with what differs from the default task, such as `STS17[en-en,es-en]` or `mmlu[10/57]`.

    A part of a task is never taken for the whole: the two names differ wherever they are shown.
    """
    axis: Axis
    type: str
    engine: str
    splits: tuple[str, ...]
    subsets: tuple[str, ...]
    limit: int | None
    info: TaskInfo
    parts: tuple[TaskInfo, ...]
    """The tasks that an aggregate is made of; of any other, the task itself."""
    custom: CustomRef | None = None
    """The user's own task, where it is one."""
    ability: AbilityRef | None = None
    """The suite's entry, where it is an ability task."""
    settings: AskedWith | ReadWith | None = None
    """Ability tasks: how it is put to the model; None elsewhere, and while its task file is not there."""
    custom_settings: Mapping[str, Any] = field(default_factory=dict)
    """Of a task over own files: what goes into the key beside them; its type at least."""
    remarks: tuple[str, ...] = ()
    """What must be known of the data before a score over them is believed; empty where nobody looked."""
    is_official_split: bool = True
    """False when a split is not one the task's authors evaluate on: no published figure compares."""

    @property
    def runs_code(self) -> bool:
        """Whether programs that the model writes are run to score it."""
        return self.info.runs_code

    @property
    def asked(self) -> AskedWith:
        """How its questions are asked; TypeError for a task that asks none."""
        if not isinstance(self.settings, AskedWith):
            raise TypeError(f"task {self.name!r} asks no questions")
        return self.settings

    @property
    def draws_random_numbers(self) -> bool:
        """Whether the suite's seed can change its score, whatever the model: a subsample, sampled answers, own code."""
        if self.axis == "embedding":
            return self.limit is not None
        generation = self.settings.generation if isinstance(self.settings, AskedWith) else None
        return isinstance(self.ability, FileRef) or bool((generation or {}).get("do_sample"))

    def plain_settings(self) -> dict[str, Any]:
        """Return the settings as plain data, as they go into the key; empty where there are none."""
        return {**(self.settings.plain() if self.settings else {}), **self.custom_settings}

    def counts(self) -> Counts | None:
        """Return how much is left after the limit, over splits, subsets and parts; None where any is unknown."""
        found: list[Counts] = []
        for info in self.parts:
            for split in self.splits:
                for subset in self.subsets:
                    counts = info.counts.get(split, {}).get(subset)
                    if counts is None:
                        return None
                    found.append(limited_counts(self.type, counts, self.limit) if self.limit else counts)
        return Counts(
            items=sum(one.items for one in found),
            texts=sum(one.texts for one in found),
            unique_texts=sum(one.unique_texts for one in found),
            characters=sum(one.characters for one in found),
            training_texts=sum(one.training_texts for one in found),
        )


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
    search_precision: SearchPrecision = "float32"
    """As what vectors are compared, where its task ranks documents."""
    rescore: int | None = None
    """Documents a query that are ranked again with the query as floats, where bits are compared; None: none are."""
    size: Size | None = None
    """Which of the sizes of its model's vectors, on the embedding axis; None where the model has one alone."""
    encoder_name: str | None = None
    """Whose vectors it is scored on; None: its own model's."""
    whole_key: str | None = None
    """Key of the cell of the whole vectors, which are made once for all sizes; None: its own key."""

    @property
    def encoder(self) -> str:
        """The model that has to be loaded for it."""
        return self.encoder_name or self.model

    @property
    def made_as(self) -> str:
        """What is locked and dealt out together: the key of the cell whose vectors it is scored on."""
        return str(self.whole_key or self.key)

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


def dataset_name(info: TaskInfo) -> str:
    """Return how `Plan.datasets` calls the data of a task: two tasks may read one repository at two revisions."""
    return f"{info.name}:{info.dataset}"
