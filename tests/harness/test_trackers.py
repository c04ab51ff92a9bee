"""Trackers: what each package is told, and that none of them can hold a run up or end it."""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from suites_support import Command
from tracked import stand_in

import harness.trackers as trackers
from harness.errors import EnvironmentGapError, InputError
from harness.evaluation.events import RunBegins, RunEnds
from harness.trackers import Tracking, check_tracker

CONFIG = {"suite": "mine", "limit": None}


def run(name: str | None, rows: list[dict[str, Any]]) -> list[str]:
    """Track rows as steps from 1 and return what was said."""
    said: list[str] = []
    tracking = Tracking(name, said.append)
    tracking.begin("project", "mine", CONFIG)
    for step, row in enumerate(rows, 1):
        tracking.log(row, step)
    tracking.end()
    return said


@pytest.mark.parametrize("name", ["trackio", "wandb"])
def test_two_packages_are_told_alike(monkeypatch, name: str) -> None:
    """init, log by step, finish; None is left out."""
    kept = stand_in(monkeypatch, name)
    assert run(name, [{"loss": 2.0, "kl": None}, {"loss": 1.5}]) == []
    assert kept.calls == [
        ("init", ({"project": "project", "name": "mine", "config": CONFIG},)),
        ("log", ({"loss": 2.0}, {"step": 1})),
        ("log", ({"loss": 1.5}, {"step": 2})),
        ("finish", ()),
    ]


def test_mlflow_is_told_numbers_and_words_apart(monkeypatch) -> None:
    """Its metrics are numbers, and its names have few characters."""
    kept = stand_in(monkeypatch, "mlflow")
    assert run("mlflow", [{"a+b/STS17[en]/score": 71.5, "a+b/STS17[en]/key": "0123"}]) == []
    assert kept.calls == [
        ("set_experiment", ("project",)),
        ("start_run", ({"run_name": "mine"},)),
        ("log_dict", (CONFIG, "config.json")),
        ("log_metrics", ({"a_b/STS17_en_/score": 71.5}, {"step": 1})),
        ("set_tags", ({"a_b/STS17_en_/key": "0123"},)),
        ("end_run", ()),
    ]


@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed (`pip install mlflow-skinny`)")
def test_the_real_mlflow_keeps_it_in_a_folder(tmp_path: Path, monkeypatch) -> None:
    """What its own client reads back from the store that MLFLOW_TRACKING_URI names."""
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path}/store")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    assert run("mlflow", [{"m/STS12/score": 71.5, "m/STS12/key": "0123"}, {"m/STS12/score": math.nan}]) == []
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("project")
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status) == ("mine", "FINISHED")
    history = client.get_metric_history(found.info.run_id, "m/STS12/score")
    assert (history[0].step, history[0].value) == (1, 71.5)
    assert found.data.tags["m/STS12/key"] == "0123"
    assert json.loads(mlflow.artifacts.load_text(f"{found.info.artifact_uri}/config.json")) == CONFIG


@pytest.mark.parametrize("call", ["init", "log", "finish"])
def test_a_tracker_that_fails_is_mentioned_once(monkeypatch, call: str) -> None:
    """Whichever call it fails at, and however often."""
    stand_in(monkeypatch, "wandb", fails_at=call)
    said = run("wandb", [{"loss": float(step)} for step in range(20)])
    assert len(said) == 1
    assert "--track wandb: ConnectionError: no route to host; the run goes on" in said[0]


def test_one_failed_call_does_not_end_the_tracking(monkeypatch) -> None:
    """A server that was away for a moment gets what comes after."""
    kept = stand_in(monkeypatch, "trackio")
    whole = kept.log

    def log(row: dict[str, float], step: int) -> None:
        if step == 1:
            raise ConnectionError("away")
        whole(row, step=step)

    kept.log = log
    assert len(run("trackio", [{"loss": 2.0}, {"loss": 1.0}])) == 1
    assert [given for call, given in kept.calls if call == "log"] == [({"loss": 1.0}, {"step": 2})]


def test_a_tracker_that_hangs_holds_nobody_up(monkeypatch) -> None:
    """Calls return at once, what does not fit is left out, and the end waits no longer than it says."""
    kept = stand_in(monkeypatch, "wandb")
    release = threading.Event()
    kept.init = lambda **_: release.wait(30)
    monkeypatch.setattr(trackers, "LAST_SECONDS", 0.2)
    began = time.monotonic()
    said = run("wandb", [{"loss": 1.0}] * (trackers.MOST_WAITING + 10))
    assert time.monotonic() - began < 10
    release.set()
    assert len(said) == 1
    assert "too slow" in said[0]


def test_nothing_is_imported_or_sent_unless_asked_for(monkeypatch) -> None:
    """Neither thread nor package."""
    monkeypatch.setattr(trackers, "import_module", lambda name: pytest.fail(f"{name} was imported"))
    before = threading.active_count()
    assert run(None, [{"loss": 1.0}]) == []
    assert threading.active_count() == before
    check_tracker(None)


def test_a_tracker_that_is_not_there_is_named(monkeypatch) -> None:
    """With the line that installs it (exit code 4), or with the names there are (2)."""
    monkeypatch.setattr(trackers, "is_installed", lambda name: False)
    with pytest.raises(EnvironmentGapError, match="pip install wandb"):
        check_tracker("wandb")
    with pytest.raises(InputError, match=r"expected trackio, wandb, mlflow; did you mean 'wandb'\?"):
        check_tracker("wandbb")


def test_a_folder_of_a_trackers_name_is_no_package(monkeypatch, tmp_path: Path) -> None:
    """W&B leaves `wandb/` where it ran, and `python -m` looks for packages there."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    (tmp_path / "wandb" / "offline-run").mkdir(parents=True)
    with pytest.raises(EnvironmentGapError, match="pip install wandb"):
        check_tracker("wandb")


@pytest.mark.parametrize(
    ("name", "code", "says"), [("wandb", 4, "pip install wandb"), ("tensorboard", 2, "expected trackio, wandb, mlflow")]
)
def test_a_run_refuses_a_tracker_before_anything_else(monkeypatch, capsys, tmp_path, name, code, says) -> None:
    """Even before it reads the suite."""
    monkeypatch.setattr(trackers, "is_installed", lambda name: False)
    done = Command(monkeypatch, capsys)("run", "nowhere", "--track", name, cwd=tmp_path)
    assert done.returncode == code
    assert says in done.stderr


def test_a_run_tracks_under_the_suites_name(monkeypatch, capsys, tmp_path) -> None:
    """What the command tells the tracker: names and versions, no folder and no host."""
    kept = stand_in(monkeypatch, "trackio")
    whole = kept.init
    kept.init = lambda **told: sys.stdout.write("* View dashboard by running in your terminal\n") and whole(**told)

    def run_suite(suite: Any, options: Any, reporter: Any) -> None:
        reporter.report(RunBegins(cells=(), done=0))
        reporter.report(RunEnds())
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.cli.run.run_suite", run_suite)
    done = Command(monkeypatch, capsys)("run", "demo-plain", "--track", "trackio", "--limit", "7", cwd=tmp_path)
    assert done.returncode == 130, done.stderr
    assert (done.stdout, "View dashboard" in done.stderr) == ("", True)  # which is the report's alone
    (call, (begun,)), end = kept.calls
    assert (call, end) == ("init", ("finish", ()))
    assert (begun["project"], begun["name"], begun["config"]["limit"]) == ("harness", "demo-plain", 7)
    assert begun["config"].keys() == {"suite", "limit", "versions"}
