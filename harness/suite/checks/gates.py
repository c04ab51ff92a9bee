"""Gates: what needs several fields, the suite's models and tasks, or the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from harness.suite.checks.sizes import names_of
from harness.suite.problems import Problem, problem
from harness.suite.task_entries import ability_kind
from harness.tasks.catalogue import DEFAULT_BENCHMARK, catalogue
from harness.tasks.types import LIKELIHOOD_TYPE, OWN_TYPE
from harness.wording import did_you_mean, listing
from harness.yaml_source import Node

RULES = ("floor", "max_drop", "max_change", "max_flips", "min_gain")


class _Task(NamedTuple):
    axis: str
    type: str


def check_gates(tree: Node) -> Iterator[Problem]:
    """Yield the problems of `gates`."""
    gates = tree.get("gates")
    if gates is None:
        return
    names: list[object] = list(names_of(tree.get("models")))
    tasks = _tasks(tree)
    seen: dict[str, Node] = {}
    for gate in gates.items():
        if not isinstance(gate.value, dict):
            continue
        yield from _check_rule(gate)
        yield from _check_models(gate, names)
        yield from _check_scope(gate, tasks)
        name = gate.get("name")
        if name and isinstance(name.value, str):
            if name.value in seen:
                yield problem(name, f"gate {name.value!r} is named twice; the first is at {seen[name.value].position}")
            seen.setdefault(name.value, name)


def _check_rule(gate: Node) -> Iterator[Problem]:
    given = [rule for rule in RULES if (node := gate.get(rule)) is not None and node.value is not None]
    if len(given) != 1:
        have = f"this one has {' and '.join(given)}" if given else "this one has none"
        yield problem(gate, f"a gate needs exactly one of {listing(RULES)}; {have}")
    test = gate.get("test")
    if test is not None and test.value is not None and given != ["max_drop"]:
        yield problem(test, f"test: {test.plain()!r} goes with max_drop: it says by how much a model may be worse")
    against = gate.get("against")
    if against is not None and against.value is not None and given == ["floor"]:
        yield problem(against, "against: a floor is compared with nothing; take it out", at_key=True)


def _check_models(gate: Node, names: list[object]) -> Iterator[Problem]:
    own = gate.get("models")
    wanted = own.items() if own and isinstance(own.value, list) else [own] if own else []
    against = gate.get("against")
    for key, node in [*(("models", one) for one in wanted), *([("against", against)] if against else [])]:
        if isinstance(node.value, str) and node.value not in names:
            near = did_you_mean(node.value, map(str, names))
            yield problem(node, f"{key}: {node.value!r} is no model here; models: {listing(map(str, names))}{near}")


def _check_scope(gate: Node, tasks: dict[str, _Task]) -> Iterator[Problem]:
    """Yield what is wrong with axis, type and task: each, and all together, must name something."""
    left = dict(tasks)
    for key, choices in (
        ("task", list(tasks)),
        ("type", list(dict.fromkeys(task.type for task in tasks.values()))),
        ("axis", ["embedding", "ability"]),
    ):
        node = gate.get(key)
        if node is None or not isinstance(node.value, str):
            continue
        if node.value not in choices:
            if key != "axis":  # which the schema checks
                near = did_you_mean(node.value, choices)
                yield problem(node, f"{key}: this suite has no {key} {node.value!r}; it has: {listing(choices)}{near}")
            return
        left = {name: one for name, one in left.items() if node.value == (name if key == "task" else getattr(one, key))}
    if not left:
        yield problem(gate, "no task of this suite is what this gate asks for: it could only fail")


def _tasks(tree: Node) -> dict[str, _Task]:
    """Return task -> axis and type of every task that the tree names, as far as it is well-formed."""
    tasks = tree.get("tasks")
    known = catalogue()
    found: dict[str, _Task] = {}
    embedding = tasks.get("embedding") if tasks else None
    names = _benchmark_members(embedding) if embedding else []
    by_type = embedding.get("by_type") if embedding else None
    lists = list(by_type.value.values()) if by_type and isinstance(by_type.value, dict) else []
    for node in (embedding.get("names") if embedding else None, *lists):
        names += [name for entry in (node.items() if node else []) if (name := _name(entry))]
    for name in names:
        if name in known.tasks:
            found[name] = _Task("embedding", known.tasks[name].type)
    for section, axis in (("custom", "embedding"), ("ability", "ability")):
        node = tasks.get(section) if tasks else None
        for entry in node.items() if node else []:
            name, kind = _name(entry), entry.get("type")
            if name is None:
                continue
            is_nll = axis == "ability" and ability_kind(entry.plain()) == "nll"
            default = LIKELIHOOD_TYPE if is_nll else known.tasks[name].type if name in known.tasks else OWN_TYPE
            found[name] = _Task(axis, str(kind.value) if kind else default)
    return found


def _benchmark_members(embedding: Node) -> list[str]:
    benchmark, types = embedding.get("benchmark"), embedding.get("types")
    if benchmark is None and types is None:
        return []
    members = catalogue().benchmarks.get(str(benchmark.value) if benchmark else DEFAULT_BENCHMARK, ())
    wanted = [one.value for one in types.items()] if types else None
    return [one.name for one in members if wanted is None or catalogue().tasks[one.name].type in wanted]


def _name(entry: Node) -> str | None:
    name = entry if isinstance(entry.value, str) else entry.get("name")
    return name.value if name and isinstance(name.value, str) else None
