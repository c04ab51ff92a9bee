"""What models gained on the embedding axis against what they forgot: the picture, and in report.md all pictures."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from harness.report.pictures import files, svg
from harness.report.pictures.data import Point
from harness.report.sections.cards import cards, points_of
from harness.report.sections.section import Link, Report
from harness.summary.views import Summary

LINK = Link("trade-off", "Trade-off", is_always_there=False)
PICTURE_SIZES = {"wide": (1180, 440), "middle": (760, 420), "narrow": (340, 380)}
"""The picture is drawn for three widths (px) and the page shows one: scaled text would be unreadable."""


def markdown(report: Report) -> str:
    """Return the links to the pictures that were drawn."""
    return files.markdown_section(report.pictures, has_ability_change=_has_ability_change(points_in(report.summary)))


def page(report: Report) -> dict[str, Any]:
    """Return the picture for each width; none without a baseline and another model."""
    points = points_in(report.summary)
    return {
        "trade_off": _pictures(points, report.summary.baseline),
        "has_ability_change": _has_ability_change(points),
        "asks_ability": any(task.axis == "ability" for task in report.summary.tasks),
    }


def points_in(summary: Summary) -> list[Point]:
    """Return the models between the two axes."""
    return points_of(cards(summary, {}))


def _has_ability_change(points: list[Point]) -> bool:
    return any(one.y is not None and not one.is_baseline for one in points)


def _pictures(points: list[Point], baseline: str | None) -> dict[str, Markup]:
    others = [one for one in points if not one.is_baseline]
    if not others or baseline is None:
        return {}
    return {
        name: svg.trade_off(points, width=width, height=height, baseline=baseline)
        for name, (width, height) in PICTURE_SIZES.items()
    }
