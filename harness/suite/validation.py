"""Pydantic's complaints as problems at their place in the suite, and those left out that only follow from others."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from harness.suite import schema
from harness.suite.encoder_kinds import KINDS
from harness.suite.fields import InsideError
from harness.suite.model_entries import CandidateSpec, OtherEncoderSpec
from harness.suite.problems import Problem, problem, worded
from harness.suite.task_entries import (
    ABILITY_KINDS,
    CustomRef,
    EmbeddingTasks,
    Public,
    PublicModel,
    TaskRef,
    Tasks,
)
from harness.tasks.catalogue import catalogue
from harness.wording import listing
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
    *((("tasks", "ability", "*", kind), model) for kind, model in ABILITY_KINDS.items()),
    (("tasks", "custom", "*"), CustomRef),
    (("gates", "*"), schema.Gate),
    (("public",), Public),
    (("public", "models", "*"), PublicModel),
)
"""Where each model stands, for the keys that are valid there; `*` is any step, and the step after a list's element
the kind that pydantic found."""
TAGGED: tuple[Loc, ...] = (("models",), ("tasks", "ability"))
"""Lists whose elements are of several kinds."""
ABILITY_KEYS = frozenset(key for model in ABILITY_KINDS.values() for key in model.model_fields)


def from_validation_error(error: ValidationError, tree: Node, encoders: Collection[str]) -> list[Problem]:
    """Return one problem for each of pydantic's, placed in `tree`.

    What only follows from a missing, doubled or unknown encoder (`encoders` are the known ones) or from an unknown
    ability task is left out: the checks name the cause.
    """
    found = [dict(one) for one in error.errors(include_url=False)]
    return [
        _problem(one, tree)
        for one in found
        if not _follows_from_encoder(one, tree, encoders) and not _follows_from_name(one, tree)
    ]


def _follows_from_encoder(one: dict[str, Any], tree: Node, encoders: Collection[str]) -> bool:
    loc: Loc = one["loc"]
    if loc[:1] != ("models",) or len(loc) != 4 or one["type"] not in ("extra_forbidden", "missing"):
        return False
    encoder = tree.nearest(loc[:2]).get("encoder")
    if loc[2] == "other":
        return loc[3] != "name" and (encoder is None or encoder.value not in encoders)
    return loc[3] == "candidate" and encoder is not None


def _follows_from_name(one: dict[str, Any], tree: Node) -> bool:
    """Whether a key is one of ability tasks, and only the name is none: what the task may have is not known then."""
    loc: Loc = one["loc"]
    if not _is_key_of_another_kind(one) or loc[3] != "catalogue":
        return False
    name = tree.nearest(loc[:3]).get("name")
    return name is not None and str(name.value) not in catalogue().of_axis("ability")


def _problem(one: dict[str, Any], tree: Node) -> Problem:
    inside = one.get("ctx", {}).get("error")
    if isinstance(inside, InsideError):
        one = one | {"loc": (*one["loc"], *inside.at), "input": inside.value}
    loc: Loc = one["loc"]
    node = tree.nearest(_steps(loc))
    model = _model_at(loc[:-1])
    keys = list(model.model_fields) if model else []
    if _is_key_of_another_kind(one):
        what = {"file": "an lm-eval task file", "nll": "lm_nll"}.get(str(loc[3]), _task_of(tree.nearest(loc[:3])))
        means = f"{loc[-1]!r} means nothing for {what}; take it out; valid: {listing(keys, most=40)}"
        return problem(node, means, at_key=True)
    field = model.model_fields.get(str(loc[-1])) if model else None
    meaning = field.description if field else None
    return worded(one, node, label=_label(loc), above=_label(loc[:-1]), keys=keys, meaning=meaning)


def _is_key_of_another_kind(one: dict[str, Any]) -> bool:
    """Whether an ability task is given a key that another kind of them has."""
    loc: Loc = one["loc"]
    is_entry = loc[:2] == ("tasks", "ability") and len(loc) == 5
    return is_entry and one["type"] == "extra_forbidden" and loc[4] in ABILITY_KEYS


def _task_of(entry: Node) -> str:
    name = entry.get("name")
    return f"task {name.value!r}" if name else "this task"


def _steps(loc: Loc) -> Loc:
    """Return `loc` without what pydantic adds to the path: the kind of an entry, the mark of a key."""
    kind_at = next((len(place) + 1 for place in TAGGED if loc[: len(place)] == place), None)
    return tuple(step for index, step in enumerate(loc) if index != kind_at and step != "[key]")


def _label(loc: Loc) -> str:
    return ".".join(str(step) for step in _steps(loc)) or "suite"


def _model_at(loc: Loc) -> type[BaseModel] | None:
    for pattern, model in KEYS_AT:
        if len(pattern) == len(loc) and all(want in ("*", have) for want, have in zip(pattern, loc, strict=True)):
            return model
    return None
