"""Overrides of the command line, `-o key=value`, set into the tree of a suite."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from harness import yaml_source
from harness.errors import InputError
from harness.suite.merge import as_mapping, children_of, node_name
from harness.wording import did_you_mean, listing
from harness.yaml_source import Node, Position


def apply_overrides(
    tree: Node, overrides: Iterable[str], *, after_each: Callable[[Node], Node] = lambda tree: tree
) -> Node:
    """Return `tree` with each `key=value` set; raises InputError naming every override that cannot be.

    Args:
        tree: of a file, or of several.
        overrides: in their order; a later one finds what an earlier one set.
        after_each: brings the tree into the form in which paths are looked for in it.
    """
    problems: list[str] = []
    for text in overrides:
        key, equals, value = text.partition("=")
        where = Position(f"-o {text}")
        if not equals or not key:
            problems.append(f"{where}: expected key=value, such as -o limit=50 or -o models.base.dtype=bfloat16")
            continue
        try:
            parsed = yaml_source.parse(value, str(where)) if value.strip() else yaml_source.from_plain(None, where)
            tree = after_each(_set(tree, key, parsed.moved(where), where))
        except InputError as error:
            problems.extend(one.replace(f"{where}:1:1: ", f"{where}: ") for one in error.problems)
    if problems:
        raise InputError(problems)
    return tree


def _set(node: Node, key: str, value: Node, where: Position) -> Node:
    """Return `node` with `value` at the dotted path `key`."""
    if not key:
        return value
    if isinstance(node.value, list):
        index, rest = _element(node.value, key, where)
        changed = list(node.value)
        changed[index] = _set(as_mapping(changed[index]) if rest else changed[index], rest, value, where)
        return Node(changed, node.position, node.key_position)
    head, _, rest = key.partition(".")
    children = dict(children_of(node))
    below = children.get(head) or Node({}, where, where)
    children[head] = _set(below, rest, value, where)
    return Node(children, node.position, node.key_position)


def _element(elements: list[Node], key: str, where: Position) -> tuple[int, str]:
    """Return which element a dotted path begins with, and what is left of the path; names may hold dots."""
    names = {str(node_name(node)): index for index, node in enumerate(elements)}
    for name in sorted(names, key=len, reverse=True):
        if key == name or key.startswith(f"{name}."):
            return names[name], key[len(name) + 1 :]
    head, _, rest = key.partition(".")
    if head.isdecimal() and int(head) < len(elements):
        return int(head), rest
    raise InputError([f"{where}: no element {head!r}; there are: {listing(names)}{did_you_mean(head, names)}"])
