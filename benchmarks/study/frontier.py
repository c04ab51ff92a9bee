"""The picture: embedding score against nats lost, one set of weights; and beside it what the switch gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from judge import Found, Side
from rows import BASE, SCALED, Reading

from harness.report.pictures.files import BASELINE, LINE, PALETTE, SOFT, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = {"text": "o", "suffix": "D", "fixed": "P", "own": "^", "base": "s"}
NAMES = {
    "text": "reads text",
    "suffix": "text + fixed sentence",
    "fixed": "the same in rationales' layout",
    "own": "text + own rationale",
    "base": "text + base's rationale",
}
FAMILIES = {"infonce": PALETTE[0], "grace": PALETTE[1], "distil": PALETTE[2], "soft": PALETTE[2], BASE: BASELINE}
"""By the beginning of a row's name; the rows are named beside their points."""
TICKS = (0.0, 0.01, 0.03, 0.1, 0.3, 1, 2)
HEIGHT = 14
"""Typographic points about a name that no other point may lie in."""
APART = 0.42
"""Points between two names in one column."""
COLUMNS = {"text": 0.06, "suffix": 0.06, "fixed": 0.54, "base": 0.54, "own": 0.54}


def draw(found: Found) -> dict[str, bytes]:
    """Return `frontier.svg` and `.png`; nothing where there is no base or no row."""
    if (BASE, "text") not in found.sides or len(found.sides) < 3:
        return {}
    return render("frontier", lambda: _figure(found))


def _figure(found: Found) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 6.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[2, 1])
    merged = [side for side in found.sides.values() if side.reading != "base"]
    switched = [side for side in found.sides.values() if side.reading != "own" or side.row == BASE]
    places = {id(side): _point(left, found, side) for side in merged}
    for place in sorted(set(COLUMNS.values())):
        _switched(right, [side for side in switched if COLUMNS[side.reading] == place])
    curves = [_curve(left, found, row, reading) for row, reading in SCALED]
    left.set_xlabel("nats a token above the base (less is better)")
    left.set_ylabel("mean of the embedding tasks, points")
    left.set_xscale("symlog", linthresh=0.05)
    least = min([0.0, *(x for x, _ in places.values())])
    ticks = [*(-tick for tick in TICKS[:0:-1] if tick <= -least), *TICKS]
    left.set_xlim(1.3 * least - 0.004, 4)
    left.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    left.set_xticks([], minor=True)
    left.set_title("merged: one set of weights", loc="left", fontsize=9)
    right.set_title("switched: 0 nats", loc="left", fontsize=9)
    right.set_xlim(0, 1)
    right.set_xticks([])
    for axes in (left, right):
        axes.grid(visible=True, color=LINE, linewidth=0.6)
        axes.tick_params(labelsize=7, color=LINE)
    _legend(figure, has_curves=any(curves))
    figure.draw_without_rendering()  # the layout decides where points are
    for side in merged:
        _name(left, side, places)
    return figure


def _name(axes: Axes, side: Side, places: dict[int, tuple[float, float]]) -> None:
    """Write a row's name on the right of its point; on the left where another point lies in its way."""
    at = {key: axes.transData.transform(place) * 72 / axes.figure.dpi for key, place in places.items()}
    x, y = at[id(side)]
    width = 4.0 * len(side.row)
    taken = any(0 < other[0] - x < width and abs(other[1] - y) < HEIGHT for other in at.values())
    turned: dict[str, Any] = {"xytext": (-5, 4), "ha": "right"} if taken else {"xytext": (5, 4)}
    axes.annotate(side.row, places[id(side)], textcoords="offset points", **turned, **_text(side))


def _colour(row: str) -> str:
    return next((colour for name, colour in FAMILIES.items() if row.startswith(name)), PALETTE[3])


def _text(side: Side) -> dict[str, Any]:
    return {"fontsize": 7, "color": _colour(side.row)}


def _legend(figure: Figure, *, has_curves: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=SOFT, marker=MARKS[of], linestyle="", label=NAMES[of]) for of in MARKS]
    handles.append(Line2D([], [], color=SOFT, marker=".", markersize=3, linestyle="", label="a seed"))
    if has_curves:
        handles.append(Line2D([], [], color=SOFT, linewidth=0.8, label="adapter scaled"))
    figure.legend(handles=handles, frameon=False, loc="outside lower center", ncols=len(handles), fontsize=7)


def _point(axes: Axes, found: Found, side: Side) -> tuple[float, float]:
    """Draw the mean with seeds as dots; returns where it is."""
    base = found.sides[BASE, "text"].cells[0]
    nats = [sum(of[task].score - base[task].score for task in found.ability) / len(found.ability) for of in side.cells]
    points = side.means("embedding")
    if len(points) > 1:
        axes.scatter(nats, points, s=7, color=_colour(side.row), alpha=0.6, linewidths=0)
    x, y = sum(nats) / len(nats), sum(points) / len(points)
    axes.scatter([x], [y], s=42, color=_colour(side.row), marker=MARKS[side.reading], zorder=3)
    return x, y


def _switched(axes: Axes, sides: Sequence[Side]) -> None:
    """Draw a column of means with their names, which make room for each other."""
    means = {id(side): sum(points) / len(points) for side in sides if (points := side.means("embedding"))}
    free = -1e9
    for side in sorted(sides, key=lambda one: means[id(one)]):
        place, points = COLUMNS[side.reading], side.means("embedding")
        if len(points) > 1:
            axes.scatter([place] * len(points), points, s=7, color=_colour(side.row), alpha=0.6, linewidths=0)
        mean = means[id(side)]
        axes.scatter([place], [mean], s=42, color=_colour(side.row), marker=MARKS[side.reading], zorder=3)
        free = max(free + APART, mean)
        axes.text(place + 0.04, free, side.row, va="center", **_text(side))


def _curve(axes: Axes, found: Found, row: str, reading: Reading) -> bool:
    """Draw a row from its base to its whole adapter; returns whether there was a scale between."""
    scales = found.at_scales(row, reading)
    if len(scales) < 2:
        return False
    base = found.sides.get((BASE, reading), found.sides[BASE, "text"])
    line = [(0.0, base.means("embedding")[0]), *((nats, points) for points, nats in scales.values())]
    axes.plot(*zip(*line, strict=True), color=_colour(row), linewidth=0.8, alpha=0.7, zorder=1)
    return True
