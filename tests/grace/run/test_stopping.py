"""Runs that are killed, interrupted, out of disk, or spread over processes end where an undisturbed one would."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from candidates_support import GraceCommand
from grace_support import Quiet, chat_model, jsonl, plain_config, triplets
from places import REPOSITORY
from safetensors.torch import load_file
from suites_support import write
from typer.testing import CliRunner

from grace.cli.app import app
from grace.config.load import config_of, to_yaml
from grace.config.schema import Optimiser
from grace.run.stopping import learning_rate
from grace.run.world import World, all_there, join
from grace.training import train as training
from harness.errors import EnvironmentGapError, InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model and triplets."""
    root = tmp_path_factory.mktemp("training")
    chat_model(root / "model")
    jsonl(root / "triplets.jsonl", triplets(20))
    return root


def config_file(folder: Path, path: Path, **changes: object) -> Path:
    """Write a configuration."""
    return write(path, to_yaml(config_of(plain_config(folder, **changes))))


def adapter(out: Path) -> dict[str, torch.Tensor]:
    """Return the trained tensors of a candidate."""
    return load_file(out / "adapter" / "adapter_model.safetensors")


def assert_same(one: Path, other: Path, **tolerance: float) -> None:
    """Two candidates have the same weights."""
    ours, theirs = adapter(one), adapter(other)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], **tolerance)


def environment() -> dict[str, str]:
    """Return an environment in which subprocesses find this source."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}


def test_a_killed_run_resumes_to_the_weights_of_an_undisturbed_one(folder, tmp_path):
    """SIGKILL between checkpoints of a real process; what came after the last checkpoint is done again."""
    changes = {"steps": 400, "checkpoint_every": 7, "retain_weight": 0.1}
    file = config_file(folder, tmp_path / "c.yaml", **changes)
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "grace", "train", str(file), "--out", str(out)]
    with subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL) as process:
        metrics, deadline = out / "metrics.jsonl", time.monotonic() + 120
        while not metrics.exists() or metrics.read_text().count("\n") < 17:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
    done = metrics.read_text().count("\n")
    assert process.returncode == -signal.SIGKILL
    assert not (out / "candidate.yaml").exists()
    steps = done + 5
    training.train(plain_config(folder, **changes | {"steps": steps}), out, resume=True, progress=Quiet())
    whole = training.train(plain_config(folder, **changes | {"steps": steps}), tmp_path / "whole", progress=Quiet())
    assert_same(out, whole.path, atol=1e-6, rtol=1e-5)
    losses = [[json.loads(line)["loss"] for line in (one / "metrics.jsonl").open()] for one in (out, whole.path)]
    assert len(losses[0]) == steps
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


class PressesControlC(Quiet):
    """A user who has seen enough after the third step."""

    def row(self, row: dict, **_: object) -> None:
        """Send the signal that Ctrl-C sends."""
        if row["step"] == 3:
            os.kill(os.getpid(), signal.SIGINT)


def test_control_c_leaves_a_checkpoint_and_exits_130(folder, tmp_path, monkeypatch):
    """Through the command; the step is finished, and --resume ends as an undisturbed run."""
    file = config_file(folder, tmp_path / "c.yaml", steps=5)
    out = tmp_path / "out"
    monkeypatch.setattr(training, "Progress", PressesControlC)
    done = CliRunner().invoke(app, ["train", str(file), "--out", str(out)])
    assert done.exit_code == 130, done.output
    assert [one.name for one in (out / "checkpoints").iterdir()] == ["step-00000003"]
    assert not (out / "candidate.yaml").exists()
    monkeypatch.setattr(training, "Progress", Quiet)
    done = CliRunner().invoke(app, ["train", str(file), "--out", str(out), "--resume"])
    assert done.exit_code == 0, done.output
    whole = training.train(plain_config(folder, steps=5), tmp_path / "whole", progress=Quiet())
    assert_same(out, whole.path, atol=1e-6, rtol=1e-5)


def test_control_c_before_the_first_step_promises_no_checkpoint(folder, tmp_path, monkeypatch, capsys):
    """While the model is being loaded; the same command with --resume begins the run."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    command = GraceCommand(monkeypatch, capsys)
    arguments = ("train", config_file(folder, tmp_path / "c.yaml", steps=1), "--out", tmp_path / "out", "--resume")
    with monkeypatch.context() as patched:
        patched.setattr(training, "load_trainable", interrupted)
        done = command(*arguments)
    said = (
        f"interrupted: there is no checkpoint in {tmp_path / 'out'} yet; the same command with --resume begins again\n"
    )
    assert (done.code, done.err) == (130, said)
    assert command(*arguments).code == 0


class FillsTheDisk(Quiet):
    """After the third step no file can grow beyond 4 KiB."""

    def row(self, row: dict, **_: object) -> None:
        """Set the limit: writes fail as on a full disk."""
        if row["step"] == 3:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))


