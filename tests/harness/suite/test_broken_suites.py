"""Ten broken suites, the real command, and every word it says: `UPDATE_GOLDEN=1` writes the goldens anew."""

from __future__ import annotations

import os

import pytest
from places import TESTS
from suites_support import ENGINES, harness

FOLDER = TESTS / "golden" / "broken"
BROKEN = (
    "cycle",
    "duplicate-model",
    "empty",
    "missing-file",
    "not-yaml",
    "unknown-key",
    "unknown-task",
    "wrong-split",
    "wrong-type",
    "wrong-version",
)
WITHOUT_FILE = "missing-file"
LINKED = "cycle-link.yaml"


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_suite_is_explained(name, tmp_path, monkeypatch):
    """Exit code 2, the golden text on standard error, no traceback, and no engine imported on the way."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    done = harness("validate", f"{name}.yaml", cwd=FOLDER, python=("-X", "importtime"))
    times = [line for line in done.stderr.splitlines(keepends=True) if line.startswith("import time:")]
    said = "".join(line for line in done.stderr.splitlines(keepends=True) if not line.startswith("import time:"))
    golden = FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        golden.write_text(said, encoding="utf-8")
    assert said == golden.read_text(encoding="utf-8")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in said
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in times}
    assert "pydantic" in imported
    assert imported.isdisjoint({*ENGINES, "pandas", "pyarrow", "scipy", "grace"})


def test_every_broken_suite_is_read():
    """A golden or a broken suite that no test reads is a mistake; only the missing file is missing."""
    wanted = {f"{name}.txt" for name in BROKEN} | {f"{name}.yaml" for name in BROKEN if name != WITHOUT_FILE}
    assert {path.name for path in FOLDER.iterdir()} == wanted | {LINKED}


@pytest.mark.parametrize("name", [name for name in BROKEN if name != WITHOUT_FILE])
def test_every_line_of_a_golden_points_into_a_file_that_is_there(name):
    """Each problem begins with file:line:column, and the file has that line and that column."""
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    assert lines
    for line in lines:
        file, row, column, message = line.split(":", 3)
        text = (FOLDER / file).read_text(encoding="utf-8").split("\n")
        assert message.startswith(" ")
        assert 1 <= int(column) <= len(text[int(row) - 1]) + 1


def test_several_broken_suites_are_explained_together():
    """The problems of every file that was named come in one go, in the order of the files."""
    done = harness("validate", "wrong-version.yaml", "empty.yaml", "mteb-eng-v1", "cycle.yaml", cwd=FOLDER)
    goldens = [(FOLDER / f"{name}.txt").read_text(encoding="utf-8") for name in ("wrong-version", "empty", "cycle")]
    assert done.stderr == "".join(goldens)
    assert done.stdout == "mteb-eng-v1: ok, 0 model(s) x 56 task(s)\n"
    assert done.returncode == 2
