"""What `harness contamination` found, as it is kept beside results and read by reports.

`results/contamination/SUITE.json`: of every set of training files its models, and of every task what was matched and
the scores over the clean items, with the keys of the cells they are of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
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


def _overlap(plain: dict[str, Any]) -> Overlap:
    return Overlap(
        models=tuple(plain["models"]),
        training=tuple(TrainingFile(**one) for one in plain["training"]),
        tasks=tuple(_task(one) for one in plain["tasks"]),
    )


def _task(plain: dict[str, Any]) -> TaskOverlap:
    known = {one.name: plain[one.name] for one in fields(TaskOverlap)}
    known["matched"] = tuple(Matched(**one) for one in plain["matched"])
    known["scores"] = {model: (key, Clean(**one)) for model, (key, one) in plain["scores"].items()}
    return TaskOverlap(**known)
