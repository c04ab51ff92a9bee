"""All checks of a suite that need several fields or the catalogue, in order; they read the tree, beside pydantic's own.

Each looks at whatever is well-formed and leaves the rest to the schema: all problems come at once.
"""

from __future__ import annotations

from harness.suite.checks.ability import check_ability
from harness.suite.checks.adapters import check_adapters
from harness.suite.checks.embedding import check_tasks
from harness.suite.checks.gates import check_gates
from harness.suite.checks.models import check_models
from harness.suite.checks.public import check_public
from harness.suite.checks.training import check_training
from harness.suite.checks.writers import check_writers
from harness.suite.problems import Problem
from harness.yaml_source import Node


def check(tree: Node) -> list[Problem]:
    """Return every problem of models, tasks, gates and published models in the merged `tree`."""
    return [
        *check_models(tree),
        *check_adapters(tree),
        *check_writers(tree),
        *check_training(tree),
        *check_tasks(tree),
        *check_ability(tree),
        *check_gates(tree),
        *check_public(tree),
    ]
