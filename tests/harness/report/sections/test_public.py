"""Published models beside one's own: over the same tasks, marked, and in nothing that needs per-item results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_support import compare, invented_parts

from harness.published.rows import Published, PublishedRow
from harness.report.formats import html, markdown
from harness.report.pictures.files import draw
from harness.report.sections.section import Report
from harness.report.sections.trade_off import points_in
from harness.report.sections.types import panels
from harness.summary.build import summarise
from harness.summary.views import Summary

REVISION = "8b3219a9"


def published(skip: tuple[str, ...] = (), **changes: Any) -> Published:
    """Return rows of 70 points for every embedding task of the invented report but some."""
    plan, _ = invented_parts(2, 8)
    rows = tuple(
        PublishedRow(
            task=task.name, split=split, subset=subset, metric=task.info.main_score, value=70.0, mteb_version="1.12.75"
        )
        for task in plan.tasks
        if task.axis == "embedding" and task.name not in skip
        for split in task.splits
        for subset in task.subsets
    )
    found = Published(kind="mteb results", model="org/other", revision=REVISION, where="x", rows=rows, digits=2)
    return replace(found, **changes)


def summary(*others: Published) -> Summary:
    """Return the invented report with published models beside its own."""
    plan, results = invented_parts(2, 8)
    return summarise(plan, results, compare, published=others)


def test_a_published_model_stands_in_tables_with_where_it_is_from() -> None:
    """Its mean over the same tasks, marked, with what wrote it; the page shows the same."""
    report = Report(summary=summary(published()))
    text = markdown.render(report)
    assert "| *org/other (published)* | 70.00 |" in text
    assert f"published (mteb results), mteb 1.12.75, revision {REVISION}" in text
    assert "no interval, no paired difference, no rank and no q-value" in text
    page = html.render(report)
    assert "Beside the public board" in page
    assert REVISION in page


def test_two_revisions_of_a_model_are_told_apart() -> None:
    """In the head of every column, where one name would stand over both."""
    two = summary(published(), published(revision="0123456789abcdef"))
    text = markdown.render(Report(summary=two))
    assert "*org/other@8b3219a9 (published)* | *org/other@01234567 (published)* |" in text
    assert [one.short_label for one in two.public] == ["published: other@8b3219a9", "published: other@01234567"]


def test_a_model_that_lacks_a_task_has_no_mean_and_says_so() -> None:
    """Neither over the others nor in the picture of that type; its other scores are shown."""
    axis = next(axis for axis in summary().axes if axis.axis == "embedding")
    lost = axis.common[0]
    (view,) = summary(published((lost,))).public
    assert (view.mean.value, view.lacking[lost]) == (None, "not published")
    assert view.scores[axis.common[1]] == 70.0
    kind = next(task.type for task in summary().tasks if task.name == lost)
    bars = {
        panel.type: [bar for bar in panel.bars if bar.is_published] for panel in panels(summary(published((lost,))))
    }
    assert bars.pop(kind) == []
    text = markdown.render(Report(summary=summary(published((lost,)))))
    assert f"- org/other (published) lacks {lost}: not published" in text
    assert "| *org/other (published)* | - |" in text


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"split": "train"}, "not published on test/default"),
        ({"metric": "cosine_pearson"}, "published as cosine_pearson, which is not"),
    ],
)
def test_another_split_or_metric_is_no_score_of_the_task(changes: dict[str, str], why: str) -> None:
    """It is said, and nothing is taken in its place."""
    whole = published()
    first = next(row for row in whole.rows if (row.split, row.subset) == ("test", "default"))
    rows = tuple(replace(row, **changes) if row == first else row for row in whole.rows)
    (view,) = summary(replace(whole, rows=rows)).public
    assert first.task not in view.scores
    assert view.lacking[first.task].startswith(why)


def test_a_task_whose_score_could_not_be_read_is_not_called_unpublished() -> None:
    """The reason of the reader stands there; that of a task with a longer name is another's."""
    first, second = next(axis for axis in summary().axes if axis.axis == "embedding").common[:2]
    said = f"{first}.json: test/default: main_score 87.59: outside 0 to 1"
    (view,) = summary(published((first, second), unread=(f"{second}2.json: broken", said))).public
    assert view.lacking[first] == f"not read: {said}"
    assert view.lacking[second] == "not published"


def test_nothing_that_needs_items_knows_of_it() -> None:
    """Differences, q-values, ranks, retention, the baseline and the trade-off are what they are without it."""
    alone, beside = summary(), summary(published())
    assert replace(beside, public=()) == alone
    assert [one.name for one in points_in(beside)] == [one.name for one in points_in(alone)]
    names = {model for model, _ in beside.differences} | {one.model for axis in beside.axes for one in axis.standings}
    assert "org/other" not in names


def test_its_bars_are_hatched_and_have_no_interval() -> None:
    """In the picture; the panel's scale has room for them."""
    found = panels(summary(published()))
    bars = [bar for panel in found for bar in panel.bars if bar.is_published]
    assert bars
    assert {(bar.model, bar.reach, bar.whisker, bar.value) for bar in bars} == {("published: other", None, None, 70)}
    assert all(bar.left + bar.width <= 100 for bar in bars)
    assert draw((), found, None)["types.svg"] != draw((), panels(summary()), None)["types.svg"]


def test_a_report_without_published_models_is_what_it_was(tmp_path: Path) -> None:
    """No section, no link."""
    report = Report(summary=summary())
    assert "public board" not in markdown.render(report)
    assert "public board" not in html.render(report)
