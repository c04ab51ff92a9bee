"""The picture: embedding score against nats lost, one set of weights; and beside it what the switch gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge import Found, Side
from rows import BASE, SCALED, SCALES, Reading, entry_name

from harness.report.pictures.files import BASELINE, LINE, PALETTE, SOFT, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = {"text": "o", "own": "^", "base": "s"}
NAMES = {"text": "reads text", "own": "text + own rationale", "base": "text + base's rationale"}


def draw(found: Found) -> dict[str, bytes]:
    """Return `frontier.svg` and `.png`; nothing where there is no base or no row."""
    if (BASE, "text") not in found.sides or len(found.sides) < 3:
        return {}
    return render("frontier", lambda: _figure(found))


def _figure(found: Found) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 1])
    rows = list(dict.fromkeys(row for row, _ in found.sides if row != BASE))
    colours = {row: PALETTE[place % len(PALETTE)] for place, row in enumerate(rows)} | {BASE: BASELINE}
    for (row, reading), side in found.sides.items():
        if reading != "base":
            _point(left, found, side, colours[row])
        if reading != "own" or row == BASE:
            _switched(right, side, colours[row])
    for row, reading in SCALED:
        _curve(left, found, row, reading, colours.get(row, SOFT))
    left.set_xlabel("nats a token above the base (less is better)")
    left.set_ylabel("mean of the embedding tasks, points")
    left.set_xscale("symlog", linthresh=0.05)
    left.set_title("merged: one set of weights", loc="left", fontsize=9)
    right.set_title("switched: 0 nats", loc="left", fontsize=9)
    right.set_xticks([])
    for axes in (left, right):
        axes.grid(visible=True, color=LINE, linewidth=0.6)
        axes.tick_params(labelsize=7, color=LINE)
    _legend(figure, rows, colours)
    return figure


def _legend(figure: Figure, rows: list[str], colours: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colours[row], marker="o", linestyle="", label=row) for row in (BASE, *rows)]
    handles += [Line2D([], [], color=SOFT, marker=MARKS[of], linestyle="", label=NAMES[of]) for of in MARKS]
    handles.append(Line2D([], [], color=SOFT, linewidth=0.8, label="adapter scaled"))
    figure.legend(handles=handles, frameon=False, loc="outside lower center", ncols=5, fontsize=7)


def _point(axes: Axes, found: Found, side: Side, colour: str) -> None:
    """Draw the mean with seeds as dots."""
    base = found.sides[BASE, "text"].cells[0]
    nats = [sum(of[task].score - base[task].score for task in found.ability) / len(found.ability) for of in side.cells]
    points = side.means("embedding")
    if len(points) > 1:
        axes.scatter(nats, points, s=7, color=colour, alpha=0.6, linewidths=0)
    x, y = sum(nats) / len(nats), sum(points) / len(points)
    axes.scatter([x], [y], s=42, color=colour, marker=MARKS[side.reading], zorder=3)


def _switched(axes: Axes, side: Side, colour: str) -> None:
    points = side.means("embedding")
    place = {"text": 0.25, "base": 0.75, "own": 0.75}[side.reading]
    if len(points) > 1:
        axes.scatter([place] * len(points), points, s=7, color=colour, alpha=0.6, linewidths=0)
    axes.scatter([place], [sum(points) / len(points)], s=42, color=colour, marker=MARKS[side.reading], zorder=3)
    axes.set_xlim(0, 1)


def _curve(axes: Axes, found: Found, row: str, reading: Reading, colour: str) -> None:
    """Draw seed 0 at each adapter scale."""
    base, name = found.scores[BASE], found.setting(row).name
    xs, ys = [0.0], [sum(base[task].score for task in found.embedding) / len(found.embedding)]
    if reading == "own" and (BASE, "own") in found.sides:
        ys = [found.sides[BASE, "own"].means("embedding")[0]]
    for scale in (*reversed(SCALES), 1.0):
        suffix = "" if scale == 1 else f"-x{scale}"
        of = found.scores.get(f"{entry_name(name, 0, reading)}{suffix}", {})
        if of and set(of) == set(found.tasks):
            xs.append(sum(of[task].score - base[task].score for task in found.ability) / len(found.ability))
            ys.append(sum(of[task].score for task in found.embedding) / len(found.embedding))
    if len(xs) > 2:
        axes.plot(xs, ys, color=colour, linewidth=0.8, alpha=0.7)
