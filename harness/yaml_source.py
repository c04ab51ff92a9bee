"""YAML with a position for every key and value, and near-miss suggestions; imports errors only.

PyYAML's own loader forgets where a value stood and lets a repeated key win in silence. Here the node tree is walked
once, so that every problem can be reported as `file:line:column`, and a repeated key is a problem. What YAML 1.1 reads
as something that hardly anybody means is refused as it was written: 040 (32), 1:30 (90), dates, half characters. 1e3 is
a number, as in YAML 1.2. A value that is no text keeps how it was written, so that a message can say what to quote.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from harness.errors import InputError
from harness.wording import display_path, listing, short
from harness.yaml_scalars import EXPONENT, LONGEST_NUMBER, misread, of_no_kind, unprintable

Loc = tuple[str | int, ...]
Tagged = Callable[[str], str]
DEEPEST = 50
"""Levels of mappings and lists in one another; a suite has about ten."""
MOST_VALUES = 200_000
"""Keys and values of a file once aliases are written out: a few lines of aliases of aliases stand for billions."""
KINDS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq")}
"""What a value may be; no dates, no sets, no objects of a language."""
ENCODINGS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


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


class Fault(NamedTuple):
    """A value or key that cannot be meant; the rest of its file can be read all the same."""

    position: Position
    message: str

    def __str__(self) -> str:
        return f"{self.position}: {self.message}"


@dataclass(frozen=True, slots=True)
class Node:
    """A YAML value with its position; mappings and lists hold further nodes."""

    value: dict[str, Node] | list[Node] | str | int | float | bool | None
    """Mapping, list or scalar (dates arrive as PyYAML constructs them)."""
    position: Position
    """Where the value begins."""
    key_position: Position | None = None
    """Where its key stands; None outside a mapping."""
    written: str | None = field(default=None, compare=False)
    """How a value that is no text was written, such as `no` or `1.10`; None for texts, mappings and lists."""

    @property
    def spelling(self) -> str:
        """The value for messages: as it was written, where YAML reads that as something else than text."""
        return short(self.plain()) if self.written is None else self.written or "nothing"

    def moved(self, position: Position) -> Node:
        """Return the same tree with every node at one position."""
        value = self.value
        if isinstance(value, dict):
            value = {key: child.moved(position) for key, child in value.items()}
        elif isinstance(value, list):
            value = [child.moved(position) for child in value]
        return replace(self, value=value, position=position, key_position=position)

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


def load(path: Path, faults: list[Fault] | None = None, *, tagged: Tagged | None = None) -> Node:
    """Parse the YAML file at `path`.

    Args:
        path: the file.
        faults: gets what cannot be meant, whose value in the tree is what YAML reads, or None; where there is no such
            list, it is raised.
        tagged: what a value with a tag of the file's own kind is read as, such as `!function name`; None: a fault.

    Raises:
        InputError: the file is missing, unreadable, not UTF-8, not YAML, empty, holds several documents or a repeated
            key; `file:line:column` leads each line.
    """
    shown = display_path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError([f"{shown}: no such file{_similar_files(path)}"]) from None
    except OSError as error:
        raise InputError([f"{shown}: cannot be read: {error}"]) from error
    return parse(_decoded(content, path), shown, faults, tagged=tagged)


def _decoded(content: bytes, path: Path) -> str:
    found = ENCODINGS.get(content[:2])
    where, why = Position(display_path(path), 1, 1), f"the file is {found}"
    try:
        if found is None:
            return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].rpartition(b"\n")[2].decode("utf-8", "replace")
        where = Position(where.file, content.count(b"\n", 0, error.start) + 1, len(line) + 1)
        why = f"not UTF-8: {error.reason}"
    advice = f"iconv -f {found or 'WINDOWS-1252'} -t UTF-8 {path.name} > new-{path.name}"
    raise InputError([f"{where}: {why}; save it as UTF-8, such as by {advice}"])


def parse(text: str, file: str, faults: list[Fault] | None = None, *, tagged: Tagged | None = None) -> Node:
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
    found: list[Fault] = []
    tree = _Walk(file, found, tagged=tagged).node(nodes[0], None, 0)
    if faults is None and found:
        raise InputError([str(fault) for fault in found])
    if faults is not None:
        faults += found
    return tree


def from_plain(value: Any, position: Position) -> Node:
    """Return `value` as a tree whose every node stands at `position` (command-line overrides)."""
    if isinstance(value, dict):
        return Node({str(key): from_plain(child, position) for key, child in value.items()}, position, position)
    if isinstance(value, list):
        return Node([from_plain(child, position) for child in value], position, position)
    return Node(value, position, position)


class _Walk:
    """From PyYAML's nodes to ours, aliases written out, with every fault on the way."""

    def __init__(self, file: str, faults: list[Fault], *, tagged: Tagged | None) -> None:
        self._file = file
        self._tagged = tagged
        self._faults = faults
        self._values = 0
        self._open: set[int] = set()

    def node(self, node: yaml.Node, key_position: Position | None, depth: int) -> Node:
        """Return what stands at `node`; raises InputError where the file is not worth reading to its end."""
        where = _position(node, self._file)
        self._values += 1
        if id(node) in self._open:
            raise InputError([f"{where}: an alias stands for this and is inside of it"])
        if depth > DEEPEST:
            raise InputError([f"{where}: nested too deeply: more than {DEEPEST} lists and mappings in one another"])
        if self._values > MOST_VALUES:
            raise InputError([f"{where}: with its aliases written out the file has more than {MOST_VALUES} values"])
        if self._tagged and node.tag.startswith("!") and isinstance(node, yaml.ScalarNode):
            return Node(self._tagged(str(node.value)), where, key_position)
        if node.tag not in KINDS:
            self._faults.append(Fault(where, of_no_kind(node)))
            return Node(str(node.value) if node.tag.endswith(":timestamp") else None, where, key_position)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, where, key_position)
        self._open.add(id(node))
        below: dict[str, Node] | list[Node]
        if isinstance(node, yaml.MappingNode):
            below = self._mapping(node, depth)
        else:
            below = [self.node(child, None, depth + 1) for child in node.value]
        self._open.discard(id(node))
        return Node(below, where, key_position)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Node]:
        result: dict[str, Node] = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            where = _position(key_node, self._file)
            if not isinstance(key_node, yaml.ScalarNode):
                self._faults.append(Fault(where, "a key must be plain text"))
                continue
            key = str(key_node.value)
            if key_node.tag.endswith(":merge"):
                below = self.node(value_node, where, depth + 1)
                merged += [below] if isinstance(below.value, dict) else below.items()
                if not all(isinstance(one.value, dict) for one in merged) or not merged:
                    self._faults.append(Fault(where, "<< takes a mapping, or a list of them"))
            elif wrong := unprintable(key):
                self._faults.append(Fault(where, wrong))
            elif key in result:
                first = result[key].key_position
                self._faults.append(Fault(where, f"key {key!r} is given twice; the first is at {first}"))
            else:
                result[key] = self.node(value_node, where, depth + 1)
        for one in merged:  # a key of the mapping's own wins, then the first that is merged
            result = {**(one.value if isinstance(one.value, dict) else {}), **result}
        return result

    def _scalar(self, node: yaml.ScalarNode, where: Position, key_position: Position | None) -> Node:
        written = str(node.value)
        if node.tag.endswith(":str"):
            if node.style is None and EXPONENT.fullmatch(written) and math.isfinite(float(written)):
                return Node(float(written), where, key_position, written)
            if wrong := unprintable(written):
                self._faults.append(Fault(where, wrong))
            return Node(written, where, key_position)
        if wrong := misread(written, node.tag):
            self._faults.append(Fault(where, wrong))
            if len(written) > LONGEST_NUMBER:
                return Node(None, where, key_position, written)
        return Node(self._constructed(node, where), where, key_position, written)

    def _constructed(self, node: yaml.Node, where: Position) -> Any:
        loader = yaml.SafeLoader("")
        try:
            return self._finite(loader.construct_object(node, deep=True), where, str(node.value))
        except (yaml.YAMLError, ValueError, KeyError):  # a tag that does not fit
            kind = node.tag.rpartition(":")[2]
            self._faults.append(Fault(where, f"{short(node.value)} is no {kind}; quote it if it is text"))
            return None
        finally:
            loader.dispose()

    def _finite(self, value: Any, where: Position, written: str) -> Any:
        is_infinite = isinstance(value, float) and math.isinf(value) and "inf" not in written.lower()
        if is_infinite or (isinstance(value, int) and abs(value) >= 1 << 63):
            self._faults.append(Fault(where, f"{short(written)} is too large for a number; quote it if it is text"))
            return None
        return value


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
