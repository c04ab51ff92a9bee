"""What `harness contamination` found, as it is kept beside results and read by reports.

`results/contamination/SUITE.json`: of every set of training files its models, and of every task what was matched and
the scores over the clean items, with the keys of the cells they are of. A command over some of a suite's models or
tasks replaces what is said of these alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from harness.contamination.clean import Clean

RECORD_VERSION = 2
"""1: words were cut at marks, so that vowels of many scripts were not compared."""
FOLDER = "contamination"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFile:
    """A file whose texts were compared."""

    file: str
    sha256: str
    texts: int
    columns: tuple[str, ...] = ()
    """That were read alone; empty: all that hold texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """The texts of a task in one role."""

    role: str
    """query, document, or text where the task has no roles."""
    texts: int
    whole: int
    """Texts that stand in the training texts as they are, but for case, punctuation and white space."""
    part: int
    """Further ones of which 13 words in a row do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOverlap:
    """A task against training files."""

    task: str
    type: str
    matched: tuple[Matched, ...] = ()
    items: int = 0
    """Scored items whose texts were compared; 0 where texts are no items by themselves."""
    touched: int = 0
    """Items of which a text is matched: of a query its own or a document judged relevant."""
    short: int = 0
    """Texts with fewer than 13 words, which are compared as a whole alone."""
    scores: Mapping[str, tuple[str, Clean]]
    """Model -> key of the cell, and its scores."""
    why: str = ""
    """Why the task was not compared; empty where it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Some models' training files against all tasks."""

    models: tuple[str, ...]
    training: tuple[TrainingFile, ...]
    tasks: tuple[TaskOverlap, ...]

    @property
    def read(self) -> frozenset[tuple[str, tuple[str, ...]]]:
        """What was read: the content of each file, and its columns."""
        return frozenset((one.sha256, one.columns) for one in self.training)


def to_json(found: tuple[Overlap, ...]) -> str:
    """Return the record as JSON text."""
    return json.dumps({"record_version": RECORD_VERSION, "overlaps": [asdict(one) for one in found]}, indent=1) + "\n"


def from_json(text: str | bytes) -> tuple[Overlap, ...]:
    """Read a record; raises ValueError where it is none of this version."""
    try:
        record = json.loads(text)
        if record["record_version"] != RECORD_VERSION:
            raise ValueError(f"not a record of version {RECORD_VERSION}")
        return tuple(_overlap(one) for one in record["overlaps"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a record of overlaps: {error}") from error


def with_earlier(found: Sequence[Overlap], earlier: Sequence[Overlap], suite: Sequence[str]) -> tuple[Overlap, ...]:
    """Return what was found now, and of an earlier record what it says of other models and other tasks.

    Of other tasks of a model it stays where the training files are the same, and of other models whichever they are.

    Args:
        found: of some of a suite's models and tasks.
        earlier: what was kept before.
        suite: the names of its models; an earlier model that is none of them any more, nor made of one, goes.
    """
    now = {model for one in found for model in one.models}
    joined = [replace(one, tasks=_joined(one, earlier)) for one in found]
    for one in earlier:
        others = tuple(name for name in one.models if name not in now and _is_of(name, suite))
        joined += [_of_models(one, others)] if others else []
    return tuple(joined)


def _joined(one: Overlap, earlier: Sequence[Overlap]) -> tuple[TaskOverlap, ...]:
    """Return tasks in the order of what was kept before, new ones last; one that cannot be compared now stays."""
    found: dict[str, TaskOverlap] = {}
    for old in (_of_models(old, one.models) for old in earlier if old.read == one.read):
        for task in old.tasks if set(old.models) & set(one.models) else ():
            before = found.get(task.task)
            found[task.task] = replace(task, scores={**before.scores, **task.scores}) if before else task
    found |= {task.task: task for task in one.tasks if not (task.why and task.task in found)}
    return tuple(found.values())


def _of_models(one: Overlap, models: Sequence[str]) -> Overlap:
    tasks = (
        replace(task, scores={name: score for name, score in task.scores.items() if name in models})
        for task in one.tasks
    )
    kept = tuple(name for name in one.models if name in models)
    return replace(one, models=kept, tasks=tuple(tasks))


def _is_of(model: str, suite: Sequence[str]) -> bool:
    """Whether a model is one of a suite, or a seed or setting of one (`name@...`)."""
    return any(model == name or model.startswith(f"{name}@") for name in suite)


def _overlap(plain: dict[str, Any]) -> Overlap:
    return Overlap(
        models=tuple(plain["models"]),
        training=tuple(TrainingFile(**one | {"columns": tuple(one.get("columns", ()))}) for one in plain["training"]),
        tasks=tuple(_task(one) for one in plain["tasks"]),
    )


def _task(plain: dict[str, Any]) -> TaskOverlap:
    known = {one.name: plain[one.name] for one in fields(TaskOverlap)}
    known["matched"] = tuple(Matched(**one) for one in plain["matched"])
    known["scores"] = {model: (key, Clean(**one)) for model, (key, one) in plain["scores"].items()}
    return TaskOverlap(**known)
