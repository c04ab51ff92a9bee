"""How messages name things."""

from __future__ import annotations

import pytest

from harness.wording import duration, first_few, first_lines


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (3.44, "3.4 s"),
        (59.4, "59.4 s"),
        (59.96, "1 min 00 s"),
        (200, "3 min 20 s"),
        (725, "12 min 05 s"),
        (7380, "2 h 03 min"),
        (3600 * 47 + 60, "47 h 01 min"),
        (86400 * 3, "3.0 days"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """In the two largest units, the same on terminals and pages."""
    assert duration(seconds) == text


def test_long_lists_are_cut_and_counted() -> None:
    """One name too many is counted, and a list that fits says nothing of a rest."""
    assert first_few(iter("abcd"), most=3) == "a, b, c and 1 more"
    assert first_few("abc", most=3) == "a, b, c"
    assert first_lines(["x", "y", "z"], most=2) == ["x", "y", "... and 1 more"]
    assert first_lines(["x", "y"], most=2) == ["x", "y"]
