"""Turn pydantic's complaints into lines a user can act on: position, what, value, valid choices, near miss."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from harness.suite.fields import NAME_PATTERN, SHA256_PATTERN
from harness.wording import did_you_mean, listing, short
from harness.yaml_source import Fault, Node

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
    NAME_PATTERN: "letters, digits and any of _ . + @ = - with a letter or digit first",
    SHA256_PATTERN: "64 hex digits in lower case",
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


def with_faults(problems: Iterable[Problem], faults: Iterable[Fault]) -> list[Problem]:
    """Return the faults of the file as problems too, without what is only said because a faulty value reads as none."""
    found = [Problem(at.file, at.line, at.column, message) for at, message in faults]
    places = {(one.file, one.line, one.column) for one in found}
    return [*found, *(one for one in problems if (one.file, one.line, one.column) not in places)]


def worded(
    one: dict[str, Any], node: Node, *, label: str, above: str, keys: Collection[str], meaning: str | None = None
) -> Problem:
    """Return one of pydantic's complaints as a problem at `node`.

    Args:
        one: from `ValidationError.errors()`.
        node: the value complained of, or the nearest there is.
        label: how the value is called.
        above: how the mapping that holds it is called.
        keys: what that mapping may hold.
        meaning: what the key complained of stands for; None where its name says it.
    """
    kind: str = one["type"]
    value = one.get("input")
    got = _got(node, value)
    if kind == "extra_forbidden":
        key = one["loc"][-1]
        return problem(
            node, f"unknown key {key!r}; valid: {listing(keys, most=40)}{did_you_mean(key, keys)}", at_key=True
        )
    if kind == "missing":
        return problem(node, f"{above}: missing key {one['loc'][-1]!r}{f', {meaning}' if meaning else ''}")
    if kind == "literal_error":
        choices = [part.strip(" '") for part in one["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        near = to_quote(node) if node.written in choices else did_you_mean(value, choices)
        return problem(node, f"{label}: {got} is not one of {listing(choices)}{near}")
    if kind in WANTED:
        hint = to_quote(node) if kind == "string_type" else ""
        return problem(node, f"{label}: expected {WANTED[kind]}, got {got}{hint}")
    if kind in BOUNDS:
        return problem(node, f"{label}: expected {BOUNDS[kind].format(**one['ctx'])}, got {got}")
    if kind == "string_pattern_mismatch" and one["ctx"]["pattern"] in PATTERNS:
        return problem(node, f"{label}: expected {PATTERNS[one['ctx']['pattern']]}, got {got}")
    message = one["msg"].removeprefix("Value error, ")
    return problem(node, f"{label}: {message[0].lower()}{message[1:]}, got {got}")


def _got(node: Node, value: Any) -> str:
    """Return how a value was written, where `node` is that value and not the nearest there is."""
    return node.spelling if node.written is not None and node.value == value else short(value)


def to_quote(node: Node) -> str:
    """Return the advice to quote what YAML read as something else than text; empty where it read text."""
    if not node.written:
        return ""
    value = node.value
    read = "nothing" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    as_read = "" if read == node.written else f", which YAML reads as {read}"
    return f"{as_read}; quote it where it is text: '{node.written}'"
