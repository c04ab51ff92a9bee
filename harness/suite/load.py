"""From suite files to a `Suite`: read, merged (`merge.py`), overridden, and checked, every problem at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness import yaml_source
from harness.errors import InputError
from harness.suite.checks import suite as suite_checks
from harness.suite.encoder_kinds import known_encoders
from harness.suite.merge import merge, only_included, without_links
from harness.suite.model_entries import ModelSpec
from harness.suite.overrides import apply_overrides
from harness.suite.problems import Problem, to_quote, with_faults
from harness.suite.schema import Suite
from harness.suite.shipped import find_suite, shipped_folder
from harness.suite.training import absolute_training_paths, nested_training, told_to_each, with_training
from harness.suite.validation import from_validation_error
from harness.wording import did_you_mean, display_path
from harness.yaml_source import Fault, Node, Position


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
    faults: list[Fault] = []
    tree = _load_merged(path, (), files, faults)
    tree = apply_overrides(tree, overrides, after_each=lambda changed: nested_training(changed, faults))
    return LoadedSuite(suite=_validate(tree, faults), file=path, files=tuple(files))


def model_of(entry: Mapping[str, Any], beside: Sequence[ModelSpec] = ()) -> Any:
    """Return the model entry `entry` (as in a suite's `models`), checked; raises InputError with every problem.

    Args:
        entry: the mapping.
        beside: the other models of its suite, by whose names it may call its writer.
    """
    others = [one.model_dump(exclude_unset=True) for one in beside]
    document = {"version": 1, "name": "python", "models": [{"name": "model", **entry}, *others]}
    faults: list[Fault] = []
    tree = nested_training(yaml_source.from_plain(document, Position("model entry")), faults)
    return _validate(tree, faults).models[0]


def _load_merged(
    path: Path, chain: tuple[Path, ...], files: list[Path], faults: list[Fault], *, link: Node | None = None
) -> Node:
    resolved = path.resolve()
    if resolved in chain:
        circle = " -> ".join(display_path(one) for one in (*chain[chain.index(resolved) :], resolved))
        where = link.position if link else display_path(path)
        raise InputError([f"{where}: the files extend each other in a circle: {circle}; take one of the links out"])
    tree = yaml_source.load(path, faults)
    if not isinstance(tree.value, dict):
        raise InputError([f"{tree.position}: a suite is a mapping of keys to values, this file is not"])
    _check_version(tree)
    own = nested_training(_absolute_custom_paths(tree, resolved.parent), faults)
    absolute_training_paths(own, resolved.parent)
    merged: Node | None = None
    for key in ("extends", "include"):
        for entry in _entries(tree.get(key)):
            base = _load_merged(_find_base(entry, resolved.parent), (*chain, resolved), files, faults, link=entry)
            base = only_included(told_to_each(base)) if key == "include" else base
            merged = merge(merged, base) if merged else base
    files.append(path)
    return merge(without_links(merged), own) if merged else own


def _entries(node: Node | None) -> list[Node]:
    if node is None:
        return []
    return node.items() if isinstance(node.value, list) else [node]


def _find_base(entry: Node, folder: Path) -> Path:
    if not isinstance(entry.value, str):
        raise InputError(
            [f"{entry.position}: expected the name of a suite file, got {entry.spelling}{to_quote(entry)}"]
        )
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
            [f"{version.position}: version {version.spelling} is not supported; this release reads version: 1"]
        )


def _absolute_custom_paths(tree: Node, folder: Path) -> Node:
    """Return `tree` with paths of own tasks and of `public` made absolute: merged trees forget whose folder it was."""
    tasks = tree.get("tasks")
    for section, key in (("custom", "path"), ("ability", "file")):
        entries = tasks.get(section) if tasks else None
        for entry in entries.items() if entries else []:
            path = entry.get(key)
            if path and isinstance(path.value, str) and isinstance(entry.value, dict):
                entry.value[key] = Node(str(folder / Path(path.value).expanduser()), path.position, path.key_position)
    public = tree.get("public")
    results = public.get("results") if public else None
    if public and results and isinstance(results.value, str) and isinstance(public.value, dict):
        place = str(folder / Path(results.value).expanduser())
        public.value["results"] = Node(place, results.position, results.key_position)
    return tree


def _validate(tree: Node, faults: Sequence[Fault] = ()) -> Suite:
    problems: list[Problem] = []
    suite: Suite | None = None
    try:
        suite = Suite.model_validate(tree.plain())
    except ValidationError as error:
        problems.extend(from_validation_error(error, tree, known_encoders()))
    problems.extend(suite_checks.check(tree))
    problems = with_faults(problems, faults)
    if problems or suite is None:
        raise InputError([str(problem) for problem in sorted(set(problems))])
    return with_training(suite)
