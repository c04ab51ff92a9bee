"""Published scores, on the exact public data: two of the smaller tasks (all: docs/reproduce.md)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from places import REPOSITORY, SHARED_HUB

from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.results.records import Score
from harness.sources.places import Sources
from harness.suite.load import load_suite

HUB = SHARED_HUB
SUITE = REPOSITORY / "benchmarks" / "published.yaml"
PUBLISHED = {"STSBenchmark": 82.03, "SIB200Classification": 72.16}
"""all-MiniLM-L6-v2, from MTEB's results repository (revision 8b3219a9)."""


@pytest.mark.real
def test_published_scores_are_reproduced(tmp_path: Path) -> None:
    """STSBenchmark and SIB200 (English) are within 0.1 points of the published figures."""
    hub = Path(os.environ.get("HARNESS_HUB", HUB))
    if not (hub / "datasets" / "mteb" / "stsbenchmark-sts").is_dir():
        pytest.skip("no local hub with the exact public data: set HARNESS_HUB, or have ../shared/data/hub")
    options = RunOptions(results=tmp_path, sources=Sources(hub=hub), tasks=tuple(PUBLISHED))
    results = run(load_suite(SUITE).suite, options).results
    for task, published in PUBLISHED.items():
        found = [one for one in results.values() if one.task == task]
        assert isinstance(found[0], Score), found
        assert found[0].score == pytest.approx(published, abs=0.1)
