"""What the tests of suites, plans, data sources and the command line share; imports no engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.app import app
from harness.cli.shell import run_app
from harness.plan.cells import Plan
from harness.plan.planner import make_plan
from harness.sources.places import Sources
from harness.suite.load import LoadedSuite, load_suite

ENGINES = ("mteb", "lm_eval", "torch", "transformers", "datasets", "sentence_transformers")
"""Packages that cost seconds to import, and that no planning may import."""


def isolate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Point every cache at `tmp_path` and forget the user's own hub, so that a test sees only what it wrote."""
    for name, value in _environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    for name in ("HARNESS_HUB", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)


def _environment(tmp_path: Path) -> dict[str, str]:
    return {"HARNESS_CACHE": str(tmp_path / "cache"), "HF_HUB_CACHE": str(tmp_path / "hf-cache")}


def harness(*arguments: object, cwd: Path, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the real command in `cwd`, caches inside it, and return what it said and how it ended."""
    kept = {name: value for name, value in os.environ.items() if name not in ("HARNESS_HUB", "HF_HOME")}
    environment = kept | _environment(cwd) | {"COLUMNS": "120", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *python, "-m", "harness.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


class Command:
    """The command in this process: as `main` runs it, but for the fifth of a second that each new process costs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """Keep what the command may change, so that it is put back."""
        self._monkeypatch, self._capsys = monkeypatch, capsys
        monkeypatch.setenv("COLUMNS", "120")
        for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
            monkeypatch.setenv(name, "1")

    def __call__(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run the command in `cwd`, caches inside it, and return what it said and how it ended."""
        isolate(self._monkeypatch, cwd)
        self._monkeypatch.chdir(cwd)
        self._monkeypatch.setattr(sys, "argv", ["harness", *arguments])
        code = run_app(app)
        said = self._capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)


def python(code: str, *, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)


def write(path: Path, text: str) -> Path:
    """Write `text` to `path`, folders made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def suite_file(folder: Path, body: str, name: str = "mine") -> Path:
    """Write a suite with `body` after its version and name."""
    return write(folder / f"{name}.yaml", f"version: 1\nname: {name}\n{body}")


def loaded(folder: Path, body: str, name: str = "mine", *, overrides: tuple[str, ...] = ()) -> LoadedSuite:
    """Write a suite and load it."""
    return load_suite(suite_file(folder, body, name), overrides)


def weights(folder: Path, content: str = "weights") -> Path:
    """Make a folder that stands for a model: planning hashes its files and loads nothing."""
    write(folder / "config.json", "{}")
    write(folder / "model.safetensors", content)
    return folder


def biosses(hub: Path, content: str = "two texts and a score") -> Path:
    """Make a local hub that holds the dataset of BIOSSES and nothing else."""
    folder = hub / "datasets" / "mteb" / "biosses-sts"
    write(folder / "README.md", dataset_head({"default": {"test": "test.jsonl"}}))
    write(folder / "test.jsonl", content)
    return folder


def dataset_head(configs: dict[str, dict[str, str]]) -> str:
    """Return a dataset's README whose head declares config -> split -> file."""
    lines = ["---", "configs:"]
    for config, splits in configs.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        lines += [line for split, file in splits.items() for line in (f"  - split: {split}", f"    path: {file}")]
    return "\n".join([*lines, "---", "# A dataset", ""])


def planned(folder: Path, body: str, *, hub: Path | None = None, offline: bool = True) -> Plan:
    """Write a suite and plan it."""
    return make_plan(loaded(folder, body).suite, Sources(hub=hub, offline=offline))
