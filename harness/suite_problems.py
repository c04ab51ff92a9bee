"""Turn pydantic's complaints into lines a user can act on: position, what, value, valid choices, near miss."""

from __future__ import annotations

from collections.abc import Collection
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
    (("models", "*", "tf-idf"), suite.TfIdfSpec),
    (("models", "*", "candidate"), suite.CandidateSpec),
    (("models", "*", "other"), suite.OtherEncoderSpec),
    (("tasks",), suite.Tasks),
    (("tasks", "embedding"), suite.EmbeddingTasks),
    (("tasks", "embedding", "names", "*"), suite.TaskRef),
    (("tasks", "embedding", "by_type", "*", "*"), suite.TaskRef),
    (("tasks", "ability", "*"), suite.AbilityRef),
    (("models", "*", "mean-pool", "ability", "*"), suite.AbilitySettings),
    (("models", "*", "rationale", "ability", "*"), suite.AbilitySettings),
    (("models", "*", "candidate", "ability", "*"), suite.AbilitySettings),
    (("tasks", "custom", "*"), suite.CustomRef),
    (("gates", "*"), suite.Gate),
)
WANTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
BOUNDS = {
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "less than {lt:g}",
    "too_short": "a list with at least {min_length} element",
    "string_too_long": "at most {max_length} characters",
}
PATTERNS = {
    suite.NAME_PATTERN: "letters, digits and any of _ . + @ = - with a letter or digit first",
    suite.SHA256_PATTERN: "64 hex digits in lower case",
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


def worded(one: dict[str, Any], node: Node, *, label: str, above: str, keys: Collection[str]) -> Problem:
    """Return one of pydantic's complaints as a problem at `node`.

    Args:
        one: from `ValidationError.errors()`.
        node: the value complained of, or the nearest there is.
        label: how the value is called.
        above: how the mapping that holds it is called.
        keys: what that mapping may hold.
    """
    kind: str = one["type"]
    value = one.get("input")
    if kind == "extra_forbidden":
        key = one["loc"][-1]
        return problem(
            node, f"unknown key {key!r}; valid: {listing(keys, most=40)}{did_you_mean(key, keys)}", at_key=True
        )
    if kind == "missing":
        return problem(node, f"{above}: missing key {one['loc'][-1]!r}")
    if kind == "literal_error":
        choices = [part.strip(" '") for part in one["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        return problem(node, f"{label}: {value!r} is not one of {listing(choices)}{did_you_mean(value, choices)}")
    if kind in WANTED:
        return problem(node, f"{label}: expected {WANTED[kind]}, got {_short(value)}")
    if kind in BOUNDS:
        return problem(node, f"{label}: expected {BOUNDS[kind].format(**one['ctx'])}, got {_short(value)}")
    if kind == "string_pattern_mismatch" and one["ctx"]["pattern"] in PATTERNS:
        return problem(node, f"{label}: expected {PATTERNS[one['ctx']['pattern']]}, got {_short(value)}")
    message = one["msg"].removeprefix("Value error, ")
    return problem(node, f"{label}: {message[0].lower()}{message[1:]}, got {_short(value)}")


def _steps(loc: Loc) -> Loc:
    """Return `loc` without what pydantic adds to the path: the kind of a model entry, the mark of a key."""
    kind_at = 2 if loc[:1] == ("models",) else None
    return tuple(step for index, step in enumerate(loc) if index != kind_at and step != "[key]")


def _label(loc: Loc) -> str:
    return ".".join(str(step) for step in _steps(loc)) or "suite"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _valid_keys(loc: Loc) -> list[str]:
    for pattern, model in KEYS_AT:
        if len(pattern) == len(loc) and all(want in ("*", have) for want, have in zip(pattern, loc, strict=True)):
            return list(model.model_fields)
    return []
