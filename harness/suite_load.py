"""From suite files to a `Suite`: extends, include, overrides, and every problem at once with its position.

Merging: mappings merge key by key and the later file wins; lists of named things (models, tasks) merge by name, new
names at the end; every other list is replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness import suite_checks, yaml_source
from harness.errors import InputError
from harness.suite import Suite
from harness.suite_problems import Problem, from_validation_error
from harness.yaml_source import Node, Position, did_you_mean, display_path, listing

NAMED_LISTS = (
    ("models",),
    ("tasks", "embedding", "names"),
    ("tasks", "embedding", "by_type", "*"),
    ("tasks", "ability"),
    ("tasks", "custom"),
)
INCLUDED_KEYS = ("models", "tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSuite:
    """A suite and where it came from."""

    suite: Suite
    file: Path
    """The file that was named."""
    files: tuple[Path, ...]
    """Every file that was read, the bases first."""

    @property
    def spelling(self) -> str:
        """The suite as a user would type it on a command line."""
        return self.file.stem if self.file.parent == shipped_folder() else display_path(self.file)


def shipped_folder() -> Path:
    """Return the folder of the suites that ship with the package: in the wheel, or beside the source."""
    here = Path(__file__).resolve().parent
    packed = here / "_suites"
    return packed if packed.is_dir() else here.parent / "suites"


def shipped_suites() -> list[str]:
    """Return the names that can be given in place of a path."""
    return sorted(path.stem for path in shipped_folder().glob("*.yaml"))


def load_suite(source: str | Path, overrides: Sequence[str] = ()) -> LoadedSuite:
    """Load and check a suite.

    Args:
        source: a path, or the name of a shipped suite such as `demo`.
        overrides: `key=value` strings; the key is a dotted path, list elements by name or index, the value is YAML.

    Raises:
        InputError: with every problem found, one line each.
    """
    path = find_suite(source)
    files: list[Path] = []
    tree = _load_merged(path, (), files)
    tree = apply_overrides(tree, overrides)
    return LoadedSuite(suite=_validate(tree), file=path, files=tuple(files))


def model_of(entry: Mapping[str, Any]) -> Any:
    """Return the model entry `entry` (as in a suite's `models`), checked; raises InputError with every problem."""
    document = {"version": 1, "name": "python", "models": [{"name": "model", **entry}]}
    return _validate(yaml_source.from_plain(document, Position("model entry"))).models[0]


def find_suite(source: str | Path) -> Path:
    """Return the file that `source` names: a path as it is, or a shipped suite by its bare name."""
    path = Path(source)
    if path.exists() or path.suffix or len(path.parts) > 1:
        return path
    shipped = shipped_folder() / f"{source}.yaml"
    if shipped.exists():
        return shipped
    names = shipped_suites()
    raise InputError(
        [f"{source}: neither a file nor a shipped suite; shipped: {listing(names)}{did_you_mean(source, names)}"]
    )


def merge(base: Node, top: Node, path: tuple[str, ...] = ()) -> Node:
    """Return `base` with `top` laid over it, by the rules at the head of this file."""
    if isinstance(base.value, dict) and isinstance(top.value, dict):
        merged = dict(base.value)
        for key, child in top.value.items():
            merged[key] = merge(merged[key], child, (*path, key)) if key in merged else child
        return Node(merged, top.position, top.key_position)
    if isinstance(base.value, list) and isinstance(top.value, list) and _is_named_list(path):
        return Node(_merge_named(base.value, top.value, path), top.position, top.key_position)
    return top


def apply_overrides(tree: Node, overrides: Iterable[str]) -> Node:
    """Return `tree` with each `key=value` set; raises InputError naming every override that cannot be."""
    problems: list[str] = []
    for text in overrides:
        key, equals, value = text.partition("=")
        where = Position(f"-o {text}")
        if not equals or not key:
            problems.append(f"{where}: expected key=value, such as -o limit=50 or -o models.base.dtype=bfloat16")
            continue
        try:
            parsed = yaml_source.parse(value, str(where)) if value.strip() else yaml_source.from_plain(None, where)
            tree = _set(tree, key, yaml_source.from_plain(parsed.plain(), where), where)
        except InputError as error:
            problems.extend(error.problems)
    if problems:
        raise InputError(problems)
    return tree


def _load_merged(path: Path, chain: tuple[Path, ...], files: list[Path], link: Node | None = None) -> Node:
    resolved = path.resolve()
    if resolved in chain:
        circle = " -> ".join(display_path(one) for one in (*chain[chain.index(resolved) :], resolved))
        where = link.position if link else display_path(path)
        raise InputError([f"{where}: the files extend each other in a circle: {circle}; take one of the links out"])
    tree = yaml_source.load(path)
    if not isinstance(tree.value, dict):
        raise InputError([f"{tree.position}: a suite is a mapping of keys to values, this file is not"])
    _check_version(tree)
    own = _absolute_custom_paths(tree, resolved.parent)
    merged: Node | None = None
    for key in ("extends", "include"):
        for entry in _entries(tree.get(key)):
            base = _load_merged(_find_base(entry, resolved.parent), (*chain, resolved), files, entry)
            base = _only_included(base) if key == "include" else base
            merged = merge(merged, base) if merged else base
    files.append(path)
    return merge(_without_links(merged), own) if merged else own


def _entries(node: Node | None) -> list[Node]:
    if node is None:
        return []
    return node.items() if isinstance(node.value, list) else [node]


def _find_base(entry: Node, folder: Path) -> Path:
    if not isinstance(entry.value, str):
        raise InputError([f"{entry.position}: expected the name of a suite file, got {entry.plain()!r}"])
    name = entry.value
    for candidate in (folder / name, shipped_folder() / name, shipped_folder() / f"{name}.yaml"):
        if candidate.is_file():
            return candidate
    near = did_you_mean(name, [file.name for file in (*folder.glob("*.y*ml"), *shipped_folder().glob("*.yaml"))])
    raise InputError([f"{entry.position}: no suite {name!r} in {display_path(folder)} or among the shipped{near}"])


def _check_version(tree: Node) -> None:
    version = tree.get("version")
    if version is None:
        raise InputError([f"{tree.position}: missing key 'version'; this release reads version: 1"])
    if version.value != 1 or isinstance(version.value, bool):
        raise InputError(
            [f"{version.position}: version {version.plain()!r} is not supported; this release reads version: 1"]
        )


def _only_included(tree: Node) -> Node:
    kept = {key: child for key, child in _children(tree).items() if key in INCLUDED_KEYS}
    return Node(kept, tree.position, tree.key_position)


def _without_links(tree: Node) -> Node:
    kept = {key: child for key, child in _children(tree).items() if key not in ("extends", "include")}
    return Node(kept, tree.position, tree.key_position)


def _children(tree: Node) -> dict[str, Node]:
    return tree.value if isinstance(tree.value, dict) else {}


def _absolute_custom_paths(tree: Node, folder: Path) -> Node:
    """Return `tree` with the paths of own tasks made absolute, since a merged tree forgets whose folder it was."""
    tasks = tree.get("tasks")
    for section, key in (("custom", "path"), ("ability", "file")):
        entries = tasks.get(section) if tasks else None
        for entry in entries.items() if entries else []:
            path = entry.get(key)
            if path and isinstance(path.value, str) and isinstance(entry.value, dict):
                entry.value[key] = Node(str(folder / Path(path.value).expanduser()), path.position, path.key_position)
    return tree


def _is_named_list(path: tuple[str, ...]) -> bool:
    return any(
        len(path) == len(pattern) and all(want in ("*", have) for want, have in zip(pattern, path, strict=True))
        for pattern in NAMED_LISTS
    )


def _merge_named(base: list[Node], top: list[Node], path: tuple[str, ...]) -> list[Node]:
    merged = list(base)
    places = {node_name(node): index for index, node in enumerate(base)}
    for node in top:
        place = places.get(node_name(node))
        if place is None:
            merged.append(node)
        else:
            merged[place] = merge(_as_mapping(merged[place]), _as_mapping(node), path)
    return merged


def node_name(node: Node) -> object:
    """Return the name of a list element: its `name`, or itself when it is plain text."""
    name = node.get("name")
    return name.value if name else (node.value if isinstance(node.value, str) else id(node))


def _as_mapping(node: Node) -> Node:
    if isinstance(node.value, str):
        return Node({"name": Node(node.value, node.position, node.position)}, node.position, node.key_position)
    return node


def _set(node: Node, key: str, value: Node, where: Position) -> Node:
    """Return `node` with `value` at the dotted path `key`."""
    if not key:
        return value
    if isinstance(node.value, list):
        index, rest = _element(node.value, key, where)
        changed = list(node.value)
        changed[index] = _set(_as_mapping(changed[index]) if rest else changed[index], rest, value, where)
        return Node(changed, node.position, node.key_position)
    head, _, rest = key.partition(".")
    children = dict(_children(node))
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


def _validate(tree: Node) -> Suite:
    problems: list[Problem] = []
    suite: Suite | None = None
    try:
        suite = Suite.model_validate(tree.plain())
    except ValidationError as error:
        problems.extend(from_validation_error(error, tree, suite_checks.known_encoders()))
    problems.extend(suite_checks.check(tree))
    if problems or suite is None:
        raise InputError([str(problem) for problem in sorted(set(problems))])
    return suite
