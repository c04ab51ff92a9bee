"""Whole runs of the policy trainer: killed and resumed, in two processes, and the candidate that comes out."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grace_support import Quiet, chat_model, jsonl, plain_config, triplets
from safetensors.numpy import load_file

from grace.config.load import config_of, to_yaml
from grace.training.train import train
from harness.encoders.rationale.generate import Rollout

GRACE = {
    "rollouts": 3,
    "truncation": "off",
    "scale_rewards": "none",
    "loss_type": "dapo",
    "infonce_weight": 0.1,
    "num_iterations": 2,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chat model and triplets."""
    path = tmp_path_factory.mktemp("policy-runs")
    chat_model(path / "model")
    jsonl(path / "triplets.jsonl", triplets())
    return path


def configured(folder: Path, **changes: Any) -> dict[str, Any]:
    """Return the configuration of a short run."""
    base = {"objective": "grace", "max_new_tokens": 5, "batch_size": 4, "steps": 8, "checkpoint_every": 2}
    return plain_config(folder, **base | {"grace": GRACE} | changes)


def adapter(path: Path) -> dict[str, np.ndarray]:
    """Return the weights of a finished run."""
    return load_file(path / "adapter" / "adapter_model.safetensors")


def command(config: Path, out: Path, *options: str) -> list[str]:
    """Return the command line of a run."""
    return [sys.executable, "-m", "grace", "train", str(config), "--out", str(out), *options]


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> Path:
    """A run of 8 steps from beginning to end."""
    return train(configured(folder), folder / "undisturbed", progress=Quiet()).path


