"""Checks of a suite that need several fields or the catalogue; they read the tree, so that they run beside pydantic's.

Each looks at whatever is well-formed and leaves the rest to the schema: all problems come at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points

from harness import ability_checks, gate_checks
from harness.catalogue import EMBEDDING_TYPES, OTHER_SPLITS, Axis, TaskInfo, catalogue
from harness.suite import BUILT_IN_ENCODERS
from harness.suite_problems import Problem, problem
from harness.yaml_source import Node, did_you_mean, listing

ENTRY_POINT_GROUP = "harness.encoders"
ROLES = ("query", "document")


def check(tree: Node) -> list[Problem]:
    """Return every problem of models, names and tasks in the merged `tree`."""
    return [*_check_models(tree), *_check_tasks(tree), *ability_checks.check(tree), *gate_checks.check(tree)]


def known_encoders() -> list[str]:
    """Return the encoder kinds that can be named: ours and those that other packages register."""
    return [*BUILT_IN_ENCODERS, *sorted(point.name for point in entry_points(group=ENTRY_POINT_GROUP))]


def _check_models(tree: Node) -> Iterator[Problem]:
    models = tree.get("models")
    seen: dict[str, Node] = {}
    for model in models.items() if models else []:
        name = model.get("name")
        if name and isinstance(name.value, str):
            if name.value in seen:
                first = seen[name.value].position
                yield problem(name, f"model {name.value!r} is named twice; the first is at {first}; rename one")
            seen.setdefault(name.value, name)
        yield from _check_encoder(model)
        yield from _check_seeds(model)
        yield from _check_prompts(model)
    baseline = tree.get("baseline")
    if baseline and isinstance(baseline.value, str) and baseline.value not in seen:
        near = did_you_mean(baseline.value, seen)
        yield problem(baseline, f"baseline {baseline.value!r} is no model here; models: {listing(seen)}{near}")


def _check_encoder(model: Node) -> Iterator[Problem]:
    if not isinstance(model.value, dict):
        return
    encoder, candidate = model.get("encoder"), model.get("candidate")
    if encoder is None and candidate is None:
        kinds = listing(known_encoders())
        yield problem(model, f"a model needs 'encoder' ({kinds}) or 'candidate' (a directory of `grace train`)")
    elif encoder is not None and candidate is not None:
        yield problem(candidate, "'candidate' and 'encoder' exclude each other: a candidate says its own", at_key=True)
    elif encoder is not None and encoder.value not in BUILT_IN_ENCODERS:
        known = known_encoders()
        if str(encoder.value) not in known:
            near = did_you_mean(encoder.value, known)
            yield problem(encoder, f"encoder {encoder.value!r} is not one of {listing(known)}{near}")


def _check_seeds(model: Node) -> Iterator[Problem]:
    """Yield a problem where every seed would give the same score."""
    seeds, encoder = model.get("seeds"), model.get("encoder")
    if seeds is None or seeds.value is None or encoder is None or encoder.value not in BUILT_IN_ENCODERS:
        return
    if encoder.value != "rationale":
        yield problem(
            seeds,
            f"seeds: encoder {encoder.value} draws no random numbers, so every run is the same; take it out",
            at_key=True,
        )
        return
    generation = model.get("generation")
    temperature = generation.get("temperature") if generation else None
    if temperature is None or temperature.value == 0:
        yield problem(
            seeds,
            "seeds: temperature 0 decodes greedily, so every run is the same; set `generation: {temperature: 1}` "
            "or take `seeds` out",
            at_key=True,
        )


def _check_prompts(model: Node) -> Iterator[Problem]:
    instruction = model.get("instruction")
    if instruction and isinstance(instruction.value, str) and "{instruction}" not in instruction.value:
        yield problem(instruction, f"instruction {instruction.value!r} has no place for {{instruction}}")
    prompts = model.get("prompts")
    if not prompts or not isinstance(prompts.value, dict):
        return
    known = {*catalogue().of_axis("embedding"), *EMBEDDING_TYPES}
    for selector, node in prompts.value.items():
        stem = selector
        for role in ROLES:
            stem = stem.removesuffix(f"-{role}")
        if selector not in ROLES and stem not in known:
            near = did_you_mean(stem, known)
            yield problem(node, f"prompt for {selector!r}: no such task, type or role{near}", at_key=True)


def _check_tasks(tree: Node) -> Iterator[Problem]:
    tasks = tree.get("tasks")
    if tasks is None:
        return
    embedding = tasks.get("embedding")
    if embedding:
        yield from _check_embedding(embedding)
    custom: dict[str, Node] = {}
    for entry in _items(tasks.get("custom")):
        name = entry.get("name")
        if not name or not isinstance(name.value, str):
            continue
        if name.value in custom:
            yield problem(name, f"custom task {name.value!r} is named twice; first at {custom[name.value].position}")
        elif name.value in catalogue().tasks:
            yield problem(name, f"custom task {name.value!r} has the name of a task of the catalogue; choose another")
        custom.setdefault(name.value, name)


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
        if split.value not in splits:
            near = did_you_mean(split.value, splits)
            yield problem(split, f"task {task.name!r} has no split {split.value!r}; valid: {listing(splits)}{near}")
    for subset in _items(entry.get("subsets")):
        if subset.value not in task.subsets:
            turned = "-".join(reversed(str(subset.value).split("-")))  # en-es is called es-en
            near = did_you_mean(turned if turned in task.subsets else subset.value, task.subsets)
            yield problem(
                subset, f"task {task.name!r} has no subset {subset.value!r}; valid: {listing(task.subsets)}{near}"
            )
