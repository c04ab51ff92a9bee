"""Scores against a cost: what the picture in the page says, and where its axis has numbers."""

from __future__ import annotations

import re

import pytest

from harness.report.pictures.against import against, figure
from harness.report.pictures.data import Mark, Scatter


def mark(name: str, cost: float, score: float, series: str = "m") -> Mark:
    """Return a mark of a series."""
    return Mark(name=name, index=0, series=series, line=series, cost=cost, score=score)


SCATTER = Scatter(
    cost="bytes a <vector>",
    score="mean",
    marks=(mark("m", 1536, 74), mark("m@128", 512, 70), mark("m@128-int8", 128, 71), mark("other", 64, 60, "other")),
)


@pytest.mark.parametrize("width", [340, 1180])
def test_the_page_names_every_mark_and_escapes_what_it_is_given(width: int) -> None:
    """A size by what it is within its model; the whole name and the numbers are in its title."""
    drawn = str(against(SCATTER, width=width, height=400))
    assert re.findall(r'class="label"[^>]*>([^<]*)<', drawn) == ["m", "128", "128-int8", "other"]
    assert "<title>m@128-int8: 71.00 at 128</title>" in drawn
    assert "bytes a &lt;vector&gt;" in drawn
    assert drawn.count('class="frontier"') == 2  # other, m@128-int8, m
    assert drawn.count('class="ci"') == 2  # the three of one line


def test_more_right_is_dearer_and_more_up_is_better() -> None:
    """On a logarithmic axis: a factor of four is as wide wherever it lies."""
    drawn = str(against(SCATTER, width=1180, height=400))
    places = [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    whole, cut, rounded, other = places
    assert other[0] < rounded[0] < cut[0] < whole[0]
    assert whole[1] < rounded[1] < cut[1] < other[1]
    assert cut[0] - rounded[0] == pytest.approx(2 * (rounded[0] - other[0]), abs=0.5)


def test_one_cost_for_all_is_drawn_too() -> None:
    """The axis has room on both sides."""
    same = Scatter(cost="ms", score="mean", marks=(mark("m", 5, 70), mark("m@8", 5, 60)))
    assert str(against(same, width=340, height=300)).count("<circle") == 2
    drawn = figure(same)
    assert [line.get_label() for line in drawn.axes[0].get_lines()][1:] == ["m"]
