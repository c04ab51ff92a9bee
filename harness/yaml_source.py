"""YAML with a position for every key and value, and near-miss suggestions; imports errors only.

PyYAML's own loader forgets where a value stood and lets a repeated key win in silence. Here the node tree is walked
once, so that every problem can be reported as `file:line:column`, and a repeated key is a problem.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import InputError
from harness.wording import display_path, listing

Loc = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a key or value stands."""

    file: str
    """As the user would type it, or `-o key` for a command-line override."""
    line: int = 0
    """1-based; 0 when there is none."""
    column: int = 0
    """1-based; 0 when there is none."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Node:
    """A YAML value with its position; mappings and lists hold further nodes."""

    value: dict[str, Node] | list[Node] | str | int | float | bool | None
    """Mapping, list or scalar (dates arrive as PyYAML constructs them)."""
    position: Position
    """Where the value begins."""
    key_position: Position | None = None
    """Where its key stands; None outside a mapping."""

    def plain(self) -> Any:
        """Return the value as plain dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def get(self, key: str) -> Node | None:
        """Return the child under `key`, or None where this is no mapping or has no such key."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    def items(self) -> list[Node]:
        """Return the children of a list, or nothing where this is none."""
        return self.value if isinstance(self.value, list) else []

    def nearest(self, loc: Loc) -> Node:
        """Return the deepest node on the way along `loc`; steps that are not in the tree are passed over."""
        node = self
        for step in loc:
            child: Node | None = None
            if isinstance(node.value, dict) and isinstance(step, str):
                child = node.value.get(step)
            elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
                child = node.value[step]
            node = child or node
        return node


def load(path: Path) -> Node:
    """Parse the YAML file at `path`.

    Raises:
        InputError: the file is missing, unreadable, not UTF-8, not YAML, empty, holds several documents or a repeated
            key; `file:line:column` leads each line.
    """
    shown = display_path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError([f"{shown}: no such file{_similar_files(path)}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([f"{shown}: cannot be read as UTF-8 text: {error}"]) from error
    return parse(text, shown)


def parse(text: str, file: str) -> Node:
    """Parse YAML `text`; `file` names it in positions and problems. Raises as `load` does."""
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        raise InputError([_not_yaml(error, file)]) from error
    except yaml.reader.ReaderError as error:
        at = int(error.position)
        where = Position(file, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
        raise InputError([f"{where}: not YAML: {str(error).splitlines()[0]}"]) from error
    except RecursionError:
        raise InputError([f"{file}:1:1: the file is nested too deeply"]) from None
    if not nodes or nodes[0] is None:
        raise InputError([f"{file}:1:1: the file is empty; expected keys and values, such as version: 1"])
    if len(nodes) > 1:
        where = _position(nodes[1], file)
        raise InputError([f"{where}: a second YAML document begins here; one file holds one document"])
    problems: list[str] = []
    try:
        tree = _walk(nodes[0], file, None, problems)
    except RecursionError:
        raise InputError([f"{_position(nodes[0], file)}: an alias here stands for something that holds it"]) from None
    if problems:
        raise InputError(problems)
    return tree


def from_plain(value: Any, position: Position) -> Node:
    """Return `value` as a tree whose every node stands at `position` (command-line overrides)."""
    if isinstance(value, dict):
        return Node({str(key): from_plain(child, position) for key, child in value.items()}, position, position)
    if isinstance(value, list):
        return Node([from_plain(child, position) for child in value], position, position)
    return Node(value, position, position)


def _walk(node: yaml.Node, file: str, key_position: Position | None, problems: list[str]) -> Node:
    where = _position(node, file)
    if isinstance(node, yaml.MappingNode):
        return Node(_walk_mapping(node, file, problems), where, key_position)
    if isinstance(node, yaml.SequenceNode):
        return Node([_walk(child, file, None, problems) for child in node.value], where, key_position)
    return Node(_scalar(node, where, problems), where, key_position)


def _walk_mapping(node: yaml.MappingNode, file: str, problems: list[str]) -> dict[str, Node]:
    result: dict[str, Node] = {}
    for key_node, value_node in node.value:
        where = _position(key_node, file)
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append(f"{where}: a key must be plain text")
            continue
        key = str(key_node.value)
        if key in result:
            problems.append(f"{where}: key {key!r} is given twice; the first is at {result[key].key_position}")
            continue
        result[key] = _walk(value_node, file, where, problems)
    return result


def _scalar(node: yaml.Node, where: Position, problems: list[str]) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError):  # a tag of another language, a date that is none
        problems.append(f"{where}: {node.value!r} is no {node.tag.rpartition(':')[2]}; quote it if it is text")
        return None
    finally:
        loader.dispose()


def _position(node: yaml.Node, file: str) -> Position:
    return Position(file, node.start_mark.line + 1, node.start_mark.column + 1)


def _not_yaml(error: yaml.MarkedYAMLError, file: str) -> str:
    mark, start = error.problem_mark or error.context_mark, error.context_mark
    where = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file)
    context = error.context if error.problem else None
    if context and start and mark and start is not mark and (start.line, start.column) != (mark.line, mark.column):
        context += f" that begins at line {start.line + 1}, column {start.column + 1}"
    hint = "; indent with spaces, not with tabs" if "'\\t'" in (error.problem or "") else ""
    return f"{where}: not YAML: {f'{context}: ' if context else ''}{error.problem or error.context}{hint}"


def _similar_files(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"; the folder {str(folder)!r} does not exist either"
    names = {entry.stem: entry.name for entry in sorted(folder.glob("*.y*ml"))}
    near = difflib.get_close_matches(path.stem, names, n=1)
    if near:
        return f"; did you mean {names[near[0]]!r}?"
    return f"; YAML files there: {listing(names.values())}" if names else ""
