"""What a report says of sizes: bytes worked out by hand, means of the summary, and nothing where there are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cells_support import make_score
from suites_support import loaded

from harness.plan.cells import Plan
from harness.plan.planner import make_plan
from harness.report.formats import html
from harness.report.sections import sizes
from harness.report.sections.section import Report
from harness.report.write import write_report
from harness.results.records import Result
from harness.results.store import Store
from harness.sources.places import Sources
from harness.summary.build import summarise
from harness.summary.views import Summary

SCORES = {"mini": 80.0, "mini@64": 79.0, "mini@64-int8": 78.5, "mini@64-binary": 60.0, "big": 85.0}


def plan_of(folder: Path, more: str = "dimensions: 64, precision: [float32, int8, binary]") -> Plan:
    """Return a model in four sizes, and another that has one alone."""
    (folder / "weights").mkdir(exist_ok=True)
    body = f"""
models:
  - {{name: mini, encoder: mean-pool, model: {folder}/weights, {more}}}
  - {{name: big, encoder: mean-pool, model: {folder}/weights, dtype: float16}}
tasks: {{embedding: {{names: [STS12]}}}}
"""
    return make_plan(loaded(folder, body).suite, Sources(offline=True))


def results_of(plan: Plan) -> dict[str, Result]:
    """Return the scores of `SCORES`; `big` has vectors of 1,024 dimensions, `mini` of 384."""
    found: dict[str, Result] = {}
    for cell in plan.cells:
        about = {"encoder": {"dimension": 1024 if cell.model == "big" else 384}}
        found[str(cell)] = make_score(model=cell.model, score=SCORES[cell.model], provenance=about)
    return found


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    """The summary of all of them."""
    plan = plan_of(tmp_path)
    return summarise(plan, results_of(plan))


def test_bytes_and_scores_stand_side_by_side(summary):
    """384 dimensions of four bytes, 64 of four, of one and of an eighth; the other model for comparison."""
    rows = [(one.model, one.of, one.dimension, one.precision, one.bytes, one.mean) for one in sizes.rows(summary)]
    assert rows == [
        ("mini", "mini", 384, "float32", 1536, 80.0),
        ("mini@64", "mini", 64, "float32", 256, 79.0),
        ("mini@64-int8", "mini", 64, "int8", 64, 78.5),
        ("mini@64-binary", "mini", 64, "binary", 8, 60.0),
        ("big", "big", 1024, "float32", 4096, 85.0),
    ]
    said = sizes.markdown(Report(summary=summary))
    assert "| mini@64-int8 | 64 | int8 | 64 | 78.50 | 78.50 |" in said
    assert "mini: not known to be trained for truncation" in said
    page = html.render(Report(summary=summary))
    assert 'id="sizes"' in page
    assert "mini@64-binary: 60.00 at 8" in page


def test_the_frontier_is_of_what_nothing_cheaper_beats(summary):
    """Of all five none is beaten; a dear and worse one is left out."""
    drawn = sizes.scatter(summary)
    assert drawn is not None
    names = [one.name for one in drawn.best()]
    assert names == ["mini@64-binary", "mini@64-int8", "mini@64", "mini", "big"]
    worse = replace(drawn, marks=tuple(replace(one, score=70.0) if one.name == "mini" else one for one in drawn.marks))
    assert "mini" not in [one.name for one in worse.best()]


def test_a_model_that_its_configuration_calls_matryoshka_is_not_remarked_on(tmp_path):
    """By a key of its configuration."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "config.json").write_text('{"hidden_size": 384, "matryoshka_dimensions": [64]}')
    plan = plan_of(tmp_path)
    assert "not known to be trained" not in sizes.markdown(Report(summary=summarise(plan, results_of(plan))))


def test_the_picture_is_a_file_beside_the_report(tmp_path):
    """As svg and png, linked from report.md."""
    plan = plan_of(tmp_path)
    written = write_report(plan, results_of(plan), Store(tmp_path / "results"), tmp_path / "out")
    assert {"sizes.svg", "sizes.png"} <= {path.name for path in written.files}
    assert "(pictures/sizes.png)" in (tmp_path / "out" / "report.md").read_text()


def test_nothing_is_said_where_no_model_has_sizes(tmp_path):
    """The section is left out."""
    plan = plan_of(tmp_path, "dtype: float32")
    report = Report(summary=summarise(plan, results_of(plan)))
    assert sizes.markdown(report) == ""
    assert 'id="sizes"' not in html.render(report)
