"""Which way imports point: in fresh interpreters, and as ruff sees the source."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from arrows import arrows, circles, imported, modules, room_of
from places import REPOSITORY
from suites_support import ENGINES, python

HEAVY = (*ENGINES, "peft", "trl", "pandas", "sklearn", "matplotlib", "ray", "vllm")
SLOW = {
    "harness.backends.lm_eval.generation",
    "harness.backends.lm_eval.model",
    "harness.backends.lm_eval.past",
    "harness.backends.lm_eval.probe",
    "harness.backends.lm_eval.sampling",
    "harness.backends.lm_eval.scoring",
    "harness.backends.mteb.search",
    "harness.encoders.st_module",
    "grace.serve.app",
    "grace.serve.metrics",
    "grace.serve.admission",
    "grace.serve.server",
    "grace.training.policy.build",
    "grace.training.policy.callbacks",
    "grace.training.policy.loop",
    "grace.training.policy.payment",
    "grace.training.policy.rows",
    "grace.training.policy.task",
    "grace.training.policy.trainer",
}
"""Classes of an engine's or an optional package's make, and what stands on them: imported inside functions alone."""
FLOORS = {
    "harness": (
        (
            "errors",
            "wording",
            "digests",
            "environment",
            "yaml_scalars",
            "yaml_source",
            "row_files",
            "writing",
            "trackers",
        ),
        ("statistics", "shards", "search"),
        ("tasks", "sources", "sandbox"),
        ("suite",),
        ("candidates",),
        ("plan", "encoders", "training"),
        ("results", "provision"),
        ("backends", "comparison", "published"),
        ("evaluation", "cost", "summary", "contamination"),
        ("gates", "reproduction", "export"),
        ("report",),
        ("cli",),
        ("",),
    ),
    "grace": (
        ("errors",),
        ("config",),
        ("data", "objectives"),
        ("run",),
        ("training", "explain", "encode", "export", "serve"),
        ("cli",),
        ("", "__main__"),
    ),
}
"""The rooms from the ground up (docs/layout.md): a room imports rooms of lower floors alone."""
GRACE_SEES = {*FLOORS["harness"][0], "sources", "suite", "candidates", "encoders", "training", "cli"}
"""Rooms and files of harness that grace may import."""
GRAPH = arrows(REPOSITORY)


def points_up(module: str, other: str) -> bool:
    """Whether an import of `other` in `module` goes to a higher floor, or to another room of the same one."""
    package, target = module.split(".")[0], other.split(".")[0]
    if package != target:
        return package == "harness" or room_of(other) not in GRACE_SEES
    if room_of(module) == room_of(other):
        return False
    floors = FLOORS[package]
    floor, below = (next(n for n, rooms in enumerate(floors) if room_of(one) in rooms) for one in (module, other))
    return below >= floor and not floor == below == 0


def test_no_import_points_up():
    """Not even one inside a function, or for a type alone."""
    assert [f"{name} -> {other}" for name in GRAPH for other in sorted(GRAPH[name]) if points_up(name, other)] == []


def test_no_files_import_each_other_in_a_circle():
    """Whatever else an import is hidden in."""
    assert circles(GRAPH) == []


def test_the_table_of_floors_names_every_room_once():
    """And a new room gets a floor before anything imports it."""
    for package, floors in FLOORS.items():
        named = [room for rooms in floors for room in rooms]
        assert sorted(named) == sorted({room_of(name) for name in GRAPH if name.split(".")[0] == package})


@pytest.mark.parametrize(
    ("snippet", "found"),
    [
        ("from harness.report.write import write_report\n", ["harness.plan.x -> harness.report.write"]),
        ("def f():\n    from harness.cli import app\n\n    return app\n", ["harness.plan.x -> harness.cli.app"]),
        (
            "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import grace.errors\n",
            ["harness.plan.x -> grace.errors"],
        ),
        ("from harness.encoders.base import Encoder\n", ["harness.plan.x -> harness.encoders.base"]),
        ("from harness.plan.cells import Cell\nfrom harness.suite.schema import Suite\n", []),
    ],
)
def test_an_import_that_points_up_is_seen_wherever_it_is_hidden(tmp_path, snippet, found):
    """At the top, inside a function, for a type: the room `plan` with one file more."""
    (tmp_path / "x.py").write_text(snippet, encoding="utf-8")
    name = "harness.plan.x"
    others = imported(name, tmp_path / "x.py", modules(REPOSITORY))
    assert [f"{name} -> {other}" for other in others if points_up(name, other)] == found


def test_a_circle_is_seen_wherever_it_is_hidden(tmp_path):
    """Two files, one import inside a function and one for a type; a third that only looks on."""
    folder = tmp_path / "harness" / "room"
    folder.mkdir(parents=True)
    (tmp_path / "grace").mkdir()
    (folder / "one.py").write_text("def f():\n    from harness.room import two\n", encoding="utf-8")
    (folder / "two.py").write_text("if TYPE_CHECKING:\n    from harness.room.one import f\n", encoding="utf-8")
    (folder / "three.py").write_text("from harness.room.one import f\n", encoding="utf-8")
    assert circles(arrows(tmp_path)) == [("harness.room.one", "harness.room.two")]


def imported_by(*names: str) -> set[str]:
    """Return the modules that are loaded once `names` were imported in a fresh interpreter."""
    statements = "; ".join(f"import {name}" for name in names)
    done = python(f"import sys; before = set(sys.modules); {statements}; print(*(set(sys.modules) - before))")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("room", sorted({".".join(name.split(".")[:2]) for name in GRAPH if name.count(".") >= 1}))
def test_a_room_imports_no_engine(room):
    """Importing all its files costs no torch, no engine, no pandas; only classes of an engine's own make do."""
    names = [name for name in GRAPH if (name == room or name.startswith(f"{room}.")) and name not in SLOW]
    names = [name for name in names if not name.endswith("__main__")]
    roots = {name.split(".")[0] for name in imported_by(*names or ("harness.errors",))}
    assert roots.isdisjoint({*HEAVY, *(("grace",) if room.startswith("harness") else ())})


@pytest.mark.parametrize("module", ["harness.errors", "harness.results.records"])
def test_errors_and_records_import_nothing_of_the_harness(module):
    """They are what others may import, grace and users of stored cells among them."""
    of_harness = {name for name in imported_by(module) if name.split(".")[0] == "harness"}
    assert of_harness == {"harness", *(".".join(module.split(".")[:place]) for place in (2, 3)), module}


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
