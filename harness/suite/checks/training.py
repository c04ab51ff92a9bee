"""Training: a candidate's configuration, what it is told, and entries that share one directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.suite.problems import Problem, problem
from harness.suite.training import directory_of, flat
from harness.yaml_source import Node


def check_training(tree: Node) -> Iterator[Problem]:
    """Yield the problems of `config` and `train`: one directory is trained once, so in one way."""
    models = tree.get("models")
    first: dict[Path, Node] = {}
    for entry in models.items() if models is not None and isinstance(models.value, list) else []:
        candidate, config, train = (entry.get(key) for key in ("candidate", "config", "train"))
        if candidate is None or not isinstance(candidate.value, str):
            continue
        if config is None or not isinstance(config.value, str):
            if train is not None and train.value:
                yield problem(train, "train: there is no 'config' that it could be told to; name one", at_key=True)
            continue
        other = first.setdefault(directory_of(candidate.value), entry)
        if _said(other) != _said(entry):
            named = other.get("name")
            yield problem(
                config,
                f"candidate {candidate.value!r} is trained once, and model {named.value if named else '?'!r} says "
                "another 'config' or 'train' for it; say the same, or name another directory",
                at_key=True,
            )


def _said(entry: Node) -> tuple[object, dict[str, object]]:
    config, train = entry.get("config"), entry.get("train")
    told = train.plain() if train is not None else {}
    return config.value if config else None, flat(told) if isinstance(told, dict) else {}
