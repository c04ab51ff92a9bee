"""Trainings one after the other: what fails is said and kept, the others go on, and an interrupt is handed on once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from suites_support import loaded
from training_support import use_stand_in

from harness.candidates.untrained import failure_in
from harness.errors import ExitCode
from harness.sources.places import Sources
from harness.training.order import to_train
from harness.training.starting import train_all

TASKS = "tasks: {embedding: {names: [BIOSSES]}}\n"


def trainings(*configs: str):
    """Return a training for each configuration, into a directory of its name."""
    entries = ", ".join(f"{{name: {one}, candidate: runs/{one}, config: {one}}}" for one in configs)
    return to_train(loaded(Path.cwd(), f"models: [{entries}]\n{TASKS}").suite)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    use_stand_in(monkeypatch, tmp_path, tmp_path / "model")


def test_a_failure_has_its_reason_and_the_others_go_on(tmp_path):
    """By exit code, by a signal, by no candidate at the end; the reason stays for whoever plans, until it is made."""
    said: list[str] = []
    failed = train_all(
        trainings("diverges", "fine", "dies", "silent"), Sources(hub=tmp_path, offline=True), said.append
    )
    assert {name: one.exit_code for name, one in failed.items()} == {
        "runs/diverges": ExitCode.CELLS_FAILED,
        "runs/dies": ExitCode.CELLS_FAILED,
        "runs/silent": ExitCode.CELLS_FAILED,
    }
    assert failed["runs/diverges"].reason == "exit code 3, it came to nothing: error: loss nan"
    assert failed["runs/dies"].reason.startswith("SIGKILL ended it")
    assert failure_in(Path("runs/diverges")) == failed["runs/diverges"].reason
    assert failure_in(Path("runs/fine")) is None
    assert "training 2 of 4: runs/fine (infonce, 2 steps)" in said
    assert "step 1/2" in said
    begun = Path("begun.txt").read_text().splitlines()
    assert Path("runs/fine/started_by.txt").read_text() == str(os.getpid())
    assert begun[1] == f"fine --out runs/fine --resume --unless-trained --with-parent --hub {tmp_path} --offline"


def test_a_reason_that_cannot_be_kept_stops_no_other():
    """Where a folder would have to be made in a file: as much is true of a full disk."""
    Path("runs").write_text("no folder")
    entries = "{name: bad, candidate: runs/bad, config: diverges}, {name: fine, candidate: fine, config: fine}"
    failed = train_all(to_train(loaded(Path.cwd(), f"models: [{entries}]\n{TASKS}").suite), Sources(), lambda _: None)
    assert failed.keys() == {"runs/bad"}
    assert Path("fine/candidate.yaml").is_file()


def test_a_student_of_a_teacher_that_failed_is_not_begun():
    """And the reason names the teacher."""
    body = (
        "models: [{name: t, candidate: runs/t, config: diverges}, "
        "{name: s, candidate: runs/s, config: fine, train: {teacher: runs/t}}]\n"
    )
    failed = train_all(to_train(loaded(Path.cwd(), body + TASKS).suite), Sources(), lambda _: None)
    assert failed["runs/s"].reason == "its teacher runs/t was not trained"
    assert len(Path("begun.txt").read_text().splitlines()) == 1


def test_a_student_of_a_teacher_whose_writer_failed_is_not_begun():
    """And the reason names the writer."""
    body = (
        "models: [{name: w, candidate: runs/w, config: diverges, kind: rationale}, "
        "{name: t, candidate: runs/t, config: fine, kind: rationale, writer: w}, "
        "{name: s, candidate: runs/s, config: fine, train: {teacher: 'mine.yaml:t'}}]\n"
    )
    failed = train_all(to_train(loaded(Path.cwd(), body + TASKS).suite), Sources(), lambda _: None)
    assert failed.keys() == {"runs/w", "runs/s"}
    assert failed["runs/s"].reason == "its teacher's writer runs/w was not trained"


def test_a_candidate_that_is_whole_is_no_failure():
    """Whatever ended its process after that, say a kill while it left."""
    assert train_all(trainings("whole", "fine"), Sources(), lambda _: None) == {}
    assert failure_in(Path("runs/whole")) is None
    assert Path("runs/fine/candidate.yaml").is_file()


def driver(folder: Path, *configs: str, ignores: bool = False) -> subprocess.Popen[str]:
    """Return a process that trains these one after the other, where the first has said that it is ready.

    Args:
        folder: of the stand-in.
        configs: as of `trainings`.
        ignores: SIGINT is ignored, as shells have it for what a script starts in the background.
    """
    code = (
        "import signal, sys\nfrom pathlib import Path\nimport harness.training.starting as starting\n"
        "from harness.sources.places import Sources\nfrom harness.training.asked import Training\n"
        f"starting.grace_command = lambda *told: [sys.executable, {str(folder / 'stand_in.py')!r}, *told]\n"
        f"signal.signal(signal.SIGINT, signal.{'SIG_IGN' if ignores else 'default_int_handler'})\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        "many = [Training(directory=f'runs/{n}', config=n, overrides=(), models=(n,), shown=(), gaps=())"
        f" for n in {configs!r}]\n"
        "try:\n    starting.train_all(many, Sources(), lambda line: print(line, flush=True))\n"
        "except KeyboardInterrupt:\n    sys.exit(130)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    while "ready" not in process.stdout.readline():
        pass
    return process


def test_an_interrupt_is_handed_on_once_and_nothing_more_is_begun(tmp_path):
    """Ctrl-C of a terminal goes to all processes there: the training must not see it twice."""
    process = driver(tmp_path, "long", "fine")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert time.monotonic() - began < 10
    assert Path("runs/long/interrupts.txt").read_text() == "1"
    assert not Path("runs/fine").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("met", ["starting", "importing", "finishing", "leaving"])
def test_an_interrupt_ends_all_whenever_it_meets_a_training(tmp_path, met, number):
    """The child's exit code says nothing then: killed, a traceback, trained; and nothing false is noted."""
    process = driver(tmp_path, met, "fine")
    began = time.monotonic()
    process.send_signal(number)
    assert process.wait(timeout=20) == 130
    assert time.monotonic() - began < 10
    assert not Path("runs/fine").exists()
    assert not Path(f"runs/.{met}.training.json").exists()


def test_a_training_is_ended_where_ctrl_c_is_ignored(tmp_path):
    """A script's background job ignores it, and so do its children until they say otherwise."""
    process = driver(tmp_path, "starting", "fine", ignores=True)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 130
    assert time.monotonic() - began < 10
