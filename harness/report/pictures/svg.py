"""Pictures as inline SVG whose colours are the page's own (CSS variables), so that they follow light and dark. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from harness.report.pictures.data import Point, Whisker
from harness.report.pictures.labels import (
    CHARACTER_WIDTH,
    LABEL_HEIGHT,
    Box,
    Scale,
    label_spot,
    mark_box,
    whisker_boxes,
)

MARKERS = ("circle", "square", "triangle", "diamond")
"""Told apart without colour; assigned in the order of the suite."""


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return round numbers (1, 2 or 5 times a power of ten apart) that span `low` to `high`, ends included."""
    span = max(high - low, 1e-9)
    rough = span / max(wanted, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def trade_off(points: Sequence[Point], *, width: int, height: int, baseline: str) -> Markup:
    """Return embedding gain (across) against ability change (up), with intervals as whiskers.

    Models without ability scores stand in a lane below the plot, where only the embedding difference says something.

    Args:
        points: the models, the baseline among them at 0; at least one other.
        width, height: px; without ability scores the height follows the number of models.
        baseline: what the differences are to, for those who hear the picture.
    """
    measured = [one for one in points if one.y is not None]
    if all(one.is_baseline for one in measured):
        return forest(points, width=width, baseline=baseline)
    lane = [one for one in points if one.y is None]
    lane_height = 20 + 24 * len(lane) if lane else 0
    frame = Box(52, 14, width - 16, height - 46 - lane_height)
    across = _axis([one.x for one in points], frame.left, frame.right, 6 if width > 500 else 4)
    up = _axis([one.y for one in measured if one.y], frame.bottom, frame.top, 5)
    parts = [_grid(frame, across, up, lane_height), _titles(frame, height)]
    taken = [mark_box(across.scale(one.x.value), up.scale(one.y.value)) for one in measured if one.y]
    lines = [line for one in measured if one.y for line in whisker_boxes(one.x, one.y, across.scale, up.scale)]
    for one in measured:
        assert one.y is not None  # noqa: S101 - said by `measured`
        parts.append(_whiskers(one, across.scale, up.scale))
    for one in measured:
        assert one.y is not None  # noqa: S101
        parts.append(
            _marked(one, across.scale(one.x.value), up.scale(one.y.value), frame=frame, taken=taken, lines=lines)
        )
    parts += _lane(lane, across.scale, frame)
    label = Markup("Embedding gain against change in general ability, both to {}").format(baseline)
    return _svg(parts, width, height, str(label))


def forest(points: Sequence[Point], *, width: int, baseline: str) -> Markup:
    """Return embedding differences alone, a line a model: for suites in which no other model has ability scores."""
    rows = [one for one in points if not one.is_baseline]
    is_narrow = width < 500
    step = 44 if is_narrow else 30
    names = 0.0 if is_narrow else max(len(one.label) for one in rows) * CHARACTER_WIDTH + 12
    frame = Box(16 + names, 10, width - 24, 10 + step * len(rows))
    height = round(frame.bottom) + 46
    across = _axis([one.x for one in rows], frame.left, frame.right, 4 if is_narrow else 6)
    parts = []
    for value in across.ticks:
        x = across.scale(value)
        parts.append(_line(x, frame.top, x, frame.bottom, "zero" if value == 0 else "grid"))
        parts.append(_text(x, frame.bottom + 18, _number(value), "tick", "middle"))
    parts.append(_text((frame.left + frame.right) / 2, height - 6, "embedding, points", "title", "middle"))
    for place, one in enumerate(rows):
        y = frame.top + step * place + (30 if is_narrow else step / 2)
        low, high = (across.scale(end) for end in one.x.ends)
        name = _text(frame.left, y - 12, one.label, "label", "start")
        if not is_narrow:
            name = _text(frame.left - 12, y + 4, one.label, "label", "end")
        parts.append(_named(one, [_line(low, y, high, y, "ci"), _marker(one, across.scale(one.x.value), y), name]))
    return _svg(parts, width, height, f"Embedding gain to {baseline}")


class _Axis(NamedTuple):
    ticks: list[float]
    scale: Scale


def _axis(whiskers: Sequence[Whisker], start: float, stop: float, wanted: int) -> _Axis:
    ends = [end for one in whiskers for end in one.ends] + [0.0]
    low, high = min(ends), max(ends)
    room = 0.06 * (high - low) or 1.0
    marks = ticks(low - room, high + room, wanted)
    return _Axis(marks, Scale(marks[0], marks[-1], start, stop))


def _grid(frame: Box, across: _Axis, up: _Axis, lane_height: float) -> Markup:
    lines = []
    bottom = frame.bottom + lane_height
    for value in across.ticks:
        x = across.scale(value)
        kind = "zero" if value == 0 else "grid"
        lines.append(_line(x, frame.top, x, bottom, kind))
        lines.append(_text(x, bottom + 18, _number(value), "tick", "middle"))
    for value in up.ticks:
        y = up.scale(value)
        lines.append(_line(frame.left, y, frame.right, y, "zero" if value == 0 else "grid"))
        lines.append(_text(frame.left - 8, y + 4, _number(value), "tick", "end"))
    return Markup("").join(lines)


def _titles(frame: Box, height: int) -> Markup:
    middle = (frame.top + frame.bottom) / 2
    sideways = Markup('<text class="title" text-anchor="middle" transform="translate(13 {:.1f}) rotate(-90)">{}</text>')
    return _text((frame.left + frame.right) / 2, height - 6, "embedding, points", "title", "middle") + sideways.format(
        middle, "ability, points"
    )


def _lane(lane: Sequence[Point], across: Scale, frame: Box) -> list[Markup]:
    if not lane:
        return []
    top = frame.bottom + 14
    parts = [_line(frame.left, frame.bottom + 6, frame.right, frame.bottom + 6, "lane")]
    for row, one in enumerate(lane):
        y = top + 14 + 24 * row
        low, high = one.x.ends
        parts.append(Markup('<g class="m{}">{}</g>').format(_colour(one), _line(across(low), y, across(high), y, "ci")))
        label = f"{one.label} (ability n/a)"
        room = len(label) * CHARACTER_WIDTH
        after = max(across(high), across(one.x.value) + 6) + 8
        fits = after + room <= frame.right + 12
        before = min(across(low), across(one.x.value) - 6) - 8
        text = _text(after if fits else before, y + 4, label, "label", "start" if fits else "end")
        parts.append(_named(one, [_marker(one, across(one.x.value), y), text]))
    return parts


def _whiskers(one: Point, across: Scale, up: Scale) -> Markup:
    assert one.y is not None  # noqa: S101 - the lane draws its own
    x, y = across(one.x.value), up(one.y.value)
    (left, right), (low, high) = one.x.ends, one.y.ends
    lines = _line(across(left), y, across(right), y, "ci") + _line(x, up(low), x, up(high), "ci")
    return Markup('<g class="m{}">{}</g>').format(_colour(one), lines)


def _marked(one: Point, x: float, y: float, *, frame: Box, taken: list[Box], lines: Sequence[Box]) -> Markup:
    """Return a marker with its label, which is added to what is `taken`."""
    label = one.label + (" (baseline)" if one.is_baseline else "")
    spot = label_spot(label, x, y, frame=frame, taken=taken, lines=lines)
    taken.append(spot.box)
    middle = (spot.box.top + spot.box.bottom) / 2
    parts = [_marker(one, x, y), _text(spot.x, spot.box.bottom - 4, label, "label", spot.anchor)]
    if abs(middle - y) > 1.5 * LABEL_HEIGHT:
        parts.insert(0, _line(x, y, spot.x, middle, "leader"))
    return _named(one, parts)


def _named(one: Point, parts: Sequence[Markup]) -> Markup:
    return Markup('<g class="m{}"><title>{}</title>{}</g>').format(_colour(one), _says(one), Markup("").join(parts))


def _says(one: Point) -> str:
    parts = [f"{one.label}: embedding {_said(one.x)}"]
    parts.append(f"ability {_said(one.y)}" if one.y else "no ability scores")
    return ", ".join(parts)


def _said(one: Whisker) -> str:
    interval = "" if one.low is None or one.high is None else f" [{one.low:.2f}, {one.high:.2f}]"
    return f"{one.value:+.2f}{interval}"


def _marker(one: Point, x: float, y: float) -> Markup:
    shape = "circle" if one.is_baseline else MARKERS[one.index % len(MARKERS)]
    if shape == "circle":
        return Markup('<circle class="mark" cx="{:.1f}" cy="{:.1f}" r="5.5"/>').format(x, y)
    offsets = {
        "square": ((-5, -5), (5, -5), (5, 5), (-5, 5)),
        "triangle": ((0, -6.5), (6, 4.5), (-6, 4.5)),
        "diamond": ((0, -7), (6.5, 0), (0, 7), (-6.5, 0)),
    }[shape]
    corners = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in offsets)
    return Markup('<polygon class="mark" points="{}"/>').format(corners)


def _colour(one: Point) -> str:
    return "base" if one.is_baseline else str(one.index % 8)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(kind, x1, y1, x2, y2)


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> Markup:
    form = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    return form.format(kind, x, y, anchor, text)


def _number(value: float) -> str:
    return f"{value:+g}" if value else "0"


def _svg(parts: Sequence[Markup], width: int, height: int, label: str) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">')
    return head.format(width, height, width, height, escape(label)) + Markup("").join(parts) + Markup("</svg>")
