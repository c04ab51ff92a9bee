"""Pydantic's errors as problems at their place in the suite."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from harness.suite import schema
from harness.suite.encoder_kinds import KINDS
from harness.suite.model_entries import CandidateSpec, OtherEncoderSpec
from harness.suite.problems import Problem, worded
from harness.suite.task_entries import AbilityRef, CustomRef, EmbeddingTasks, TaskRef, Tasks
from harness.yaml_source import Loc, Node

Pattern = tuple[str, ...]
"""A place in a suite; `*` stands for any step."""


def _of_model_entries() -> Iterator[tuple[Pattern, type[BaseModel]]]:
    """Yield where each kind of model entry stands, and the mappings inside it."""
    entries: dict[str, type[BaseModel]] = {name: kind.entry for name, kind in KINDS.items()}
    entries |= {"candidate": CandidateSpec, "other": OtherEncoderSpec}
    for tag, entry in entries.items():
        place = ("models", "*", tag)
        yield place, entry
        for name, field in entry.model_fields.items():
            inside = (*place, name, "*") if get_origin(field.annotation) is dict else (*place, name)
            for one in (field.annotation, *get_args(field.annotation)):
                if isinstance(one, type) and issubclass(one, BaseModel):
                    yield inside, one


KEYS_AT: tuple[tuple[Pattern, type[BaseModel]], ...] = (
    ((), schema.Suite),
    *_of_model_entries(),
    (("tasks",), Tasks),
    (("tasks", "embedding"), EmbeddingTasks),
    (("tasks", "embedding", "names", "*"), TaskRef),
    (("tasks", "embedding", "by_type", "*", "*"), TaskRef),
    (("tasks", "ability", "*"), AbilityRef),
    (("tasks", "custom", "*"), CustomRef),
    (("gates", "*"), schema.Gate),
)


def from_validation_error(error: ValidationError, tree: Node, encoders: Collection[str]) -> list[Problem]:
    """Return one problem for each of pydantic's, placed in `tree`.

    What only follows from a missing, doubled or unknown encoder (`encoders` are the known ones) is left out: the checks
    name the cause.
    """
    found = [dict(one) for one in error.errors(include_url=False)]
    return [_problem(one, tree) for one in found if not _follows_from_encoder(one, tree, encoders)]


def _follows_from_encoder(one: dict[str, Any], tree: Node, encoders: Collection[str]) -> bool:
    loc: Loc = one["loc"]
    if loc[:1] != ("models",) or len(loc) != 4 or one["type"] not in ("extra_forbidden", "missing"):
        return False
    encoder = tree.nearest(loc[:2]).get("encoder")
    if loc[2] == "other":
        return loc[3] != "name" and (encoder is None or encoder.value not in encoders)
    return loc[3] == "candidate" and encoder is not None


def _problem(one: dict[str, Any], tree: Node) -> Problem:
    loc: Loc = one["loc"]
    node = tree.nearest(_steps(loc))
    return worded(one, node, label=_label(loc), above=_label(loc[:-1]), keys=_valid_keys(loc[:-1]))


def _steps(loc: Loc) -> Loc:
    """Return `loc` without what pydantic adds to the path: the kind of a model entry, the mark of a key."""
    kind_at = 2 if loc[:1] == ("models",) else None
    return tuple(step for index, step in enumerate(loc) if index != kind_at and step != "[key]")


def _label(loc: Loc) -> str:
    return ".".join(str(step) for step in _steps(loc)) or "suite"


def _valid_keys(loc: Loc) -> list[str]:
    for pattern, model in KEYS_AT:
        if len(pattern) == len(loc) and all(want in ("*", have) for want, have in zip(pattern, loc, strict=True)):
            return list(model.model_fields)
    return []
