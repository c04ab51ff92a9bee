"""Checks of a suite that need several fields or the catalogue; they read the tree, so that they run beside pydantic's.

Each looks at whatever is well-formed and leaves the rest to the schema: all problems come at once.
"""

from __future__ import annotations

from harness.suite.checks import ability, gates
from harness.suite.checks.embedding import check_tasks
from harness.suite.checks.models import check_models
from harness.suite.problems import Problem
from harness.yaml_source import Node


def check(tree: Node) -> list[Problem]:
    """Return every problem of models, names and tasks in the merged `tree`."""
    return [*check_models(tree), *check_tasks(tree), *ability.check(tree), *gates.check(tree)]
