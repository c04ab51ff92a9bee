"""Which unit comes next, what becomes of those that fail, and when a run is over: by hand, without any work done."""

from __future__ import annotations

from pathlib import Path

import pytest
from cells_support import make_failure
from suites_support import planned

from harness.evaluation.schedule import ATTEMPTS, Schedule, of_its_cell
from harness.evaluation.units import Done, State, Unit
from harness.plan.cells import Cell
from harness.shards.cut import Shard

FAILURE = make_failure()


@pytest.fixture
def cells(tmp_path: Path) -> dict[str, Cell]:
    """Two models over three tasks, by name."""
    rows = "".join(f'{{"sentence1": "a{n}", "sentence2": "b", "score": {n}}}\n' for n in range(3))
    (tmp_path / "pairs.jsonl").write_text(rows, encoding="utf-8")
    tasks = ", ".join(f"{{name: {name}, type: STS, path: pairs.jsonl}}" for name in ("short", "long", "mid"))
    models = ", ".join(f"{{name: {name}, encoder: tf-idf}}" for name in ("one", "two"))
    plan = planned(tmp_path, f"models: [{models}]\ntasks: {{custom: [{tasks}]}}\n")
    return {str(cell): cell for cell in plan.cells}


def length(cell: Cell) -> float:
    """Return what a cell weighs."""
    return {"short": 1.0, "mid": 2.0, "long": 3.0}[cell.task.name]


def shards(*weights: float) -> tuple[Shard, ...]:
    """Return shards of these weights."""
    made = {"part": "p", "split": "s", "subset": "d", "role": None, "ids": ""}
    return tuple(Shard(**made, start=n, stop=n + 1, weight=weight) for n, weight in enumerate(weights))


def opened(cell: Cell, *weights: float, **options: object) -> Schedule:
    """Return a schedule of one cell that is cut into shards of these weights."""
    schedule = Schedule([Unit(step="open", cell=cell)], **options)  # type: ignore[arg-type]
    unit = schedule.take(None)
    assert unit is not None
    schedule.note(Done(unit=unit, state="done", shards=shards(*weights)))
    return schedule


def taken(schedule: Schedule, model: str | None = None) -> Unit:
    """Return the next unit, which must be there."""
    unit = schedule.take(model)
    assert unit is not None
    return unit


def names(schedule: Schedule, model: str | None = None) -> list[str]:
    """Take and do everything by one worker; returns what it was, in order."""
    found = []
    while (unit := schedule.take(model)) is not None:
        found.append(f"{unit.cell}:{unit.step}" + (str(unit.number) if unit.step == "shard" else ""))
        model = unit.cell.model
        schedule.note(Done(unit=unit, state="done"))
    return found


def test_the_longest_is_first_and_a_worker_keeps_its_model(cells: dict[str, Cell]) -> None:
    """The other model's turn comes when nothing is left of the first."""
    schedule = Schedule([Unit(step="whole", cell=one) for one in cells.values()], work=length)
    found = names(schedule)
    assert found[:3] == ["one/long:whole", "one/mid:whole", "one/short:whole"]
    assert found[3:] == ["two/long:whole", "two/mid:whole", "two/short:whole"]
    assert schedule.is_over


def test_without_weights_the_order_of_the_suite_is_kept(cells: dict[str, Cell]) -> None:
    """As one process runs it."""
    assert names(Schedule([Unit(step="whole", cell=one) for one in cells.values()])) == [
        f"{one}:whole" for one in cells
    ]


def test_a_second_worker_takes_the_model_that_nobody_is_at(cells: dict[str, Cell]) -> None:
    """So that each loads one."""
    schedule = Schedule([Unit(step="whole", cell=one) for one in cells.values()], work=length)
    first, second, third = taken(schedule), taken(schedule), taken(schedule, "two")
    assert (first.cell.model, second.cell.model, str(third.cell)) == ("one", "two", "two/mid")


