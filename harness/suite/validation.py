"""Pydantic's errors as problems at their place in the suite."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, ValidationError

from harness.suite import schema
from harness.suite.model_entries import (
    CandidateSpec,
    Generation,
    MeanPoolSpec,
    OtherEncoderSpec,
    RationaleSpec,
    SentenceTransformersSpec,
    TfIdfSpec,
)
from harness.suite.problems import Problem, worded
from harness.suite.task_entries import AbilityRef, AbilitySettings, CustomRef, EmbeddingTasks, TaskRef, Tasks
from harness.yaml_source import Loc, Node

KEYS_AT: tuple[tuple[tuple[str, ...], type[BaseModel]], ...] = (
    ((), schema.Suite),
    (("models", "*", "sentence-transformers"), SentenceTransformersSpec),
    (("models", "*", "mean-pool"), MeanPoolSpec),
    (("models", "*", "rationale"), RationaleSpec),
    (("models", "*", "rationale", "generation"), Generation),
    (("models", "*", "tf-idf"), TfIdfSpec),
    (("models", "*", "candidate"), CandidateSpec),
    (("models", "*", "other"), OtherEncoderSpec),
    (("tasks",), Tasks),
    (("tasks", "embedding"), EmbeddingTasks),
    (("tasks", "embedding", "names", "*"), TaskRef),
    (("tasks", "embedding", "by_type", "*", "*"), TaskRef),
    (("tasks", "ability", "*"), AbilityRef),
    (("models", "*", "mean-pool", "ability", "*"), AbilitySettings),
    (("models", "*", "rationale", "ability", "*"), AbilitySettings),
    (("models", "*", "candidate", "ability", "*"), AbilitySettings),
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
