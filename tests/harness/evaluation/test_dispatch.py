"""Between schedule and workers: what is said of units that come back, and what is committed of those that do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cells_support import make_failure, make_score
from suites_support import planned
from told import Told

from harness.evaluation.dispatch import Dispatch
from harness.evaluation.events import Finished, Remark, ShardMade, Started
from harness.evaluation.options import RunOptions
from harness.evaluation.schedule import Schedule
from harness.evaluation.units import Done, Unit
from harness.plan.cells import Cell, Plan
from harness.results.records import Failure, Score
from harness.results.store import Store
from harness.shards.cut import Shard

SHARDS = tuple(
    Shard(part="p", split="s", subset="d", role=None, start=n, stop=n + 1, ids="", weight=2.0 - n) for n in range(2)
)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """One model over two tasks."""
    rows = "".join(f'{{"sentence1": "a{n}", "sentence2": "b", "score": {n}}}\n' for n in range(3))
    (tmp_path / "pairs.jsonl").write_text(rows, encoding="utf-8")
    tasks = ", ".join(f"{{name: {name}, type: STS, path: pairs.jsonl}}" for name in ("one", "two"))
    return planned(tmp_path, f"models: [{{name: m, encoder: tf-idf}}]\ntasks: {{custom: [{tasks}]}}\n")


@pytest.fixture
def cut(plan: Plan, tmp_path: Path) -> tuple[Dispatch, Told, Cell]:
    """The dispatch of a cell that has been cut into two shards."""
    cell, told = plan.cells[0], Told()
    schedule = Schedule([Unit(step="open", cell=cell)])
    dispatch = Dispatch(plan=plan, schedule=schedule, store=Store(tmp_path / "results"), reporter=told)
    dispatch.back(Done(unit=taken(dispatch), state="done", shards=SHARDS))
    return dispatch, told, cell


def taken(dispatch: Dispatch) -> Unit:
    """Return the next unit."""
    unit = dispatch.schedule.take(None)
    assert unit is not None
    return unit


def test_shards_are_told_as_they_come(cut: tuple[Dispatch, Told, Cell]) -> None:
    """How many there are, and which were there before."""
    dispatch, told, cell = cut
    dispatch.back(Done(unit=taken(dispatch), state="done", was_there=True))
    dispatch.back(Done(unit=taken(dispatch), state="done"))
    assert told.of(ShardMade) == [
        ShardMade(cell=cell, made=1, of=2, was_there=True),
        ShardMade(cell=cell, made=2, of=2, was_there=False),
    ]


def died(dispatch: Dispatch, unit: Unit) -> None:
    """Its worker is gone."""
    dispatch.died(unit, "worker 3 was killed by SIGKILL")


def failed(dispatch: Dispatch, unit: Unit) -> None:
    """It came back with an error."""
    failure = make_failure(task=unit.cell.task.name, key=str(unit.cell.key), model=unit.cell.model)
    dispatch.back(Done(unit=unit, state="failed", failure=failure))


@pytest.mark.parametrize("end", [died, failed])
def test_a_shard_is_tried_three_times_and_then_its_cell_has_failed(
    cut: tuple[Dispatch, Told, Cell], end: Callable[[Dispatch, Unit], None]
) -> None:
    """Each time it is said; the failure names the shard, is committed once, and is reported as the cell's result."""
    dispatch, told, cell = cut
    dispatch.back(Done(unit=taken(dispatch), state="done"))
    for _ in range(2):
        end(dispatch, taken(dispatch))
        assert told.of(Finished) == []
        assert dispatch.store.get(cell.task.name, cell.key) is None
    end(dispatch, taken(dispatch))
    failure = dispatch.store.get(cell.task.name, cell.key)
    assert isinstance(failure, Failure)
    assert failure.message.startswith("shard p s/d [1:2]: ")
    said = [one.text for one in told.of(Remark) if isinstance(one, Remark)]
    assert sum("3 times in all" in one for one in said) == 2
    assert all(one.startswith("m/one (p s/d [1:2]): ") for one in said)
    assert [one.result for one in told.of(Finished) if isinstance(one, Finished)] == [failure]
    assert dispatch.schedule.is_over


