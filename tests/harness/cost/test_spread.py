"""Schedules worked out by hand: longest first, loads, cells that are cut, cells that cannot be."""

from __future__ import annotations

import random

import pytest

from harness.cost.spread import Work, spread


def whole(seconds: float, model: str = "a", cell: str = "x") -> Work:
    """Return a cell that is one unit."""
    return Work(cell=cell, model=model, seconds=seconds)


def took(works: list[Work], devices: int, **loads: float) -> tuple[float, int]:
    """Return the time and how often a model was loaded."""
    found = spread(works, loads, devices)
    assert found is not None
    return found.seconds, found.loads


def test_the_longest_goes_first_and_the_time_is_not_the_sum_divided():
    """5 and 4; then 3 from 4 on, 3 from 5 on, and the last 3 from 7 on: 10, though 18 / 2 is 9."""
    works = [whole(seconds) for seconds in (3, 5, 3, 4, 3)]
    assert took(works, 2) == (10, 2)
    assert took(works, 1) == (18, 1)
    assert took(works, 64) == (5, 5)  # the other devices load nothing


@pytest.mark.parametrize(
    ("works", "devices", "seconds", "loads"),
    [
        ([whole(10), whole(1, "b"), whole(1, "b")], 1, 2 + 10 + 2 + 1 + 1, 2),
        ([whole(10), whole(1, "b"), whole(1, "b")], 2, 2 + 10, 2),
        ([whole(5), whole(1), whole(4, "b")], 1, 2 + 5 + 1 + 2 + 4, 2),  # 1 before the 4 of another model
        ([whole(6), whole(6), whole(6), whole(1, "b")], 2, 2 + 6 + 6, 3),  # the second loads b first, then a
        ([whole(6), whole(1, "b"), whole(1, "b"), whole(1, "b")], 3, 2 + 6, 3),
    ],
)
def test_a_device_keeps_its_model_while_a_unit_of_it_is_ready(works, devices, seconds, loads):
    """Each load takes two seconds, on each device that does it."""
    assert took(works, devices, a=2.0, b=2.0) == (seconds, loads)


def test_a_device_without_work_loads_the_model_that_fewest_are_at():
    """Three devices begin with a, b and a; at 8 all are free, and the second loads a for the last of its cells."""
    works = [*(whole(6) for _ in range(4)), whole(3, "b"), whole(3, "b")]
    assert took(works, 3, a=2.0, b=2.0) == (8 + 2 + 6, 4)


def test_units_that_have_ended_do_not_count_among_those_that_devices_are_at():
    """At 4 a and the shard of b end; the device of a closes b, at which nobody is, and that of b loads c."""
    small = Work(cell="b/small", model="b", seconds=1.5, shards=1, open_seconds=0.5, close_seconds=0.5)
    works = [whole(10, "c"), whole(10, "c"), whole(3), small]
    assert took(works, 3, a=1.0, b=2.0) == (14, 5)


CUT = Work(cell="a/large", model="a", seconds=8, shards=4, open_seconds=1, close_seconds=3)
"""Opened in 1, four shards of 2, closed in 3."""


def test_shards_are_done_side_by_side_between_opening_and_closing():
    """Two devices, a load of 5: shards end at 8, 10 and 12 on the one that opened, at 6 + 5 + 2 on the other."""
    assert took([CUT], 1, a=5.0) == (5 + 1 + 8 + 3, 1)
    assert took([CUT], 2, a=5.0) == (13 + 3, 2)
    assert took([CUT], 64, a=5.0) == (13 + 3, 4)
    assert took([CUT], 2) == (1 + 4 + 3, 2)
    assert took([CUT], 3) == (1 + 4 + 3, 3)  # four shards on three devices are two rounds
    assert took([CUT], 4) == (1 + 2 + 3, 4)


def test_other_work_fills_the_time_in_which_a_cell_is_opened_and_closed():
    """The whole one lasts until 6 on the second device, which then does the last shard: 8, and 3 to close."""
    assert took([CUT, whole(6)], 2) == (11, 2)
    assert took([CUT, whole(6), whole(3)], 2) == (11, 2)  # the shards go before the 3, which lasts from 7 to 10


def test_units_go_by_the_length_of_their_cell():
    """1 to open, two shards of 5: on three devices beside three of 4 it is done at 9; opened last it would be 10."""
    cut = Work(cell="a/large", model="a", seconds=10, shards=2, open_seconds=1, close_seconds=0)
    assert took([whole(4), whole(4), whole(4), cut], 3)[0] == 9


def test_a_cell_that_cannot_be_cut_is_the_floor_and_is_named():
    """100 seconds in one piece: sixty-four devices take as long as three."""
    works = [whole(100, cell="a/slow"), *(whole(10, cell=f"a/{number}") for number in range(20))]
    many = spread(works, {"a": 5.0}, 64)
    assert (many.seconds, many.longest_cell, many.longest_step, many.longest_seconds) == (105, "a/slow", "whole", 100)
    assert many.longest_share == pytest.approx(100 / 105)
    one = spread(works, {"a": 5.0}, 1)
    assert (one.seconds, one.longest_share) == (305, pytest.approx(100 / 305))
    of_cut = spread([CUT], {}, 8)
    assert (of_cut.longest_cell, of_cut.longest_step, of_cut.longest_seconds) == ("a/large", "close", 3)


def test_nothing_to_do_takes_no_time_and_nobody_can_do_nothing():
    """None, and ValueError."""
    assert spread([], {}, 8) is None
    assert spread([whole(0.0)], {}, 8).longest_share == 0.0
    with pytest.raises(ValueError, match="one device at least, not by 0"):
        spread([whole(1)], {}, 0)


@pytest.mark.parametrize("seed", range(5))
def test_whole_cells_of_one_model_are_scheduled_as_graham_has_it(seed):
    """Sorted, each to the device that is free first: written down a second time, without heaps or models."""
    draw = random.Random(seed)
    seconds = [float(draw.randint(1, 60)) for _ in range(50)]
    for devices in (1, 3, 8):
        free = [0.0] * devices
        for each in sorted(seconds, reverse=True):
            first = free.index(min(free))
            free[first] += each
        assert took([whole(each) for each in seconds], devices)[0] == max(free)
