"""Scores against a cost: a point a model, sizes of one joined, and the frontier; as inline SVG and by matplotlib."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from harness.report.pictures.data import Mark, Scatter
from harness.report.pictures.files import LINE, MARKERS, PALETTE, SOFT
from harness.report.pictures.labels import Box, Scale, label_spot, mark_box
from harness.report.pictures.svg import ticks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = (1, 2, 5)
"""Where a logarithmic axis is named, times powers of ten."""


def against(scatter: Scatter, *, width: int, height: int) -> Markup:
    """Return the picture as inline SVG whose colours are the page's own.

    Args:
        scatter: at least one mark.
        width, height: px.
    """
    frame = Box(52, 14, width - 16, height - 46)
    costs, scores = [one.cost for one in scatter.marks], [one.score for one in scatter.marks]
    low, high = math.log10(min(costs)) - 0.08, math.log10(max(costs)) + 0.08
    up_ticks = ticks(min(scores) - 1, max(scores) + 1, 5)
    across, up = Scale(low, high, frame.left, frame.right), Scale(up_ticks[0], up_ticks[-1], frame.bottom, frame.top)
    parts = [_grid(frame, across, up, up_ticks, at_most=4 if width < 500 else 10)]
    parts.append(_text((frame.left + frame.right) / 2, height - 6, scatter.cost, "title", "middle"))
    sideways = Markup('<text class="title" text-anchor="middle" transform="translate(13 {:.1f}) rotate(-90)">{}</text>')
    parts.append(sideways.format((frame.top + frame.bottom) / 2, scatter.score))
    places = {one.name: (across(math.log10(one.cost)), up(one.score)) for one in scatter.marks}
    parts.append(_path([places[one.name] for one in scatter.best()], "frontier"))
    for marks in _lines(scatter).values():
        line = _path([places[one.name] for one in marks], "ci")
        parts.append(Markup('<g class="m{}">{}</g>').format(marks[0].index % len(PALETTE), line))
    taken = [mark_box(*place) for place in places.values()]
    parts += [_marked(one, *places[one.name], frame=frame, taken=taken) for one in scatter.marks]
    head = Markup('<svg viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">')
    label = escape(f"{scatter.score} against {scatter.cost}")
    return head.format(width, height, width, height, label) + Markup("").join(parts) + Markup("</svg>")


def figure(scatter: Scatter) -> Figure:
    """Return the picture as matplotlib draws it."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = drawn.subplots()
    axes.set_xscale("log")
    axes.grid(visible=True, color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(scatter.cost)
    axes.set_ylabel(scatter.score)
    best = scatter.best()
    axes.plot([one.cost for one in best], [one.score for one in best], color=SOFT, linewidth=0.8, linestyle="--")
    named: set[str] = set()
    for marks in _lines(scatter).values():
        first = marks[0]
        colour, shape = PALETTE[first.index % len(PALETTE)], MARKERS[first.index % len(MARKERS)]
        label = first.series if first.series not in named else None
        named.add(first.series)
        costs, scores = [one.cost for one in marks], [one.score for one in marks]
        axes.plot(costs, scores, color=colour, marker=shape, linewidth=1.0, markersize=5, label=label)
        for one in marks:
            said = one.short if one.name != one.series else ""
            place = one.cost, one.score
            axes.annotate(said, place, xytext=(4, 4), textcoords="offset points", fontsize=7, color=SOFT)
    for ticks_of in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        ticks_of(lambda value, _: f"{value:g}" if _is_named(value) else "")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return drawn


def _lines(scatter: Scatter) -> dict[str, list[Mark]]:
    found: dict[str, list[Mark]] = {}
    for one in sorted(scatter.marks, key=lambda mark: (mark.index, mark.cost, mark.score)):
        found.setdefault(one.line, []).append(one)
    return found


def _is_named(value: float) -> bool:
    """Whether a tick of a logarithmic axis has its number: 1, 2 and 5 times a power of ten."""
    return value > 0 and round(value / 10 ** math.floor(math.log10(value) + 1e-9), 6) in STEPS


def _grid(frame: Box, across: Scale, up: Scale, levels: list[float], *, at_most: int) -> Markup:
    lines = []
    powers = range(math.floor(across.low), math.ceil(across.high) + 1)
    named = [step * 10.0**power for power in powers for step in STEPS]
    named = [one for one in named if across.low <= math.log10(one) <= across.high]
    if len(named) > at_most:
        named = [one for one in named if math.log10(one) % 1 < 1e-9] or named[:: -(-len(named) // at_most)]
    for one in named:
        x = across(math.log10(one))
        lines.append(_line((x, frame.top), (x, frame.bottom), "grid"))
        lines.append(_text(x, frame.bottom + 18, f"{one:g}", "tick", "middle"))
    for level in levels:
        y = up(level)
        lines.append(_line((frame.left, y), (frame.right, y), "grid"))
        lines.append(_text(frame.left - 8, y + 4, f"{level:g}", "tick", "end"))
    return Markup("").join(lines)


def _marked(one: Mark, x: float, y: float, *, frame: Box, taken: list[Box]) -> Markup:
    label = one.short if one.name != one.series else one.name
    spot = label_spot(label, x, y, frame=frame, taken=taken, lines=())
    taken.append(spot.box)
    mark = Markup('<circle class="mark" cx="{:.1f}" cy="{:.1f}" r="5"/>').format(x, y)
    text = _text(spot.x, spot.box.bottom - 4, label, "label", spot.anchor)
    said = f"{one.name}: {one.score:.2f} at {one.cost:g}"
    form = Markup('<g class="m{}"><title>{}</title>{}{}</g>')
    return form.format(one.index % len(PALETTE), said, mark, text)


def _path(places: list[tuple[float, float]], kind: str) -> Markup:
    return Markup("").join(_line(one, other, kind) for one, other in pairwise(places))


def _line(start: tuple[float, float], stop: tuple[float, float], kind: str) -> Markup:
    form = Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>')
    return form.format(kind, *start, *stop)


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> Markup:
    form = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    return form.format(kind, x, y, anchor, text)
