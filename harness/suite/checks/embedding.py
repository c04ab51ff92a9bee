"""Embedding tasks against the catalogue, and the names of custom ones."""

from __future__ import annotations

from collections.abc import Iterator

from harness.suite.problems import Problem, problem
from harness.suite.task_entries import OF_RETRIEVAL
from harness.tasks.catalogue import OTHER_SPLITS, TaskInfo, catalogue
from harness.tasks.types import EMBEDDING_TYPES, Axis
from harness.wording import did_you_mean, listing
from harness.yaml_source import Node


def check_tasks(tree: Node) -> Iterator[Problem]:
    """Yield the problems of `tasks.embedding` and `tasks.custom`."""
    tasks = tree.get("tasks")
    if tasks is None:
        return
    embedding = tasks.get("embedding")
    if embedding:
        yield from _check_embedding(embedding)
    custom: dict[str, Node] = {}
    for entry in _items(tasks.get("custom")):
        yield from _check_options(entry)
        yield from _check_language(entry.get("language"))
        name = entry.get("name")
        if not name or not isinstance(name.value, str):
            continue
        if name.value in custom:
            yield problem(name, f"custom task {name.value!r} is named twice; first at {custom[name.value].position}")
        elif name.value in catalogue().tasks:
            yield problem(name, f"custom task {name.value!r} has the name of a task of the catalogue; choose another")
        custom.setdefault(name.value, name)


def _check_options(entry: Node) -> Iterator[Problem]:
    kind = entry.get("type")
    for key in OF_RETRIEVAL:
        option = entry.get(key)
        if option and option.value is not None and kind and not _ranks_a_corpus(kind.value):
            yield problem(option, f"{key!r} means nothing for a task of type {kind.value}; take it out", at_key=True)


def _check_language(language: Node | None) -> Iterator[Problem]:
    if language is None or not isinstance(language.value, str):
        return
    known = catalogue().languages
    if language.value not in known:
        # `deu` alone, or another script: those of the language are what was meant
        like = [one for one in known if one.partition("-")[0] == language.value.partition("-")[0]]
        near = f"; of this language there are {listing(like)}" if like else did_you_mean(language.value, known)
        said = f"language {language.value!r} is none of MTEB's, which are an ISO 639-3 code and a script: deu-Latn"
        yield problem(language, f"{said}{near}")


def _ranks_a_corpus(kind: object) -> bool:
    return isinstance(kind, str) and kind in EMBEDDING_TYPES and EMBEDDING_TYPES[kind].ranks == "corpus"


def _check_embedding(embedding: Node) -> Iterator[Problem]:
    benchmarks = catalogue().benchmarks
    benchmark = embedding.get("benchmark")
    if benchmark and isinstance(benchmark.value, str) and benchmark.value not in benchmarks:
        near = did_you_mean(benchmark.value, benchmarks)
        yield problem(
            benchmark, f"benchmark {benchmark.value!r} is not known; valid: {listing(benchmarks, most=40)}{near}"
        )
    names: dict[str, Node] = {}
    for entry in _items(embedding.get("names")):
        yield from _check_reference(entry, "embedding", names)
    by_type = embedding.get("by_type")
    for kind, entries in by_type.value.items() if by_type and isinstance(by_type.value, dict) else ():
        for entry in _items(entries):
            yield from _check_reference(entry, "embedding", names, kind=kind)


def _items(node: Node | None) -> list[Node]:
    return node.items() if node else []


def _check_reference(entry: Node, axis: Axis, seen: dict[str, Node], *, kind: str | None = None) -> Iterator[Problem]:
    name_node = entry if isinstance(entry.value, str) else entry.get("name")
    if name_node is None or not isinstance(name_node.value, str):
        return
    name = name_node.value
    tasks = catalogue().of_axis(axis)
    if name in seen:
        yield problem(name_node, f"task {name!r} is named twice; the first is at {seen[name].position}")
    seen.setdefault(name, name_node)
    task = tasks.get(name)
    if task is None:
        choices = f"`harness ls --tasks` lists all {len(tasks)}" if axis == "embedding" else f"valid: {listing(tasks)}"
        yield problem(name_node, f"unknown {axis} task {name!r}; {choices}{did_you_mean(name, tasks, most=3)}")
        return
    if kind is not None and task.type != kind and kind in EMBEDDING_TYPES:
        yield problem(name_node, f"task {name!r} is of type {task.type}, not {kind}; name it under {task.type}")
    if axis == "embedding":
        yield from _check_splits(entry, task)


def _check_splits(entry: Node, task: TaskInfo) -> Iterator[Problem]:
    splits = tuple(dict.fromkeys((*task.splits, *OTHER_SPLITS)))
    for split in _items(entry.get("splits")):
        if isinstance(split.value, str) and split.value not in splits:
            near = did_you_mean(split.value, splits)
            yield problem(split, f"task {task.name!r} has no split {split.value!r}; valid: {listing(splits)}{near}")
    for subset in _items(entry.get("subsets")):
        if isinstance(subset.value, str) and subset.value not in task.subsets:
            turned = "-".join(reversed(subset.value.split("-")))  # en-es is called es-en
            near = did_you_mean(turned if turned in task.subsets else subset.value, task.subsets)
            yield problem(
                subset, f"task {task.name!r} has no subset {subset.value!r}; valid: {listing(task.subsets)}{near}"
            )
