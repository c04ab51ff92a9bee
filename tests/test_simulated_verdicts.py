"""A seeded slice of benchmarks/retention_simulation.py: coverage near 95 %, and "retained" rarely wrong."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "retention_simulation.py"
TRIALS = 300


@pytest.fixture(scope="module")
def simulation() -> Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("retention_simulation", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("part", ["proportions", "rounds", "tasks"])
def test_intervals_hold_the_truth(simulation: Any, part: str) -> None:
    """Of 300 data sets at least 91 % (3 errors below 95) have an interval that holds the truth, for what is used."""
    rows = [row for row in simulation.PARTS[part](np.random.default_rng(1), TRIALS) if "bootstrap" not in row.what]
    used = [row for row in rows if "alone" not in row.what]
    assert used
    for row in used:
        assert row.hits / row.trials >= 0.91, row
    for row in used:  # where one item of a hundred differs no interval can be exact: it may only be wide
        assert row.hits / row.trials <= 0.99 or "0.5 % won" in row.setting, row


def test_few_items_were_why_the_bootstrap_had_to_go(simulation: Any) -> None:
    """Where 3 % of 10 items differ the percentile bootstrap holds the truth in under half of 100 sets; ours in 88."""
    rows = list(simulation.means(np.random.default_rng(1), 100))
    assert all(row.hits >= 88 for row in rows if "used" in row.what)
    (row,) = [one for one in rows if "bootstrap" in one.what and one.setting == "n=10, 3 % of items differ"]
    assert row.hits / row.trials < 0.5


@pytest.mark.parametrize(("n", "won"), [(100, 0.0), (600, 0.0), (600, 0.01), (1000, 0.002)])
def test_retained_is_rarely_wrong_at_the_margin(simulation: Any, n: int, won: float) -> None:
    """With a true loss of exactly half a point at most 5 %, and 3 errors of 1000 draws, are called retained."""
    rng = np.random.default_rng(2)
    kept = 0
    for _ in range(1000):
        wins, losses = simulation.flips(rng, n, won, won + 0.005)
        kept += simulation.p_value(simulation.p_kept, wins, losses, n) <= simulation.LEVEL
    assert kept / 1000 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)
