"""Pictures as files: the same bytes for the same summary, readable formats, shown by report.md."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from report_support import invented

from harness.report.pictures import files as pictures
from harness.report.sections import cards
from harness.report.sections.types import panels
from harness.summary.views import Summary


def drawn(summary: Summary) -> dict[str, bytes]:
    """Return the pictures of a summary."""
    points = cards.points_of(cards.cards(summary, {}))
    return pictures.draw(points, panels(summary), summary.baseline)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The pictures of three models and twelve tasks."""
    return drawn(invented(3, 12))


def test_the_same_report_gives_the_same_bytes(files: dict[str, bytes]) -> None:
    """No date, no random ids."""
    assert drawn(invented(3, 12)) == files
    assert set(files) == {"trade-off.svg", "trade-off.png", "types.svg", "types.png"}


def test_files_are_what_their_names_say(files: dict[str, bytes]) -> None:
    """SVG parses and asks for nothing; PNG has its signature and no clock in it."""
    for name, content in files.items():
        if name.endswith("png"):
            assert content.startswith(b"\x89PNG")
            assert b"tEXt" not in content
        else:
            root = ElementTree.fromstring(content)  # noqa: S314 - written by the test itself
            assert root.tag.endswith("svg")
            assert b"<script" not in content
            assert b"<dc:date" not in content
        assert 1_000 < len(content) < 400_000


def test_numbers_move_the_picture(files: dict[str, bytes]) -> None:
    """Another report is another picture."""
    assert drawn(invented(3, 13))["types.svg"] != files["types.svg"]


def test_nothing_to_draw_gives_no_file() -> None:
    """No empty frames: a suite without results has no picture and no link to one."""
    assert pictures.draw([], [], None) == {}
    assert pictures.markdown_section([], has_ability_change=True) == ""
    assert pictures.markdown_section(["types.png", "types.svg"], has_ability_change=False) == (
        "## Pictures\n\n![Mean by type, 95% intervals](pictures/types.png)"
    )


def test_one_model_alone_has_no_trade_off() -> None:
    """There is nothing to compare a baseline with."""
    assert set(drawn(invented(1, 8))) == {"types.svg", "types.png"}
