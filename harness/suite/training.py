"""How a suite says that its candidates are trained: what a configuration is told, as by `-o` of `grace train`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import yaml_source
from harness.errors import InputError
from harness.sources.places import dataset_folder
from harness.suite.merge import children_of, merge
from harness.suite.model_entries import CandidateSpec
from harness.suite.schema import Suite
from harness.yaml_source import Fault, Node


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested values with dotted keys; a later one of the same key wins."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        place = f"{above}{key}"
        found |= flat(value, f"{place}.") if isinstance(value, Mapping) and value else {place: value}
    return found


def overrides_of(spec: CandidateSpec) -> tuple[str, ...]:
    """Return what an entry's configuration is told, `key=value` each, as `grace train -o` reads it."""
    return tuple(f"{key}={_spelt(value)}" for key, value in flat(spec.train).items())


def directory_of(candidate: str) -> Path:
    """Return the directory of a candidate, the same however it is spelt."""
    return Path(candidate).expanduser().resolve()


def with_training(suite: Suite) -> Suite:
    """Return a suite whose candidates say all of their training: the `train` of all, and the `config` of a directory.

    A directory is trained once, so that entries without a configuration have that of another of the same directory.
    """
    shared = flat(suite.train)
    makers = [one for one in suite.models if isinstance(one, CandidateSpec) and one.config is not None]
    told = {directory_of(one.candidate): one for one in makers}
    if not told:
        return suite
    models = [
        one.model_copy(update={"config": maker.config, "train": shared | flat(maker.train)})
        if isinstance(one, CandidateSpec) and (maker := told.get(directory_of(one.candidate))) is not None
        else one
        for one in suite.models
    ]
    return suite.model_copy(update={"models": models})


def nested_training(tree: Node, faults: list[Fault]) -> Node:
    """Return a suite whose `train` are nested, so that files and `-o` lay key over key however each spells it.

    Args:
        tree: of a suite's file, or of several.
        faults: gets every key that one mapping says in two spellings.
    """
    models = tree.get("models")
    if models is not None and isinstance(models.value, list):
        entries = [_with_nested(entry, faults) for entry in models.items()]
        tree = replace(tree, value={**children_of(tree), "models": replace(models, value=entries)})
    return _with_nested(tree, faults)


def _with_nested(node: Node, faults: list[Fault]) -> Node:
    train = node.get("train")
    if train is None or not isinstance(train.value, dict):
        return node
    return replace(node, value={**children_of(node), "train": _nested(train, "train", faults)})


def _nested(node: Node, place: str, faults: list[Fault]) -> Node:
    """Return a mapping whose dotted keys, here and below, are mappings of their own."""
    if not isinstance(node.value, dict):
        return node
    found: dict[str, Node] = {}
    for key, child in node.value.items():
        steps = key.split(".")
        first, *further = steps if all(steps) else [key]
        below = _nested(child, f"{place}.{key}", faults)
        for step in reversed(further):
            below = Node({step: below}, child.position, child.key_position)
        found[first] = _both(found[first], below, f"{place}.{first}", faults) if first in found else below
    return replace(node, value=found)


def _both(one: Node, other: Node, place: str, faults: list[Fault]) -> Node:
    """Return two mappings of one key as one; a fault where they say the same key."""
    if not isinstance(one.value, dict) or not isinstance(other.value, dict):
        first, second = (node.key_position or node.position for node in (one, other))
        faults.append(Fault(second, f"{place} is said in two spellings; the first is at {first}; take one of them out"))
        return other
    joined = dict(one.value)
    for key, child in other.value.items():
        joined[key] = _both(joined[key], child, f"{place}.{key}", faults) if key in joined else child
    return replace(one, value=joined)


def told_to_each(tree: Node) -> Node:
    """Return a suite whose candidates say what its `train` tells all of them: who takes them takes that along.

    Args:
        tree: of a suite, its `train` nested.
    """
    models, shared = tree.get("models"), tree.get("train")
    if shared is None or models is None or not isinstance(models.value, list) or not isinstance(shared.value, dict):
        return tree
    entries = [_told(entry, shared) if entry.get("config") is not None else entry for entry in models.items()]
    changed = {**children_of(tree), "models": Node(entries, models.position, models.key_position)}
    return Node(changed, tree.position, tree.key_position)


def _told(entry: Node, shared: Node) -> Node:
    own = entry.get("train")
    if own is not None and not isinstance(own.value, dict):
        return entry  # which the schema reports
    train = merge(shared, own, ("train",)) if own else shared
    return Node({**children_of(entry), "train": train}, entry.position, entry.key_position)


def absolute_training_paths(tree: Node, folder: Path) -> None:
    """Make the files that `tree` trains from absolute, since a merged tree forgets whose folder it was.

    Args:
        tree: of a suite's file, its `train` nested; changed in place.
        folder: that it lies in. A configuration that is not there is left as it is: it may be a shipped one.
    """
    models = tree.get("models")
    for entry in models.items() if models is not None and isinstance(models.value, list) else []:
        config = entry.get("config")
        if config is not None and isinstance(config.value, str) and isinstance(entry.value, dict):
            file = folder / Path(config.value).expanduser()
            if file.is_file():
                entry.value["config"] = Node(str(file), config.position, config.key_position)
        absolute_data(entry.get("train"), folder)
    absolute_data(tree.get("train"), folder)


def absolute_data(above: Node | None, folder: Path) -> None:
    """Make `data.path`, and a `data.dataset` that is a folder, absolute.

    Args:
        above: what `data` stands in, changed in place.
        folder: where relative paths begin.
    """
    data = above.get("data") if above else None
    if data is None or not isinstance(data.value, dict):
        return
    for key, node in list(data.value.items()):
        if not isinstance(node.value, str) or key not in ("path", "dataset"):
            continue
        full = folder / Path(node.value).expanduser() if key == "path" else dataset_folder(node.value, folder)
        if full is not None:
            data.value[key] = Node(str(full.resolve()), node.position, node.key_position)


def _spelt(value: Any) -> str:
    """Return a value as YAML that reads back as it: text as it stands, where that is no number or the like."""
    if isinstance(value, str) and value == value.strip():
        try:
            if value and yaml_source.parse(value, "-o").plain() == value:
                return value
        except InputError:
            pass
    if isinstance(value, float):  # 1e-05 is a text in YAML 1.1
        return f"{value:.1e}" if float(f"{value:.1e}") == value and "e" in repr(value) else repr(value)
    return json.dumps(value, ensure_ascii=False)
