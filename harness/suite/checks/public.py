"""Published models: each is named once."""

from __future__ import annotations

from collections.abc import Iterator

from harness.suite.problems import Problem, problem
from harness.yaml_source import Node


def check_public(tree: Node) -> Iterator[Problem]:
    """Yield each model of `public` that stands there before, at the same revision."""
    public = tree.get("public")
    models = public.get("models") if public else None
    seen: dict[tuple[str, object], Node] = {}
    for model in models.items() if models else []:
        is_text = isinstance(model.value, str)
        name = model if is_text else model.get("name")
        revision = None if is_text else model.get("revision")
        if name is None or not isinstance(name.value, str):
            continue  # which the schema refuses
        place = (name.value.lower(), revision.plain() if revision else None)
        if place in seen:
            yield problem(name, f"public: {name.value!r} is named twice; the first is at {seen[place].position}")
        seen.setdefault(place, name)
