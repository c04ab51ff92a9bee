"""Published scores, on the exact public data: two of the smaller tasks (all: docs/reproduce.md)."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from places import REPOSITORY, SHARED_HUB

from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.published.read import read_published
from harness.reproduction.asked import parse_tasks, select
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


def test_the_card_has_the_figures_and_its_command_takes_them_all() -> None:
    """14 rows of points, each of a task, split and subset that the command line in the card asks for."""
    folder = REPOSITORY / "benchmarks" / "published"
    found = read_published(folder)
    assert (len(found.rows), found.digits, found.unread) == (14, 2, ())
    tasks = re.search(r"--tasks '([^']+)'", (folder / "README.md").read_text(encoding="utf-8"))
    assert tasks is not None
    asked, left = select(found, parse_tasks(tasks[1]))
    assert (sum(len(one.rows) for one in asked), left) == (14, ())
    values = {row.task: row.value for row in found.rows}
    assert {task: values[task] for task in PUBLISHED} == PUBLISHED
