"""The rounding rules, each by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cells_support import make_score

from harness.report.numbers import (
    DIGITS,
    NOT_THERE,
    SAME_RECORD,
    between,
    chance,
    could_show,
    figure,
    figures,
    interval_text,
    percent,
    points,
    probability,
    seeds_note,
    signed,
)
from harness.results.records import SeededScore
from harness.statistics.difference import Difference, same_record


def test_rounding_is_two_decimals_everywhere() -> None:
    """Points have two decimals in Markdown and CSV, half to even as Python formats, with a sign for differences."""
    assert DIGITS["points"] == 2
    assert [points(value) for value in (0.0, 12.344, 12.346, -0.5, None)] == [
        "0.00", "12.34", "12.35", "-0.50", "-",
    ]  # fmt: skip
    assert [signed(value) for value in (1.0, -1.234, 0.0, None)] == ["+1.00", "-1.23", "+0.00", "-"]


@pytest.mark.parametrize(("unit", "said"), [("points", "1.23"), ("nats", "1.2346"), ("raw", "1.2346")])
def test_a_unit_has_its_decimals(unit, said):
    """A hundredth of a point, a ten-thousandth of a nat; nothing is not 0."""
    assert figure(1.23456, unit) == said
    assert figure(None, unit) == NOT_THERE


def test_shares_are_percentages_with_one_decimal():
    """0.1249 is 12.5%."""
    assert [percent(share) for share in (0.1249, 0.0, 1.0, None)] == ["12.5%", "0.0%", "100.0%", "-"]


def test_small_chances_are_said_to_be_small():
    """Four decimals in a report, three in a comparison; on the bound itself the number, under it the bound."""
    assert [probability(p) for p in (0.03124, 0.0001, 0.00009, None)] == ["0.0312", "0.0001", "< 0.0001", "-"]
    assert [chance(p) for p in (0.0312, 0.001, 0.0009, None)] == ["0.031", "0.001", "<0.001", "-"]


def test_an_interval_stands_behind_its_number():
    """Without one the number stands alone; a difference has its sign, a score has none."""
    assert figures(1.234, 0.451, 2.009) == "+1.23 [0.45, 2.01]"
    assert figures(-1.0, -2.0, 0.5, "nats") == "-1.0000 [-2.0000, 0.5000]"
    assert figures(50.0, 48.0, 52.0, sign=False) == "50.00 [48.00, 52.00]"
    assert figures(1.0, None, None) == "+1.00"
    assert (between(None, None, "points"), between(0, 1, "points")) == ("", "[0.00, 1.00]")


def test_a_difference_can_be_told_from_either_side():
    """A trail of 2 is a lead of 2: value and ends change sign and place; one record has no interval."""
    trail = Difference(value=-2.0, stderr=0.5, low=-3.0, high=-1.0, n=10)
    assert interval_text(trail) == "-2.00 [-3.00, -1.00]"
    assert interval_text(trail, flip=True) == "2.00 [1.00, 3.00]"
    assert interval_text(Difference(value=-2.0, stderr=None, low=None, high=None, n=10), flip=True) == "2.00"
    assert interval_text(same_record(10)) == SAME_RECORD
    assert interval_text(None) == NOT_THERE


def test_the_spread_between_seeds_is_said_behind_their_mean():
    """Standard deviation of 1, 2 and 3 is 1; a score of one run says nothing."""
    one = make_score(score=2.0)
    plain = {name: getattr(one, name) for name in one.__dataclass_fields__ if name != "status"}
    seeds = SeededScore(**plain, parts=tuple(make_score(score=score) for score in (1.0, 2.0, 3.0)))
    assert seeds_note(seeds) == " (mean of 3 seeds, sd 1.00)"
    assert seeds_note(one) == ""


def test_what_could_have_been_shown_stands_beside_undecided_differences_alone() -> None:
    """A clear one, one without an interval and a shared record have nothing there; nats have four decimals."""
    undecided = Difference(value=0.5, stderr=1.0, low=-1.5, high=2.5, n=9, detectable=3.14159)
    assert could_show(undecided) == "3.14"
    assert could_show(undecided, "nats") == "3.1416"
    clear = replace(undecided, low=0.1)
    for one in (None, clear, replace(undecided, low=None, high=None, detectable=None), same_record(3)):
        assert could_show(one) == "-"
