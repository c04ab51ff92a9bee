"""Standings: one model alone has no rank among others, and what is not sure is said to be so for the true reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_support import invented, invented_parts

from harness.report.formats import markdown
from harness.report.sections import standings
from harness.report.sections.section import Report
from harness.results.records import ItemsFile, Score
from harness.summary.build import summarise


@pytest.mark.parametrize("models", [1, 3])
def test_one_model_alone_has_no_interval_of_its_rank(models: int) -> None:
    """ "1 to 1" would be said of nothing; among three every rank has its interval."""
    summary = invented(models, 8)
    said = standings.section(summary, summary.axes[0])
    assert ("| 1 | - | model-0 |" in said) == (models == 1)
    assert (" to " in said.splitlines()[2]) == (models == 3)


def test_why_a_lead_is_not_sure_is_what_is_so() -> None:
    """The tasks that have no interval are named with what they lack; another reason is not made up."""
    plan, results = invented_parts(2, 12)
    for name, result in results.items():
        if isinstance(result, Score) and result.task == "ArxivClusteringS2S":
            items = ItemsFile(name="x.parquet", sha256="0" * 64, rows=20, unit="set of texts")
            results[name] = replace(result, n=1, ci_low=None, ci_high=None, items=items, items_missing=None)
        elif isinstance(result, Score) and result.task == "ArguAna":
            results[name] = replace(result, ci_low=None, ci_high=None, items=None, items_missing="it is no mean")
    said = markdown.render(Report(summary=summarise(plan, results)))
    told = "ArguAna (it is no mean), ArxivClusteringS2S (one set of texts)"
    assert f"how sure that is cannot be said, since 2 of them have nothing to resample: {told}." in said
