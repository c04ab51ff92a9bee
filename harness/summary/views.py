"""CellView, Standing, AxisSummary, Summary: what a report says, as data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.candidates.candidate import Candidate
from harness.comparison.retention import AxisRetention
from harness.plan.cells import Cell, PlannedTask
from harness.results.records import Failure, PromptedScore, Score
from harness.statistics.difference import Difference
from harness.tasks.types import EMBEDDING_TYPES, Axis

Comparer = Callable[[Score, Score], Difference]
"""From two scores of one task, the model's own first, to their difference."""
AXES: tuple[Axis, ...] = ("embedding", "ability")
"""In the order of a report."""
Status = Literal["ok", "error", "missing", "n/a"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellView:
    """One cell as a report shows it."""

    cell: Cell
    status: Status
    score: Score | None = None
    failure: Failure | None = None
    reason: str | None = None
    """Why it is missing or not applicable."""

    @property
    def value(self) -> float | None:
        """The score in points, or None."""
        return self.score.score if self.score else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean over tasks, with what it is over."""

    value: float | None
    """None where there is nothing to average."""
    n: int
    """Tasks (or types) in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a model stands on an axis, over the tasks that every model with scores has."""

    model: str
    mean: float
    """Over the common tasks, in points."""
    is_tied_with_leader: bool
    """Whether its difference to the best mean is not clear of 0."""
    to_leader: Difference | None
    """None for the leader itself."""
    to_baseline: Difference | None
    """None for the baseline itself, or where there is none."""
    ahead: int
    """Common tasks on which it is clearly ahead of the baseline: the paired interval lies above 0."""
    behind: int
    undecided: int
    """Common tasks whose interval covers 0 or that have none, but for those whose cell is the baseline's own."""
    best_rank: int | None = None
    """1 + the models that are clearly better; None where a difference has no interval."""
    worst_rank: int | None = None
    """The number of models less those clearly worse: with `best_rank` a 95 % interval of the rank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisSummary:
    """The means of one axis, a model each."""

    axis: Axis
    tasks: tuple[str, ...]
    """All tasks of the axis in the suite."""
    common: tuple[str, ...]
    """Those the means are over."""
    models: tuple[str, ...]
    """Models with any score on the axis that are applicable to all of it; the others are left out of the means."""
    by_type: dict[str, dict[str, Mean]]
    """type -> model -> mean over its common tasks."""
    over_tasks: dict[str, Mean]
    over_types: dict[str, Mean]
    delta: dict[str, Mean]
    """Model -> mean difference to the baseline over the tasks both have."""
    standings: tuple[Standing, ...]
    """Best mean first; empty where there is no common task."""
    apart: dict[str, str] = field(default_factory=dict)
    """Task that no mean may hold -> why: another unit than points, or other parts for other models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicView:
    """A published model beside the report's own; it has no per-item results."""

    name: str
    """As its source calls it."""
    revision: str | None
    """None where the source does not say."""
    versions: tuple[str, ...]
    """Of mteb, that wrote its rows."""
    kind: str
    """Of the source."""
    scores: dict[str, float]
    """Task -> points, over the splits and subsets of the report."""
    lacking: dict[str, str]
    """Task that it has no such score of -> why."""
    mean: Mean
    """Over the common tasks; None where it lacks one of them."""
    by_type: dict[str, Mean]
    """The same by type."""
    is_one_of_several: bool = False
    """Whether another revision of it stands beside it, so that its own is in its label."""

    @property
    def label(self) -> str:
        """Its name, marked; with the beginning of its revision where another one stands beside it."""
        return f"{self._named(self.name)} (published)"

    @property
    def short_label(self) -> str:
        """The mark first, for pictures, which cut long names; without whose model it is."""
        return f"published: {self._named(self.name.rpartition('/')[2])}"

    def _named(self, name: str) -> str:
        return f"{name}@{(self.revision or 'not said')[:8]}" if self.is_one_of_several else name


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRange:
    """One score of a model under all settings of its prompts."""

    model: str
    task: str
    """Its label."""
    score: PromptedScore
    least: Score
    """Under the worst setting, which may be the model's own."""
    most: Score
    """Under the best."""
    difference: Difference
    """The best less the worst, paired over items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSummary:
    """What hangs on the prompts."""

    ranges: tuple[PromptRange, ...]
    """A row a model and task, in the order of cells."""
    turned: tuple[str, ...]
    """Which models change places within their ranges, a line a task and one a mean; empty where none do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All that a report says."""

    title: str
    description: str | None
    limits: tuple[int, ...]
    """Distinct limits of the cells shown; empty for a full run."""
    baseline: str | None
    models: tuple[str, ...]
    tasks: tuple[PlannedTask, ...]
    cells: dict[tuple[str, str], CellView]
    """(model, task) -> view."""
    axes: tuple[AxisSummary, ...]
    candidates: dict[str, Candidate | None]
    """None for a candidate that is not there."""
    differences: dict[tuple[str, str], Difference]
    """(model, task) -> difference to the baseline, where both have a score; `q_value` over all of them."""
    retention: tuple[AxisRetention, ...] = ()
    """Whether each model kept the baseline's general ability; empty without a baseline or results to compare."""
    prompts: PromptSummary | None = None
    """What hangs on the prompts; None where no model has several settings of them."""
    unverified: tuple[str, ...] = ()
    """Sources that nothing vouches for."""
    warnings: tuple[str, ...] = field(default=())
    off_count: tuple[str, ...] = ()
    """Tasks whose data have another number of items or documents than the benchmark's own."""
    public: tuple[PublicView, ...] = ()
    """Published models beside the report's own."""

    @property
    def off_count_said(self) -> str | None:
        """What stands beside the title where some tasks are not over the benchmark's own data; None where all are."""
        if not self.off_count:
            return None
        return (
            f"{len(self.off_count)} of {len(self.tasks)} task(s) are over other numbers of items or documents than "
            "the benchmark's own data (see the remarks): not comparable with published figures"
        )


def ordered_types(tasks: Sequence[PlannedTask]) -> list[str]:
    """Return the types of `tasks`, MTEB's own order first, others as they come."""
    present = list(dict.fromkeys(task.type for task in tasks))
    known = [kind for kind in EMBEDDING_TYPES if kind in present]
    return known + [kind for kind in present if kind not in known]
