"""Turn pydantic's complaints into lines a user can act on: position, what, value, valid choices, near miss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from harness import suite
from harness.yaml_source import Loc, Node, did_you_mean, listing

KEYS_AT: tuple[tuple[tuple[str, ...], type[BaseModel]], ...] = (
    ((), suite.Suite),
    (("models", "*", "sentence-transformers"), suite.SentenceTransformersSpec),
    (("models", "*", "mean-pool"), suite.MeanPoolSpec),
    (("models", "*", "rationale"), suite.RationaleSpec),
    (("models", "*", "rationale", "generation"), suite.Generation),
    (("models", "*", "candidate"), suite.CandidateSpec),
    (("models", "*", "other"), suite.OtherEncoderSpec),
    (("tasks",), suite.Tasks),
    (("tasks", "embedding"), suite.EmbeddingTasks),
    (("tasks", "embedding", "names", "*"), suite.TaskRef),
    (("tasks", "embedding", "by_type", "*", "*"), suite.TaskRef),
    (("tasks", "ability", "*"), suite.AbilityRef),
    (("tasks", "custom", "*"), suite.CustomRef),
)
WANTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong, and where."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{where}: {self.message}"


def problem(node: Node, message: str, *, at_key: bool = False) -> Problem:
    """Return a problem at `node`, or at its key."""
    where = node.key_position if at_key and node.key_position else node.position
    return Problem(where.file, where.line, where.column, message)


def from_validation_error(error: ValidationError, tree: Node) -> list[Problem]:
    """Return one problem for each of pydantic's, placed in `tree`."""
    return [_problem(dict(one), tree) for one in error.errors(include_url=False)]


def _problem(one: dict[str, Any], tree: Node) -> Problem:
    loc: Loc = one["loc"]
    kind: str = one["type"]
    node = tree.nearest(loc)
    label = _label(loc)
    value = one.get("input")
    if kind == "extra_forbidden":
        keys = _valid_keys(loc[:-1])
        return problem(
            node, f"unknown key {loc[-1]!r}; valid: {listing(keys, most=40)}{did_you_mean(loc[-1], keys)}", at_key=True
        )
    if kind == "missing":
        return problem(node, f"{label}: missing key {loc[-1]!r}")
    if kind == "literal_error":
        choices = [part.strip(" '") for part in one["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        return problem(node, f"{label}: {value!r} is not one of {listing(choices)}{did_you_mean(value, choices)}")
    if kind in WANTED:
        return problem(node, f"{label}: expected {WANTED[kind]}, got {_short(value)}")
    message = one["msg"].removeprefix("Value error, ")
    return problem(node, f"{label}: {message[0].lower()}{message[1:]}, got {_short(value)}")


def _label(loc: Loc) -> str:
    steps = [str(step) for step in loc if step not in ("sentence-transformers", "mean-pool", "other")]
    return ".".join(steps) or "suite"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _valid_keys(loc: Loc) -> list[str]:
    for pattern, model in KEYS_AT:
        if len(pattern) == len(loc) and all(want in ("*", have) for want, have in zip(pattern, loc, strict=True)):
            return list(model.model_fields)
    return []
