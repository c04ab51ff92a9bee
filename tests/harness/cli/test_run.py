"""`harness run`: what its flags refuse."""

from __future__ import annotations

from pathlib import Path

from suites_support import harness, suite_file


def test_an_unknown_executor_is_refused_with_those_there_are(tmp_path: Path) -> None:
    """A wrong flag: exit 2, no traceback, nothing run."""
    suite_file(tmp_path, "models: [{name: floor, encoder: tf-idf}]\ntasks: {embedding: {names: [STS12]}}\n")
    done = harness("run", "mine.yaml", "--offline", "--executor", "ray", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "--executor 'ray': no such executor; there are: local\n")
    assert not (tmp_path / "results" / "cells").exists()
