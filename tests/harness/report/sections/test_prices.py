"""Score against price: rows and frontier from prices made by hand, and no word where nothing was measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from cells_support import make_score
from suites_support import loaded

from harness.plan.cells import Plan
from harness.plan.planner import make_plan
from harness.report.formats import html
from harness.report.sections import prices
from harness.report.sections.section import Report
from harness.report.write import write_report
from harness.results.prices import Price, keep
from harness.results.records import Result
from harness.results.store import Store
from harness.sources.places import Sources
from harness.summary.build import summarise

SCORES = {"small": 70.0, "small@8": 65.0, "large": 80.0}


def price_of(name: str, fingerprint: str, **changes: object) -> Price:
    """Return a price with plain values."""
    plain: dict[str, object] = {
        "model": name, "fingerprint": fingerprint, "queries": 10, "query_p50_ms": 2.0, "query_p95_ms": 3.5,
        "query_tokens": 8.0, "documents": 5, "documents_per_second": 1234.5, "document_tokens": 90.0,
        "tokens_per_second": 111_105.0, "peak_memory_bytes": {"host": 700_000_000}, "load_seconds": 1.0,
        "dimension": 32, "vector_bytes": 128, "parameters": 10, "device": "cpu", "dtype": "float32",
        "batch_tokens": 64, "hardware": {"processor": "P", "threads": 2, "gpus": []}, "versions": {}, "at": "2026",
    }  # fmt: skip
    return Price(**plain | changes)  # type: ignore[arg-type]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Two models, one of which has two sizes."""
    (tmp_path / "weights").mkdir()
    body = f"""
models:
  - {{name: small, encoder: mean-pool, model: {tmp_path}/weights, dimensions: 8}}
  - {{name: large, encoder: mean-pool, model: {tmp_path}/weights, dtype: float16}}
tasks: {{embedding: {{names: [STS12]}}}}
"""
    return make_plan(loaded(tmp_path, body).suite, Sources(offline=True))


def results_of(plan: Plan) -> dict[str, Result]:
    """Return the scores of `SCORES`."""
    return {str(cell): make_score(model=cell.model, score=SCORES[cell.model]) for cell in plan.cells}


def priced_store(plan: Plan, folder: Path) -> Store:
    """Return a results folder with a price of each model, and one of a model that is not shown."""
    store = Store(folder)
    prints = {one.name: str(one.fingerprint()) for one in plan.candidates}  # type: ignore[union-attr]
    keep(price_of("small", prints["small"]), store)
    keep(price_of("large", prints["large"], query_p50_ms=9.0, query_p95_ms=9.5, tokens_per_second=0.0), store)
    keep(price_of("stranger", "f" * 64), store)
    return store


def test_every_whole_model_has_its_price_beside_its_score(plan, tmp_path):
    """A size has none of its own; what is not shown is left out."""
    report = Report(summary=summarise(plan, results_of(plan)), store=priced_store(plan, tmp_path / "results"))
    said = prices.markdown(report)
    assert "| small | 70.00 | 2.00 | 3.50 | 1,234.5 | 111,105 | 90.0 | 700 | 128 | P, 2 thread(s), float32 |" in said
    assert "| large | 80.00 | 9.00 | 9.50 | 1,234.5 | - | 90.0 | 700 | 128 | P, 2 thread(s), float32 |" in said
    assert "stranger" not in said
    assert "small@8" not in said
    assert 'id="price"' in html.render(report)


def test_the_frontier_is_of_one_machine(plan, tmp_path):
    """The one with most models; its name stands at the axis, and the picture is a file."""
    store = priced_store(plan, tmp_path / "results")
    fingerprint = str(plan.candidates[0].fingerprint())  # type: ignore[union-attr]
    keep(price_of("small", fingerprint, hardware={"processor": "Q", "threads": 9, "gpus": []}), store)
    drawn = prices.scatter(summarise(plan, results_of(plan)), store)
    assert drawn is not None
    assert drawn.cost == "ms a query (p50, P, 2 thread(s))"
    assert [(one.name, one.cost) for one in drawn.best()] == [("small", 2.0), ("large", 9.0)]
    written = write_report(plan, results_of(plan), store, tmp_path / "out")
    assert {"price.svg", "price.png"} <= {path.name for path in written.files}


def test_nothing_is_said_where_nothing_was_measured(plan, tmp_path):
    """With a results folder and without."""
    summary = summarise(plan, results_of(plan))
    for report in (Report(summary=summary), Report(summary=summary, store=Store(tmp_path / "results"))):
        assert prices.markdown(report) == ""
        assert 'id="price"' not in html.render(report)
