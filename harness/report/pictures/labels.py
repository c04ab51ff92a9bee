"""Where the labels of a picture stand: off their markers, off each other, inside the frame. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from harness.report.pictures.data import Whisker

CHARACTER_WIDTH = 7.4
"""Of a bold label at 12 px, in px, on the wide side."""
LABEL_HEIGHT = 15.0
GAP = 9.0
"""Between a marker's middle and its label."""


class Box(NamedTuple):
    """A rectangle in px; down is positive."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Area shared with another box."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)


class Scale(NamedTuple):
    """From a figure to px."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)


class Spot(NamedTuple):
    """Where a label may stand: its anchor keeps it off its marker, however wide the reader's font is."""

    anchor: str
    x: float
    box: Box


def label_spot(label: str, x: float, y: float, *, frame: Box, taken: Sequence[Box], lines: Sequence[Box]) -> Spot:
    """Return where the label covers least of what is there and stays inside the frame; nearer spots come first.

    Args:
        label: the text.
        x, y: its marker's middle.
        frame: it should not leave this.
        taken: markers and labels that are there; to cover them costs four times what a line does.
        lines: whiskers.
    """
    width = len(label) * CHARACTER_WIDTH
    spots = []
    for rows in (0, 1, 2, 3, 4):
        for down in (-rows, rows) if rows else (0,):
            top = y + (down - 0.5) * LABEL_HEIGHT
            bottom = top + LABEL_HEIGHT
            spots.append(Spot("start", x + GAP, Box(x + GAP, top, x + GAP + width, bottom)))
            spots.append(Spot("end", x - GAP, Box(x - GAP - width, top, x - GAP, bottom)))
            if rows:
                spots.append(Spot("middle", x, Box(x - width / 2, top, x + width / 2, bottom)))

    def cost(place: int) -> float:
        box = spots[place].box
        outside = width * LABEL_HEIGHT - box.overlap(frame)
        covered = sum(box.overlap(other) for other in taken)
        return 4 * (outside + covered) + sum(box.overlap(line) for line in lines) + 3 * place

    return spots[min(range(len(spots)), key=cost)]


def whisker_boxes(across: Whisker, up: Whisker, x: Scale, y: Scale) -> list[Box]:
    """Return what the whiskers of a point cover.

    Args:
        across, up: its two figures.
        x, y: from a figure to px.
    """
    (left, right), (low, high) = across.ends, up.ends
    middle, level = x(across.value), y(up.value)
    return [Box(x(left), level - 2, x(right), level + 2), Box(middle - 2, y(high), middle + 2, y(low))]


def mark_box(x: float, y: float) -> Box:
    """Return what a marker covers."""
    return Box(x - 7, y - 7, x + 7, y + 7)