def test_a_worker_that_dies_at_a_cell_that_has_failed_promises_nothing(cut: tuple[Dispatch, Told, Cell]) -> None:
    """It is not tried again, and the failure that is there stays."""
    dispatch, told, cell = cut
    first, second = taken(dispatch), taken(dispatch)
    failure = make_failure(task=cell.task.name, key=str(cell.key), model=cell.model)
    dispatch.back(Done(unit=first, state="hopeless", failure=failure))
    died(dispatch, second)
    assert "tries it again" not in told.of(Remark)[-1].text  # type: ignore[union-attr]
    kept = dispatch.store.get(cell.task.name, cell.key)
    assert isinstance(kept, Failure)
    assert kept.message == "shard p s/d [0:1]: it broke"
    assert dispatch.schedule.is_over


def test_a_score_that_another_run_has_committed_is_not_covered_by_a_failure(cut: tuple[Dispatch, Told, Cell]) -> None:
    """It is what is reported."""
    dispatch, told, cell = cut
    units = [taken(dispatch), taken(dispatch)]
    score = make_score(task=cell.task.name, key=str(cell.key), model=cell.model, items_missing="none")
    dispatch.store.put_score(score, None, "")
    failure = make_failure(task=cell.task.name, key=str(cell.key), model=cell.model)
    dispatch.back(Done(unit=units[0], state="hopeless", failure=failure))
    assert isinstance(dispatch.store.get(cell.task.name, cell.key), Score)
    (event,) = told.of(Finished)
    assert isinstance(event, Finished)
    assert isinstance(event.result, Score)


def test_a_cell_is_begun_once_over_all_its_steps(cut: tuple[Dispatch, Told, Cell]) -> None:
    """And took as long as they all did, whichever worker tells its end."""
    dispatch, told, cell = cut
    for _ in range(3):
        dispatch.report(Started(cell=cell))
    dispatch.begun[str(cell)] -= 100
    dispatch.report(Finished(cell=cell, result=None, seconds=0.5))
    assert len(told.of(Started)) == 1
    (event,) = told.of(Finished)
    assert isinstance(event, Finished)
    assert 100 <= event.seconds < 160


def test_a_cell_that_another_run_scored_took_no_time(cut: tuple[Dispatch, Told, Cell]) -> None:
    """Though this one had begun to read its data."""
    dispatch, told, cell = cut
    dispatch.report(Started(cell=cell))
    dispatch.report(Finished(cell=cell, result=None, seconds=0.0, was_there=True))
    assert [one.seconds for one in told.of(Finished) if isinstance(one, Finished)] == [0.0]


def test_a_result_is_told_once_though_its_worker_dies_before_the_unit_is_back(
    cut: tuple[Dispatch, Told, Cell],
) -> None:
    """The next worker finds it and tells it again."""
    dispatch, told, cell = cut
    for _ in range(2):
        dispatch.back(Done(unit=taken(dispatch), state="done"))
    close = taken(dispatch)
    dispatch.report(Finished(cell=cell, result=None, seconds=0.5))
    died(dispatch, close)
    dispatch.report(Finished(cell=cell, result=None, seconds=0.0, was_there=True))
    dispatch.back(Done(unit=taken(dispatch), state="done", was_there=True))
    assert len(told.of(Finished)) == 1
    assert dispatch.schedule.is_over


def test_cells_of_other_parts_are_named(plan: Plan, tmp_path: Path) -> None:
    """Those that are not this part's, those that must wait, and those that were opened and found to be another's."""
    told = Told()
    mine = [
        Dispatch.of(plan, plan.cells, RunOptions(results=tmp_path, part=(part, 2)), told, longest_first=False)
        for part in (1, 2)
    ]
    names = {str(cell) for cell in plan.cells}
    assert mine[0].others | mine[1].others == names
    assert mine[0].others & mine[1].others == set()

    cell = plan.cells[0]
    for shards, state in ((), "done"), (SHARDS, "waits"):
        schedule = Schedule([Unit(step="open", cell=cell)], share=lambda *_: False)
        dispatch = Dispatch(plan=plan, schedule=schedule, store=Store(tmp_path), reporter=told)
        dispatch.back(Done(unit=taken(dispatch), state="done", shards=shards))
        if shards:
            assert dispatch.others == set()
            dispatch.back(Done(unit=taken(dispatch), state=state))
        assert dispatch.others == {str(cell)}
        assert schedule.is_over
