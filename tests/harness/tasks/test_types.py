"""The table of embedding task types: each row has its place wherever types are told apart, and nothing asks by name."""

from __future__ import annotations

import ast
from typing import get_args

from places import REPOSITORY

from harness.statistics.items import STATISTICS
from harness.suite.task_entries import EmbeddingType
from harness.tasks.custom.assemble import CUSTOM_TYPES
from harness.tasks.types import EMBEDDING_TYPES, ItemError, Ranked, Role

NAME_TYPES = {
    "harness/tasks/types.py": "the table",
    "harness/statistics/items.py": "metrics that are no mean over items",
    "harness/tasks/custom/assemble.py": "files of a custom task",
    "harness/tasks/custom/remarks.py": "what can be odd about the rows of a custom task",
    "harness/backends/mteb/loaded.py": "how mteb lays the rows of a type out",
    "harness/tasks/limits.py": "what a limit leaves of sets",
    "harness/plan/scoring.py": "what classifiers and k-means cost",
    "harness/contamination/clean.py": "sets have no clean score",
    "harness/provision/counting.py": "the same, of files that no engine has loaded",
    "harness/report/sections/published.py": "columns of a printed table",
    "harness/report/comparison_files.py": "words about cells of earlier versions",
}
"""The files that may spell a type's name, and why."""


def test_a_suite_may_name_the_types_of_the_table() -> None:
    """In its order, which is that of reports."""
    assert get_args(EmbeddingType) == tuple(EMBEDDING_TYPES)


def test_a_row_is_found_under_its_own_name() -> None:
    """And says nothing that its fields do not allow."""
    for name, row in EMBEDDING_TYPES.items():
        assert row.name == name
        assert row.ranks in (None, *get_args(Ranked))
        assert row.item_error in (None, *get_args(ItemError))
        assert set(row.roles) <= {None, *get_args(Role)}
        assert (row.ranks is not None) == ("document" in row.roles)


def test_every_type_can_be_a_custom_task() -> None:
    """Its files are known, and what is made of their rows."""
    assert set(CUSTOM_TYPES) == set(EMBEDDING_TYPES)
    assert set(STATISTICS) <= set(EMBEDDING_TYPES)


def test_no_other_file_asks_for_a_type_by_name() -> None:
    """A new type would be overlooked there: its fact belongs in its row, what is done with it in its file."""
    found = set()
    for path in sorted(REPOSITORY.glob("harness/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in EMBEDDING_TYPES:
                found.add(path.relative_to(REPOSITORY).as_posix())
    assert found == set(NAME_TYPES)
