"""report.md at full size: verdicts and means first, a table that fits a page, every item count said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_support import invented, invented_parts

from harness.report.formats import markdown
from harness.report.sections.section import Report
from harness.results.records import Score
from harness.summary.build import summarise

WIDEST = 180
"""Characters of a row of the by-task table of six models: what a page holds without being scrolled."""


def lines_of(models: int, tasks: int) -> list[str]:
    """Return report.md over invented numbers."""
    return markdown.render(Report(summary=invented(models, tasks))).splitlines()


def test_verdicts_and_means_of_both_axes_come_before_any_long_table() -> None:
    """And failures before all."""
    lines = lines_of(6, 61)
    titles = [line for line in lines if line.startswith("## ")]
    assert titles[:4] == ["## Embedding", "## General ability", "## By task", "## Differences to model-0"]
    first = lines.index("## By task")
    assert sum(line.startswith(("| model-", "| **model-")) for line in lines[:first]) == 2 * 6
    assert not any("STSBenchmark" in line for line in lines[:first])
    assert "**Of 366 cells 1 failed and 1 missing: see Errors and Missing.**" in lines[:6]


def test_the_table_of_six_models_fits_a_page_and_that_of_three_has_intervals() -> None:
    """With more models the intervals are told elsewhere, and what is clear has a sign."""
    many = [line for line in lines_of(6, 61) if line.startswith("| STS | STSBenchmark")]
    few = [line for line in lines_of(3, 61) if line.startswith("| STS | STSBenchmark")]
    assert len(many) == len(few) == 1
    assert max(map(len, many)) <= WIDEST
    assert "[" not in many[0]
    assert "\u25b2" in many[0]
    assert few[0].count("[") == 3 + 2


@pytest.mark.parametrize("models", [3, 4])
def test_what_a_guess_would_have_stands_beside_the_score_or_once_a_task(models: int) -> None:
    """However many models there are: an accuracy means nothing without it."""
    plan, results = invented_parts(models, 61)
    task = next(one.task for one in results.values() if isinstance(one, Score) and one.axis == "ability")
    for name, one in results.items():
        if isinstance(one, Score) and one.task == task:
            asked = dict(one.provenance.get("ability", {})) | {"chance": 25.0}
            results[name] = replace(one, provenance=one.provenance | {"ability": asked})
    lines = markdown.render(Report(summary=summarise(plan, results))).splitlines()
    table = lines[lines.index("## By task") : lines.index("## Differences to model-0")]
    (row,) = (line for line in table if line.startswith("|") and f"| {task}" in line)
    assert row.count("chance 25.00") == (1 if models > 3 else models)


def test_many_differences_are_folded_and_few_are_not() -> None:
    """All of them are there, at once."""
    folded, open_ = ("\n".join(lines_of(models, 61 if models > 3 else 12)) for models in (6, 3))
    assert "<details><summary>All 303 differences</summary>" in folded
    assert "<details>" not in open_


@pytest.mark.parametrize(("here", "limit", "said"), [(40, None, "40 of 100"), (None, None, "250"), (40, 20, "250")])
def test_the_table_says_how_many_items_a_task_was_scored_on(here: int | None, limit: int | None, said: str) -> None:
    """`n of N` where the data are not the benchmark's own; a limit was asked for, and the headline has it."""
    plan, results = invented_parts(2, 12)
    for name, result in results.items():
        if isinstance(result, Score) and result.task == "STSBenchmark":
            off = {} if here is None else {"off_count": {"STSBenchmark test/default": [here, 100]}}
            results[name] = replace(result, n=250, limit=limit, provenance=result.provenance | off)
    lines = markdown.render(Report(summary=summarise(plan, results))).splitlines()
    (row,) = [line for line in lines if line.startswith("| STS | STSBenchmark")]
    assert row.split(" | ")[3] == said
