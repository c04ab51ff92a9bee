"""Which way imports point: in fresh interpreters, and as ruff sees the source."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import REPOSITORY
from suites_support import ENGINES, python

HEAVY = (*ENGINES, "peft", "trl", "pandas", "sklearn", "ray", "vllm")
LIGHT_MODULES = (
    "harness.cli",
    "harness.plan",
    "harness.evaluation.preflight",
    "harness.suite.load",
    "harness.candidates",
    "harness.sources.locate",
    "harness.results.store",
    "harness.statistics.resampling",
    "harness.results",
    *(f"harness.report.{path.stem}" for path in sorted((REPOSITORY / "harness" / "report").glob("[!_]*.py"))),
)
LEAVES = ("harness.errors", "harness.results")


def imported_by(module: str) -> set[str]:
    """Return the modules that are loaded once `module` was imported in a fresh interpreter."""
    done = python(f"import sys; before = set(sys.modules); import {module}; print(*(set(sys.modules) - before))")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_planning_and_reporting_import_no_engine(module):
    """Importing these costs no torch, no engine, no pandas, and never the trainer."""
    roots = {name.split(".")[0] for name in imported_by(module)}
    assert "harness" in roots
    assert roots.isdisjoint({*HEAVY, "grace"})


@pytest.mark.parametrize("module", LEAVES)
def test_errors_and_results_import_nothing_of_the_harness(module):
    """They stand at the bottom, and grace imports them too."""
    of_harness = {name for name in imported_by(module) if name.split(".")[0] == "harness"}
    assert of_harness == {"harness", module}


def ruff(snippet: str, path: str) -> str:
    """Return what ruff says of a snippet as if it stood at `path`; a test without ruff is skipped, but not in CI."""
    command = shutil.which("ruff", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if command is None:
        if os.environ.get("CI") == "true":
            pytest.fail("ruff is not installed, and with CI=true nothing is skipped")
        pytest.skip("ruff is not installed (`pip install ruff`)")
    options = ["--config", "pyproject.toml", "--no-cache", "--output-format", "concise", "--stdin-filename", path, "-"]
    done = subprocess.run(
        [command, "check", *options], cwd=REPOSITORY, input=snippet, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("snippet", "path", "rule"),
    [
        ("import trl\n", "harness/x.py", "TID251"),
        ("from trl import GRPOTrainer\n", "harness/encoders/x.py", "TID251"),
        ("def f():\n    import trl\n\n    return trl\n", "harness/x.py", "TID251"),
        ("import grace\n", "harness/x.py", "TID251"),
        ("from grace.objectives.rewards import consistency\n", "harness/x.py", "TID251"),
        ("def f():\n    from grace import losses\n\n    return losses\n", "harness/report/x.py", "TID251"),
        *((f"import {name}\n", "harness/x.py", "TID253") for name in (*ENGINES, "peft", "ray", "vllm")),
        ("from torch import nn\n", "harness/encoders/x.py", "TID253"),
    ],
)
def test_ruff_catches_an_import_that_points_the_wrong_way(snippet, path, rule):
    """harness never imports grace or trl, and an engine only inside a function."""
    assert f" {rule} " in ruff(snippet, path)


@pytest.mark.parametrize("name", [*ENGINES, "peft"])
def test_ruff_allows_engines_inside_functions(name):
    """That is where the harness imports them; the rule above is no blanket ban."""
    assert "TID" not in ruff(f"def f():\n    import {name}\n\n    return {name}\n", "harness/x.py")


def test_the_source_obeys_its_import_rules():
    """No file of harness imports grace or trl, at any depth, whatever a comment exempts."""
    for path in sorted((REPOSITORY / "harness").rglob("*.py")):
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            assert words[:1] not in (["from"], ["import"]) or words[1].split(".")[0] not in ("grace", "trl"), path
