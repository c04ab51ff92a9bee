"""What a plan of several sizes of a model's vectors is said to cost: its vectors once."""

from __future__ import annotations

from suites_support import loaded

from harness.cost.estimate import CELL_SECONDS, CellCost, shared
from harness.plan.planner import make_plan
from harness.sources.places import Sources

COST = CellCost(items=3, texts=5, tokens_in=100, tokens_to_generate=7, seconds=20.0, vector_bytes=64, shards=2)


def test_vectors_of_all_sizes_are_counted_once_at_the_first_that_is_to_run(tmp_path):
    """The others take what a cell takes beside the model; another model pays for its own."""
    folder = tmp_path / "weights"
    folder.mkdir()
    body = f"""
models:
  - {{name: mini, encoder: mean-pool, model: {folder}, dimensions: [8, 4]}}
  - {{name: other, encoder: mean-pool, model: {folder}, dtype: float16}}
tasks: {{embedding: {{names: [STS12]}}}}
"""
    plan = make_plan(loaded(tmp_path, body).suite, Sources(offline=True))
    cells = [cell for cell in plan.cells if cell.model != "mini"] + [plan.cells[0]]
    assert [cell.model for cell in cells] == ["mini@8", "mini@4", "other", "mini"]
    costs = [(cell, COST) for cell in cells]
    found = shared(costs, to_run=lambda cell: cell.model != "mini@8")
    assert found[:3] == [COST, COST, COST]
    assert (found[3].tokens_in, found[3].tokens_to_generate, found[3].vector_bytes, found[3].shards) == (0, 0, 0, 0)
    assert (found[3].seconds, found[3].texts) == (CELL_SECONDS, 5)
    assert "vectors of mini" in str(found[3].note)
