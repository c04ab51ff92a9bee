"""The parts of a task stand under it, folded, and never among the tasks."""

from __future__ import annotations

from cells_support import make_score
from report_support import CQADUPSTACK, invented, with_parts

from harness.report.formats import markdown
from harness.report.sections import tasks
from harness.report.sections.parts import PartRow, part_rows
from harness.report.sections.section import Report
from harness.results.records import Metric


def metric(value: float, *, name: str = "acc", subset: str = "default", **fields: object) -> Metric:
    """Return a figure in points."""
    return Metric(name=name, value=value, split="test", subset=subset, **fields)  # type: ignore[arg-type]


def test_parts_have_the_main_metric_of_each_model() -> None:
    """A part that a model lacks, and a model without a score, are no 0."""
    full = make_score(metric="acc", metrics=(metric(9), metric(40, part="a"), metric(60, part="b")))
    less = make_score(metric="acc", metrics=(metric(41, part="a"), metric(1, name="f1", part="b")))
    assert part_rows([full, None, less]) == (
        PartRow(name="a", values=("40.00", "-", "41.00")),
        PartRow(name="b", values=("60.00", "-", "-")),
    )


def test_of_several_filters_the_one_that_is_scored_counts() -> None:
    """As the settings of an ability cell name it."""
    made = {"ability": {"settings": {"filter": "strict"}}}
    both = [metric(10.0 * n, part=part, filter=one) for n, (part, one) in enumerate(
        (part, one) for part in "ab" for one in ("strict", "flexible")
    )]  # fmt: skip
    score = make_score(metric="acc", metrics=tuple(both), provenance=made)
    assert [row.values for row in part_rows([score])] == [("0.00",), ("20.00",)]


def test_subsets_are_parts_where_there_are_several() -> None:
    """A task in one piece has none."""
    several = make_score(metric="acc", metrics=(metric(1, subset="en"), metric(2, subset="de")))
    assert [row.name for row in part_rows([several])] == ["en", "de"]
    assert part_rows([make_score(metric="acc", metrics=(metric(1),))]) == ()


def test_report_md_folds_them_and_the_table_has_the_task_alone() -> None:
    """One row of the table, and twelve in a block that is closed."""
    text = markdown.render(Report(summary=with_parts()))
    assert text.count(f"| {CQADUPSTACK} |") == 1 + 2  # by task, and its differences of two models
    head = f"<details><summary>{CQADUPSTACK}: its 12 parts</summary>\n\n| part | model-0 | model-1 | model-2 |"
    folded = text.split(head)[1].split("</details>")[0]
    assert folded.count("| forum-") == 12
    assert [row.name for row in tasks.page(Report(summary=with_parts()))["rows"] if row.parts] == [CQADUPSTACK]
    assert "its 12 parts" not in markdown.render(Report(summary=invented(3, 61)))