def test_shards_come_heaviest_first_and_the_cell_is_closed_when_all_are_made(cells: dict[str, Cell]) -> None:
    """Not before the last has come back, whoever makes it."""
    schedule = opened(cells["one/long"], 1, 3, 2)
    units = [taken(schedule) for _ in range(3)]
    assert [one.number for one in units] == [1, 2, 0]
    assert [one.shards for one in units] == [shards(1, 3, 2)[n : n + 1] for n in (1, 2, 0)]
    for unit in units:
        assert schedule.take(None) is None
        assert not schedule.is_over
        schedule.note(Done(unit=unit, state="done"))
    close = taken(schedule)
    assert (close.step, close.shards) == ("close", shards(1, 3, 2))
    assert not schedule.is_over
    assert schedule.note(Done(unit=close, state="done")) == "over"
    assert schedule.is_over
    assert schedule.shards_of(cells["one/long"]) == (3, 3)


def test_a_cell_that_is_not_cut_is_run_whole(cells: dict[str, Cell]) -> None:
    """After it was opened."""
    assert names(opened(cells["one/long"])) == ["one/long:whole"]


@pytest.mark.parametrize("step", ["open", "shard", "close", "whole"])
def test_a_unit_that_fails_is_tried_three_times_and_then_given_up(cells: dict[str, Cell], step: str) -> None:
    """Each try is another chance; the third failure is the cell's."""
    cell = cells["one/long"]
    schedule = opened(cell, 1) if step in ("shard", "close") else Schedule([Unit(step=step, cell=cell)])  # type: ignore[arg-type]
    if step == "close":
        schedule.note(Done(unit=taken(schedule), state="done"))
    verdicts = []
    for _ in range(ATTEMPTS):
        unit = taken(schedule)
        assert unit.step == step
        assert not schedule.is_over
        verdicts.append(schedule.note(Done(unit=unit, state="failed", failure=FAILURE)))
    assert (ATTEMPTS, verdicts) == (3, ["again", "again", "given up"])
    assert schedule.is_over
    assert schedule.take(None) is None


def test_attempts_are_counted_for_each_shard_by_itself(cells: dict[str, Cell]) -> None:
    """Two failures of each of three shards are no third of any."""
    schedule = opened(cells["one/long"], 3, 2, 1)
    for _ in range(2):
        for unit in [taken(schedule) for _ in range(3)]:
            assert schedule.note(Done(unit=unit, state="failed", failure=FAILURE)) == "again"
    assert names(schedule)[-1] == "one/long:close"


@pytest.mark.parametrize("state", ["failed", "hopeless"])
def test_what_comes_back_of_a_cell_that_was_given_up_changes_nothing(cells: dict[str, Cell], state: State) -> None:
    """The run is not over while it is out, and nothing of the cell is handed out again."""
    schedule = opened(cells["one/long"], 2, 1, 1)
    first, second = taken(schedule), taken(schedule)
    assert schedule.note(Done(unit=first, state="hopeless", failure=FAILURE)) == "given up"
    assert schedule.take(None) is None
    assert not schedule.is_over
    assert schedule.note(Done(unit=second, state=state, failure=FAILURE)) == "over"
    assert schedule.is_over


@pytest.mark.parametrize("state", ["done", "held"])
def test_nor_does_a_shard_that_was_made_too_late(cells: dict[str, Cell], state: State) -> None:
    """No cell is closed that has failed."""
    schedule = opened(cells["one/long"], 2, 1)
    first, second = taken(schedule), taken(schedule)
    schedule.note(Done(unit=first, state="hopeless", failure=FAILURE))
    assert schedule.note(Done(unit=second, state=state)) == "over"
    schedule.release()
    assert (schedule.take(None), schedule.is_over) == (None, True)


def test_a_killed_worker_costs_a_shard_an_attempt_and_a_whole_cell_its_run(cells: dict[str, Cell]) -> None:
    """Which would take the next worker with it, too."""
    schedule = opened(cells["one/long"], 1)
    assert [schedule.died(taken(schedule)) for _ in range(3)] == ["again", "again", "given up"]
    whole = Schedule([Unit(step="whole", cell=cells["one/long"])])
    assert whole.died(taken(whole)) == "given up"
    assert whole.is_over


