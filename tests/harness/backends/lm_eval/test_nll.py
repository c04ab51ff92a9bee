"""`lm_nll` over a file of one's own: which texts are scored."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.backends.lm_eval.nll import read_texts
from harness.errors import InputError
from harness.suite.task_entries import NllRef


def job_over(path: Path) -> Any:
    """Return as much of a job as the reader of texts asks for."""
    task = SimpleNamespace(
        info=SimpleNamespace(name="lm_nll"),
        ability=NllRef(name="lm_nll", file=str(path), column="text"),
        limit=None,
    )
    return SimpleNamespace(cell=SimpleNamespace(task=task), data={"lm_nll": None})


def test_a_line_separator_inside_a_text_is_part_of_it(tmp_path: Path) -> None:
    """U+2028 and U+0085 end no line."""
    file = tmp_path / "texts.jsonl"
    file.write_text('{"text": "one\u2028two"}\n{"text": "three\u0085four"}\n', encoding="utf-8")
    assert read_texts(job_over(file), "text") == ["one\u2028two", "three\u0085four"]


def test_every_row_without_the_text_is_named(tmp_path: Path) -> None:
    """With its line, what it has instead, and what was meant."""
    file = tmp_path / "texts.jsonl"
    file.write_text('{"txet": "a"}\n{oops\n{"text": 3}\n', encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_texts(job_over(file), "text")
    first, second, third = caught.value.problems
    assert first.endswith("texts.jsonl:1: no text in 'text'; it has: txet; did you mean 'txet'?")
    assert "texts.jsonl:2:2: not JSON" in second
    assert "texts.jsonl:3: no text in 'text'" in third
