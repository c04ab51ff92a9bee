"""What cells come to together: units, disk, and time on so many devices, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from suites_support import loaded

from harness.cost.estimate import CELL_SECONDS, CellCost
from harness.cost.pace import Pace
from harness.cost.totals import RUN_SECONDS, spreads, totals, works_of
from harness.plan.cells import Cell
from harness.plan.planner import make_plan
from harness.sources.places import Sources

LARGE = CellCost(items=10, tokens_in=100, seconds=40 + CELL_SECONDS, vector_bytes=3000, shards=4)
SMALL = CellCost(items=10, tokens_in=10, seconds=7.0, vector_bytes=50, shards=0)
PACE = Pace(
    seconds_per_text=0.1, seconds_per_token=0.001, load_seconds=5, dimension=8, max_text_tokens=None, source="by hand"
)


@pytest.fixture
def cells(tmp_path: Path) -> tuple[Cell, ...]:
    """Three cells of a model."""
    body = "models: [{name: base, encoder: mean-pool, model: a/b}]\ntasks: {embedding: {names: [NQ, STS12, STS13]}}\n"
    return make_plan(loaded(tmp_path, body).suite, Sources(offline=True)).cells


def test_units_and_disk_are_of_cells_that_are_cut(cells):
    """An opening, four shards and a closing, and a cell that is one unit; only shards stay on disk."""
    summed = totals([(cells[0], LARGE), (cells[1], SMALL)], {"base": PACE})
    assert (summed.units, summed.shards, summed.cells_cut, summed.uncut_unknown) == (7, 4, 1, 0)
    assert (summed.shard_bytes, summed.vector_bytes) == (3000, 3050)


def test_sums_say_of_how_many_cells_nothing_is_known(cells):
    """Of one nothing at all; of one how long its vectors are, which leaves the disk unknown."""
    summed = totals([(cells[0], replace(LARGE, vector_bytes=None)), (cells[1], CellCost(items=3))], {"base": PACE})
    assert (summed.units, summed.uncut_unknown, summed.unknown, summed.shard_bytes) == (6, 1, 1, None)
    untrained = totals([(cells[0], CellCost(items=3, tokens_in=9))], {})
    assert (untrained.units, untrained.uncut_unknown, untrained.unknown) == (0, 1, 0)


def test_time_on_devices_has_the_loads_the_opening_and_the_closing(cells):
    """1.5 to open, 40 of shards, 1.5 to close, and 7 beside it: the loads of 5 side by side."""
    costs = [(cells[0], LARGE), (cells[1], SMALL)]
    one, three, eight, many = spreads(costs, {"base": PACE}, workers=3)
    assert [spread.devices for spread in (one, three, eight, many)] == [1, 3, 8, 64]
    assert one.seconds == RUN_SECONDS + 5 + 1.5 + 40 + 1.5 + 7
    # shards of 10: opened at 6.5 on one, which does two until 26.5; 7 on another, done at 12; a load on the third
    assert three.seconds == RUN_SECONDS + 6.5 + 20 + 1.5
    # the other three shards begin at 6.5 with a load of 5
    assert eight.seconds == many.seconds == RUN_SECONDS + 6.5 + 5 + 10 + 1.5
    assert (many.longest_cell, many.longest_step, many.longest_seconds) == ("base/NQ", "shard", 10)


def test_training_texts_are_encoded_as_the_cell_is_closed(tmp_path):
    """They are drawn at the end: 160 of the 400,160 texts of AmazonPolarity."""
    models = "models: [{name: base, encoder: mean-pool, model: a/b}]\n"
    body = f"{models}tasks: {{embedding: {{names: [AmazonPolarityClassification]}}}}\n"
    (cell,) = make_plan(loaded(tmp_path, body).suite, Sources(offline=True)).cells
    (work,) = works_of([(cell, replace(LARGE, seconds=400_160 + CELL_SECONDS))])
    assert (work.open_seconds, work.close_seconds) == (CELL_SECONDS, pytest.approx(160 + CELL_SECONDS))
    assert (work.seconds, work.shards) == (pytest.approx(400_000), 4)


def test_every_text_is_read_to_open_a_cell_and_to_close_it(cells):
    """Two million texts: ten seconds each time; nothing of it in the shards."""
    (work,) = works_of([(cells[0], replace(LARGE, texts=2_000_000))])
    assert (work.open_seconds, work.close_seconds, work.seconds) == (11.5, 11.5, 40)


def test_on_one_device_cells_that_are_not_cut_take_what_the_sums_say(cells):
    """The same cells, loads and fixed shares."""
    costs = [(cell, SMALL) for cell in cells]
    assert spreads(costs, {"base": PACE})[0].seconds == totals(costs, {"base": PACE}).seconds


def test_cells_without_a_time_are_in_no_schedule(cells):
    """And where none has one, there is no schedule."""
    assert [work.cell for work in works_of([(cells[0], CellCost(items=3, tokens_in=9)), (cells[1], SMALL)])] == [
        "base/STS12"
    ]
    assert spreads([(cells[0], CellCost(items=3, tokens_in=9))], {"base": None}) == []


def test_scoring_is_told_apart_and_comes_after_the_shards(cells):
    """In the sum, in the closing of a cell that is cut, and in no shard: no device makes it shorter."""
    cell = cells[0]
    scored = replace(LARGE, seconds=LARGE.seconds + 30.0, scoring_seconds=30.0)
    (plain,), (with_scoring,) = works_of([(cell, LARGE)]), works_of([(cell, scored)])
    assert with_scoring.seconds == pytest.approx(plain.seconds)
    assert with_scoring.close_seconds == pytest.approx(plain.close_seconds + 30.0)
    assert totals([(cell, scored)], {}).scoring_seconds == 30.0