def test_what_another_run_holds_is_passed_over_until_it_is_released(cells: dict[str, Cell]) -> None:
    """The other shards of the cell are made meanwhile, and the cell is not closed without it."""
    schedule = opened(cells["one/long"], 3, 2, 1)
    held = taken(schedule)
    assert schedule.note(Done(unit=held, state="held")) == "goes on"
    for number in (1, 2):
        unit = taken(schedule)
        assert unit.number == number
        schedule.note(Done(unit=unit, state="done"))
    assert schedule.take(None) is None
    assert not schedule.is_over
    schedule.release()
    assert names(schedule) == ["one/long:shard0", "one/long:close"]
    assert schedule.is_over


def test_holding_is_no_failure(cells: dict[str, Cell]) -> None:
    """However often."""
    schedule = Schedule([Unit(step="whole", cell=cells["one/long"])])
    for _ in range(2 * ATTEMPTS):
        schedule.note(Done(unit=taken(schedule), state="held"))
        schedule.release()
    assert names(schedule) == ["one/long:whole"]


def test_a_part_makes_its_shards_alone_and_then_tries_to_close(cells: dict[str, Cell]) -> None:
    """Also where none of them is its own; a cell that must wait is over for this part."""
    cell = cells["one/long"]
    schedule = opened(cell, 4, 3, 2, 1, share=lambda _, number: number in (1, 2))
    units = [taken(schedule), taken(schedule)]
    assert [one.number for one in units] == [1, 2]
    for unit in units:
        schedule.note(Done(unit=unit, state="done"))
    assert schedule.shards_of(cell) == (2, 2)
    close = taken(schedule)
    assert (close.step, len(close.shards)) == ("close", 4)
    assert schedule.note(Done(unit=close, state="waits")) == "over"
    assert schedule.is_over
    assert names(opened(cell, 1, 1, share=lambda _, __: False)) == ["one/long:close"]


def test_of_cells_in_one_piece_a_part_has_its_own(cells: dict[str, Cell]) -> None:
    """Whether that was known before or is seen when the data are read."""
    ours = {"one/long", "two/mid"}
    schedule = Schedule(
        [Unit(step="whole", cell=one) for one in cells.values()], share=lambda cell, _: str(cell) in ours
    )
    assert schedule.names == sorted(ours)
    opens = Schedule([Unit(step="open", cell=one) for one in cells.values()], share=lambda cell, _: str(cell) in ours)
    found = names(opens)
    assert [one for one in found if one.endswith("whole")] == [f"{one}:whole" for one in sorted(ours)]
    assert sum(one.endswith("open") for one in found) == len(cells)
    assert opens.is_over


def test_as_many_workers_are_of_use_as_units_wait_or_run(cells: dict[str, Cell]) -> None:
    """One to open, three for shards, one to close."""
    schedule = Schedule([Unit(step="open", cell=cells["one/long"])])
    assert schedule.can_use == 1
    unit = taken(schedule)
    assert schedule.can_use == 1
    schedule.note(Done(unit=unit, state="done", shards=shards(1, 1, 1)))
    assert schedule.can_use == 3
    for unit in [taken(schedule) for _ in range(3)]:
        schedule.note(Done(unit=unit, state="done"))
    assert schedule.can_use == 1
    schedule.note(Done(unit=taken(schedule), state="done"))
    assert schedule.can_use == 0


def test_a_failure_names_the_shard_that_it_happened_at(cells: dict[str, Cell]) -> None:
    """And that of a cell is as it was."""
    unit = Unit(step="shard", cell=cells["one/long"], shards=shards(1))
    assert of_its_cell(FAILURE, unit).message == "shard p s/d [0:1]: it broke"
    assert of_its_cell(FAILURE, Unit(step="close", cell=cells["one/long"], shards=shards(1))) == FAILURE