def test_killed_and_resumed_gives_the_weights_of_an_undisturbed_run(folder: Path, undisturbed: Path) -> None:
    """`kill -9` in mid-run, a torn checkpoint left behind, `--resume`: the same adapter and metrics."""
    config = folder / "config.yaml"
    config.write_text(to_yaml(config_of(configured(folder))))
    out = folder / "killed"
    running = subprocess.Popen(command(config, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (out / "checkpoints" / "checkpoint-4" / "clock.json").exists():
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (out / "candidate.yaml").exists()
    torn = out / "checkpoints" / "checkpoint-7"
    torn.mkdir(exist_ok=True)
    (torn / "adapter_model.safetensors").write_bytes(b"half a file")
    resumed = train(config, out, resume=True, progress=Quiet())
    assert resumed.finished.steps == 8
    expected, got = adapter(undisturbed), adapter(out)
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        assert np.abs(value - got[name]).max() < 1e-6, name
    lines = [_metrics(path) for path in (undisturbed, out)]
    assert [row["step"] for row in lines[1]] == list(range(1, 9))
    for expected_row, row in zip(*lines, strict=True):
        assert ("reward" in row) == (row["step"] % 2 == 1)  # two passes over each batch of rollouts
        for key in ("loss", "info_nce", "reward"):
            assert row.get(key, 0.0) == pytest.approx(expected_row.get(key, 0.0), abs=1e-4)


def checkpoints(out: Path) -> list[str]:
    """Return the names of a run's checkpoints."""
    return sorted(one.name for one in (out / "checkpoints").glob("checkpoint-*"))


def test_a_run_ends_with_a_checkpoint_in_the_midst_of_a_generation_too(folder: Path, undisturbed: Path) -> None:
    """Three steps of two passes each: resumed it is over; with more steps it goes on from the generation's end."""
    out = folder / "odd"
    train(configured(folder, steps=3), out, progress=Quiet())
    assert checkpoints(out) == ["checkpoint-2", "checkpoint-3"]
    before = adapter(out)
    (out / "candidate.yaml").unlink()  # killed while it was written
    again = train(configured(folder, steps=3), out, resume=True, progress=Quiet())
    assert again.finished.steps == 3
    assert [row["step"] for row in _metrics(out)] == [1, 2, 3]
    for name, value in adapter(out).items():
        assert np.array_equal(value, before[name]), name
    train(configured(folder, steps=8), out, resume=True, progress=Quiet())
    assert checkpoints(out) == ["checkpoint-8"]
    for name, value in adapter(undisturbed).items():
        assert np.abs(value - adapter(out)[name]).max() < 1e-6, name


def test_a_checkpoint_is_on_the_disk_before_it_is_vouched_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All its files, then `clock.json`, then its name; and the older one goes last."""
    done: list[tuple[str, Path]] = []
    fsync, rmtree = os.fsync, shutil.rmtree

    def synced(handle: int) -> None:
        done.append(("fsync", Path(os.readlink(f"/proc/self/fd/{handle}"))))
        fsync(handle)

    def removed(path: Any, *args: Any, **options: Any) -> None:
        done.append(("rmtree", Path(path)))
        rmtree(path, *args, **options)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(shutil, "rmtree", removed)
    train(configured(folder, steps=4), folder / "synced", progress=Quiet())
    second = [(what, path) for what, path in done if "checkpoint-4" in str(path) or path.name == "checkpoint-2"]
    vouched = next(place for place, (_, path) in enumerate(second) if "clock.json" in path.name)
    whole = {path.name for what, path in second[:vouched] if what == "fsync"}
    written = {one.name for one in (folder / "synced" / "checkpoints" / "checkpoint-4").iterdir()} - {"clock.json"}
    assert {"adapter_model.safetensors", "optimizer.pt"} <= written <= whole
    gone = next(place for place, one in enumerate(second) if one[0] == "rmtree" and one[1].name == "checkpoint-2")
    assert gone > vouched


def _metrics(path: Path) -> list[dict[str, Any]]:
    from grace.run.directory import RunDir

    return RunDir(path).metrics()


def test_two_processes_train_as_one(folder: Path, undisturbed: Path) -> None:
    """Two gloo processes on the same global batch: the same rewards, losses and weights, groups on one side each."""
    config = folder / "two.yaml"
    config.write_text(to_yaml(config_of(configured(folder, steps=2))))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    out = folder / "two"
    both = [
        subprocess.Popen(
            command(config, out),
            env=os.environ | world | {"RANK": str(rank), "LOCAL_RANK": str(rank), "ACCELERATE_USE_CPU": "true"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    for one in both:
        _, errors = one.communicate(timeout=180)
        assert one.returncode == 0, errors.decode()[-2000:]
    alone = _metrics(undisturbed)[:2]
    for row, expected in zip(_metrics(out), alone, strict=True):
        for key in ("reward", "info_nce", "loss", "grad_norm", "reward_terms/cross_group", "generated_tokens"):
            assert (key in row) == (key in expected), key
            assert row.get(key, 0.0) == pytest.approx(expected.get(key, 0.0), rel=1e-4, abs=1e-6), key
    assert "reward" in alone[0]
    total = sum(int(row.get("generated_tokens", 0)) for row in _metrics(undisturbed))
    assert total > 0
    assert f"generated_tokens: {total}" in (undisturbed / "candidate.yaml").read_text()


def test_the_embedding_in_training_is_that_of_the_candidate(folder: Path, undisturbed: Path) -> None:
    """The harness loads the directory, and its vectors and rationales are those the trainer would pool."""
    from grace_support import session_of

    import harness
    from grace.training.policy.build import _writer
    from grace.training.policy.rollouts import Draw

    texts = ["cat moon 1", "rain on the hill and the road", "lamp"]
    encoder = harness.load({"name": "x", "candidate": str(undisturbed)})
    vectors = encoder.encode(texts, role=None, prompt=None)
    session = session_of(folder, folder / "again", **{k: v for k, v in configured(folder).items() if k != "version"})
    weights = adapter(undisturbed)
    import torch

    with torch.no_grad():
        for name, one in session.trained.parameters().items():
            one.copy_(torch.from_numpy(weights[f"base_model.model.{name}".replace(".default", "")]))
    made = _writer(session).write(session.trained.model, [Draw(text, 0, 0.0) for text in texts], seed=0)
    for one, vector in zip(made, vectors, strict=True):
        assert isinstance(one, Rollout)
        assert np.abs(one.vector / np.linalg.norm(one.vector) - vector / np.linalg.norm(vector)).max() < 1e-5
