"""From planned tasks to where their data are, or to what is not there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.plan import ability
from harness.plan.cells import PlannedTask, dataset_name
from harness.sources.content import content_of
from harness.sources.locate import locate_dataset
from harness.sources.places import Gap, Located, Sources
from harness.suite.task_entries import CustomRef
from harness.tasks.catalogue import TaskInfo
from harness.tasks.types import EMBEDDING_TYPES
from harness.wording import display_path


def locate_datasets(
    tasks: Sequence[PlannedTask], sources: Sources
) -> tuple[dict[str, Located], list[tuple[Gap, list[PlannedTask]]]]:
    """Return dataset name -> where it is, and what is not there, each once, with the tasks that want it."""
    found: dict[str, Located] = {}
    wanting: dict[str, tuple[Gap, list[PlannedTask]]] = {}
    for task in tasks:
        for info in task.parts:
            place = _locate(task, info, sources)
            if isinstance(place, Located):
                found[dataset_name(info)] = place
            else:
                wanting.setdefault(str(place), (place, []))[1].append(task)
    return found, list(wanting.values())


def _locate(task: PlannedTask, info: TaskInfo, sources: Sources) -> Located | Gap:
    if task.custom is not None:
        return _locate_custom(task.custom)
    if task.ability is not None:
        return ability.locate(task, sources)
    return locate_dataset(
        sources,
        str(info.dataset),
        info.revision,
        subsets=info.configs or task.subsets,
        splits=() if info.configs else task.splits,  # in a config of its own a loader knows splits by other names too
        ranks_candidates=EMBEDDING_TYPES[task.type].ranks == "candidates",
    )


def _locate_custom(reference: CustomRef) -> Located | Gap:
    path = Path(reference.path)
    if not path.exists():
        return Gap(
            what=f"data of custom task {reference.name!r}",
            why=f"no such file or folder: {display_path(path)}",
            command="mend `path` in the suite (relative paths are taken from the suite's own folder)",
        )
    content = content_of(path.absolute(), "anything")
    return Located(
        kind="folder",
        load_from=str(path),
        revision=None,
        identity={"files_sha256": content.sha256()},
        source=f"own data {display_path(path)}",
        vouched="own data, keyed by content",
        content=content,
    )