def test_a_full_disk_keeps_the_last_checkpoint(folder, tmp_path):
    """The checkpoint of step 4 fails half-way; that of step 2 stands, and the run goes on from it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    config = plain_config(folder, steps=6, checkpoint_every=2)
    try:
        with pytest.raises(EnvironmentGapError, match=r"(?s)disk is full.*go on with --resume"):
            training.train(config, tmp_path / "out", progress=FillsTheDisk())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [one.name for one in (tmp_path / "out" / "checkpoints").iterdir()] == ["step-00000002"]
    training.train(config, tmp_path / "out", resume=True, progress=Quiet())
    whole = training.train(config, tmp_path / "whole", progress=Quiet())
    assert_same(tmp_path / "out", whole.path, atol=1e-6, rtol=1e-5)


def test_two_processes_have_the_loss_of_one(folder, tmp_path):
    """The same global batch, negatives gathered: each step's loss and the final weights agree.

    accelerate starts several processes for --multi_gpu only; what they train on is the configuration's device, cpu.
    """
    rows = triplets(20)
    rows = [row | {"negative": [row["negative"]] * (1 + n % 2)} for n, row in enumerate(rows)]  # ragged on purpose
    jsonl(folder / "ragged.jsonl", rows)
    changes = {"data": {"path": str(folder / "ragged.jsonl")}, "steps": 3, "retain_weight": 0.1}
    file = config_file(folder, tmp_path / "c.yaml", **changes)
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu"]
    command += [
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
        "--main_process_port",
        "0",
    ]
    command += ["-m", "grace", "train", str(file), "--out", str(tmp_path / "two")]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    one = training.train(plain_config(folder, **changes), tmp_path / "one", progress=Quiet())
    two = [json.loads(line) for line in (tmp_path / "two" / "metrics.jsonl").open()]
    for ours, theirs in zip([json.loads(line) for line in (one.path / "metrics.jsonl").open()], two, strict=True):
        for name in ("loss", "info_nce", "kl", "accuracy", "grad_norm"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-3, abs=1e-5), name
    assert_same(one.path, tmp_path / "two", atol=2e-4, rtol=1e-2)
    assert "processes: 2" in (tmp_path / "two" / "candidate.yaml").read_text()


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_of_several_is_said_and_costs_nothing_saved(folder, tmp_path, killed):
    """The one that is left ends with 4 and a sentence; --resume, here with one process, ends as an undisturbed run."""
    changes = {"steps": 400, "checkpoint_every": 2}
    file, out = config_file(folder, tmp_path / "c.yaml", **changes), tmp_path / "out"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    command = [sys.executable, "-m", "grace", "train", str(file), "--out", str(out)]
    both = [
        subprocess.Popen(
            command, env=environment() | world | {"RANK": rank, "LOCAL_RANK": rank}, stderr=subprocess.PIPE, text=True
        )
        for rank in ("0", "1")
    ]
    metrics, deadline = out / "metrics.jsonl", time.monotonic() + 120
    while not metrics.exists() or metrics.read_text().count("\n") < 3:
        assert [one.poll() for one in both] == [None, None], "they ended before one could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    both[killed].kill()
    errors = [one.communicate(timeout=60)[1] for one in both]
    left = 1 - killed
    assert both[left].returncode == 4, errors[left]
    assert f"error: process {left} of 2: another process of this run has ended" in errors[left]
    assert "start all processes again with --resume" in errors[left]
    assert "Traceback" not in errors[left]
    changes["steps"] = metrics.read_text().count("\n") + 1
    training.train(plain_config(folder, **changes), out, resume=True, progress=Quiet())
    whole = training.train(plain_config(folder, **changes), tmp_path / "whole", progress=Quiet())
    assert_same(out, whole.path, atol=2e-4, rtol=1e-2)


def test_processes_that_cannot_be_joined_are_said(monkeypatch):
    """WORLD_SIZE alone, as a batch system may leave it in the environment."""
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(EnvironmentGapError, match=r"WORLD_SIZE is 2, .*RANK.*; start it with torchrun"):
        join("cpu")


def test_errors_that_are_not_of_the_connection_are_left_as_they_are(tmp_path):
    """A bug keeps its traceback, in one process and in several."""
    for size in (1, 2):
        with pytest.raises(RuntimeError, match="of another kind"), all_there(World(size=size), tmp_path):
            raise RuntimeError("of another kind")


def test_an_out_that_cannot_be_written_is_refused_before_anything_is_loaded(folder, tmp_path):
    """Before data and base are even looked for, which are not there."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    file = config_file(folder, tmp_path / "c.yaml")
    for place in ("file", "file/below"):
        nothing = ("-o", "data.path=none.jsonl", "-o", "model=none/none")
        done = CliRunner().invoke(app, ["train", str(file), "--out", str(tmp_path / place), *nothing])
        assert isinstance(done.exception, InputError)
        assert str(done.exception) == f"--out {tmp_path / place}: cannot be written (not a folder); give another"


def test_mistakes_end_with_their_exit_code_and_no_traceback(folder, tmp_path):
    """Through the command: an unknown key, a full directory, missing data."""
    runner = CliRunner()
    cases = [("-o", "optimiser.lrr=1", "did you mean 'lr'"), ("-o", "data.path=no.jsonl", "no such file")]
    file = config_file(folder, tmp_path / "c.yaml")
    for flag, value, message in cases:
        done = runner.invoke(app, ["train", str(file), "--out", str(tmp_path / "out"), flag, value])
        assert isinstance(done.exception, InputError)
        assert message in str(done.exception)
        assert not (tmp_path / "out").exists()


def test_learning_rates_by_hand():
    """Warm-up over two steps, then constant, linear and cosine, at half and at the end."""
    rates = {
        schedule: [
            learning_rate(Optimiser(lr=2.0, schedule=schedule, warmup_steps=2), step, share)
            for step, share in ((0, 0.0), (1, 0.0), (5, 0.5), (9, 1.0))
        ]
        for schedule in ("constant", "linear", "cosine")
    }
    assert rates["constant"] == [1.0, 2.0, 2.0, 2.0]
    assert rates["linear"] == [1.0, 2.0, 1.0, 0.0]
    assert rates["cosine"] == pytest.approx([1.0, 2.0, 1 + math.cos(math.pi / 2), 0.0])
