"""What holds for every test: the order of files, and that no property is held to a busy machine's clock."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from places import TESTS

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

FIRST = (
    "test_regress.py",
    "harness/evaluation/test_run.py",
    "grace/training/test_train.py",
    "harness/provision/test_fetch.py",
)
"""The longest files: begun last, one worker would still be at them while the other has nothing left."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the longest files to the front; the rest keeps its order."""
    place = {TESTS / name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path, len(FIRST)))
