"""The examples in docs/ run as they are written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from places import REPOSITORY

from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.results.records import Score
from harness.suite.load import load_suite
from harness.tasks.types import EMBEDDING_TYPES

PAGE = REPOSITORY / "docs" / "custom-tasks.md"
EXAMPLE = re.compile(r"<!-- example: (\w+) -->\n(.*?)(?=\n## |\Z)", re.DOTALL)
FILE = re.compile(r"`([\w.]+)`\n```\w+\n(.*?)```", re.DOTALL)


def _examples() -> dict[str, dict[str, str]]:
    text = PAGE.read_text(encoding="utf-8")
    return {kind: dict(FILE.findall(body)) for kind, body in EXAMPLE.findall(text)}


def test_page_has_an_example_for_every_type() -> None:
    """Each of the seven embedding types has an example with files."""
    examples = _examples()
    assert set(examples) == set(EMBEDDING_TYPES)
    assert all(files for files in examples.values())


@pytest.mark.parametrize("kind", EMBEDDING_TYPES)
def test_example_runs_as_written(kind: str, tmp_path: Path) -> None:
    """The files of an example, copied from the page, are scored through the real backend."""
    for name, content in _examples()[kind].items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        f"version: 1\nname: example\nmodels: [{{name: floor, encoder: tf-idf}}]\n"
        f"tasks: {{custom: [{{name: mine, type: {kind}, path: .}}]}}\n",
        encoding="utf-8",
    )
    (tmp_path / "data").mkdir()
    for name in _examples()[kind]:
        (tmp_path / name).rename(tmp_path / "data" / name)
    suite.write_text(suite.read_text(encoding="utf-8").replace("path: .", "path: data"), encoding="utf-8")
    outcome = run(load_suite(suite).suite, RunOptions(results=tmp_path / "results"))
    result = outcome.results["floor/mine"]
    assert isinstance(result, Score), result
    assert -100 <= result.score <= 100
    assert result.items is not None
    assert result.items.rows > 0
