"""The tasks of a cell as they are evaluated: made, loaded with the rows of the key, and cut down to the limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.backends.interface import Job
from harness.backends.mteb.custom import make_custom_task
from harness.backends.mteb.limit import apply_limit
from harness.backends.mteb.loaded import load
from harness.backends.mteb.remarks import OffCount, off_count, remarks_of
from harness.plan.cells import PlannedTask
from harness.sources.places import Located
from harness.sources.reading import read_as_keyed, unchanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """One mteb task, ready to be evaluated."""

    task: Any
    """Of mteb, loaded."""
    kept: dict[str, Any]
    """What a limit left of the data."""
    off_count: OffCount
    """In what the data are of another size than MTEB's own."""
    remarks: list[str]
    """What must be known of the data; of own files it was said when they were read."""


def prepared(job: Job, name: str) -> Prepared:
    """Return the task `name` of a cell: its own, or that of a part of an aggregate.

    Raises:
        ChangedContentError: the data are not those of the cell's key.
    """
    planned = job.cell.task
    task = _loaded_task(planned, name, job.data[name])
    infos = {info.name: info for info in planned.parts}
    remarks = [] if planned.custom else remarks_of(task)
    off = OffCount({}, {}) if planned.custom else off_count(task, infos[name])
    kept = apply_limit(task, planned.limit, job.seed) if planned.limit else {}
    return Prepared(task=task, kept=kept, off_count=off, remarks=remarks)


def names_of(job: Job) -> tuple[str, ...]:
    """Return the names of a cell's mteb tasks: those of an aggregate's parts, or its own."""
    info = job.cell.task.info
    return info.parts or (info.name,)


def _loaded_task(planned: PlannedTask, name: str, place: Located) -> Any:
    """Return a fresh mteb task with the rows that the key was made of."""
    with read_as_keyed(place) if planned.custom is None else unchanged(place, "datasets"):
        task = _make_task(planned, name, place)
        load(task, place)
    return task


def _make_task(planned: PlannedTask, name: str, place: Located) -> Any:
    """Return a fresh mteb task that reads `place`."""
    import mteb

    if planned.custom is not None:
        return make_custom_task(planned.custom)
    subsets = list(planned.subsets) if not planned.info.parts else None
    task = mteb.get_task(name, eval_splits=list(planned.splits), hf_subsets=subsets)
    task.filter_eval_splits(list(planned.splits))  # get_task drops splits its metadata does not list
    dataset = {**task.metadata.dataset, "path": place.load_from}
    if place.revision:
        dataset["revision"] = place.revision
    task.metadata = task.metadata.model_copy(update={"dataset": dataset})
    return task
