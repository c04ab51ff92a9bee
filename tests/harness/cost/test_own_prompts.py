"""Prompt facts of own files: which rows a file has."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cost.own_prompts import UnknownError, json_lines


def test_a_line_separator_inside_a_text_is_part_of_it(tmp_path: Path) -> None:
    """U+2028 and U+0085 end no line."""
    file = tmp_path / "rows.jsonl"
    file.write_text('{"q": "one\u2028two"}\n{"q": "three\u0085four"}\n', encoding="utf-8")
    assert [row["q"] for row in json_lines(file)] == ["one\u2028two", "three\u0085four"]


def test_what_cannot_be_read_is_unknown_and_says_where(tmp_path: Path) -> None:
    """With the line of the first problem."""
    file = tmp_path / "rows.jsonl"
    file.write_text('{"q": 1}\n{oops\n', encoding="utf-8")
    with pytest.raises(UnknownError, match=r"rows\.jsonl:2:2: not JSON"):
        json_lines(file)
