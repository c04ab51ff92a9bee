"""`dimensions` and `precision`: what needs more than one field, and the names of the models that they make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast, get_args

from harness.suite.encoder_kinds import KINDS
from harness.suite.model_entries import FittedModel
from harness.suite.problems import Problem, problem
from harness.suite.size import Precision
from harness.suite.sizes import sizes_of
from harness.yaml_source import Node


def names_of(models: Node | None) -> dict[str, Node]:
    """Return the name of every model, those of sizes too -> where its entry's name stands; of two the first."""
    found: dict[str, Node] = {}
    for model in models.items() if models else []:
        name = model.get("name")
        if name is not None and isinstance(name.value, str):
            for one in (name.value, *_names_of_sizes(model, name.value)):
                found.setdefault(one, name)
    return found


def check_sizes(models: Node | None) -> Iterator[Problem]:
    """Yield the problems of all entries that name sizes."""
    entries = models.items() if models else []
    names = {str(name.value) for model in entries if (name := model.get("name")) is not None}
    for model in entries:
        yield from _check_twice(model)
        yield from _check_meaning(model)
        name = model.get("name")
        for one in _names_of_sizes(model, str(name.value)) if name is not None else ():
            if name is not None and one != name.value and one in names:
                yield problem(name, f"model {one!r} is a size of {name.value!r} and a model of its own; rename one")


def _names_of_sizes(model: Node, name: str) -> list[str]:
    dimensions = [one for one in _said(model, "dimensions") if isinstance(one, int) and not isinstance(one, bool)]
    precisions = [one for one in _said(model, "precision") if one in get_args(Precision)]
    return [one.name for one in sizes_of(name, dimensions, cast(Sequence[Precision], precisions))]


def _said(model: Node, key: str) -> list[Any]:
    return [one.value for one in _nodes(model, key)]


def _nodes(model: Node, key: str) -> list[Node]:
    node = model.get(key) if isinstance(model.value, dict) else None
    if node is None or node.value is None:
        return []
    return node.items() if isinstance(node.value, list) else [node]


def _check_twice(model: Node) -> Iterator[Problem]:
    for key in ("dimensions", "precision"):
        seen: list[Any] = []
        for one in _nodes(model, key):
            if one.value in seen:
                yield problem(one, f"{key}: {one.value!r} is named twice; take one out")
            seen.append(one.value)


def _check_meaning(model: Node) -> Iterator[Problem]:
    """Yield where a size says nothing of the model, or where two keys would say as what vectors are compared."""
    dimensions, searched = _nodes(model, "dimensions"), _nodes(model, "search_precision")
    rescore = [one for one in _nodes(model, "rescore") if one.value is not None]
    if rescore and "binary" not in (*_said(model, "precision"), *_said(model, "search_precision")):
        why = "it ranks again what bits have found; say `precision: binary` or take it out"
        yield problem(rescore[0], f"rescore: nothing is compared as binary: {why}", at_key=True)
    if dimensions and _is_hashed(model):
        why = "features are hashed, so that none comes first; say `dimension`, a model each"
        yield problem(dimensions[0], f"dimensions: of an encoder that is fitted, {why}", at_key=True)
    if searched and _nodes(model, "precision"):
        why = "precision holds for all tasks, those that rank documents too; say one of the two"
        yield problem(searched[0], f"search_precision and precision exclude each other: {why}", at_key=True)


def _is_hashed(model: Node) -> bool:
    encoder = model.get("encoder")
    kind = KINDS.get(str(encoder.value)) if encoder is not None else None
    return kind is not None and kind.embeds and issubclass(kind.entry, FittedModel)
