"""What the tests of trainings that harness starts share: a stand-in for grace, as quick as a script."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from suites_support import write

STAND_IN = """
import json, os, pathlib, signal, sys, time

def needs():
    answers = []
    for asked in json.load(sys.stdin):
        told = dict(one.split("=", 1) for one in asked["overrides"])
        told = {key: json.loads(value) if value.startswith('"') else value for key, value in told.items()}
        if asked["config"] == "refused":
            answers.append({"config": "refused", "problems": ["refused:1:1: no texts"]})
            continue
        answers.append({
            "config": asked["config"], "objective": "infonce", "lacking": [],
            "base": {"model": told.get("model", "MODEL"), "revision": None, "sha256": None},
            "data": {"path": told.get("data.path"), "dataset": told.get("data.dataset"), "revision": None,
                     "config": None, "split": told.get("data.split")},
            "teacher": told.get("teacher"), "steps": 2, "budget_minutes": None, "budget_cpu_seconds": None})
    print(json.dumps(answers))

def train():
    config, out = sys.argv[2], pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
    out.mkdir(parents=True, exist_ok=True)
    with open("begun.txt", "a") as file:
        file.write(" ".join(sys.argv[2:]) + chr(10))
    (out / "started_by.txt").write_text(os.environ.get("GRACE_STARTED_BY", ""))
    print("step 1/2", flush=True)
    if config == "diverges":
        print("error: loss nan", file=sys.stderr)
        sys.exit(3)
    if config == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if config in ("whole", "leaving"):
        (out / "candidate.yaml").write_text("version: 1\\nkind: mean-pool\\nbase: {model: MODEL}\\n")
    if config == "whole":
        os.kill(os.getpid(), signal.SIGKILL)
    if config in ("starting", "leaving"):
        print("ready", flush=True)
        time.sleep(30)
    seen = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: seen.append(1))
    if config in ("importing", "finishing"):
        print("ready", flush=True)
        while not seen:
            time.sleep(0.02)
    if config == "importing":
        raise KeyboardInterrupt
    if config == "long":
        print("ready", flush=True)
        while not seen:
            time.sleep(0.02)
        time.sleep(0.5)
        (out / "interrupts.txt").write_text(str(len(seen)))
        sys.exit(130)
    if config != "silent":
        (out / "candidate.yaml").write_text("version: 1\\nkind: mean-pool\\nbase: {model: MODEL}\\n")

{"needs": needs, "train": train}[sys.argv[1]]()
"""
"""Configurations by what becomes of them: `diverges`, `dies`, `long`, `silent`, `refused`, by when an interrupt meets
them: `starting` and `leaving` (which it kills), `importing` (a traceback), `finishing` (trained all the same), and
`whole`, which is trained and killed; any other is trained."""


def stand_in(folder: Path, model: Path) -> tuple[str, ...]:
    """Write the script; returns the beginning of its command."""
    return sys.executable, str(write(folder / "stand_in.py", STAND_IN.replace("MODEL", str(model))))


def use_stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, model: Path) -> None:
    """Have harness start the stand-in in place of grace."""
    begin = stand_in(folder, model)
    for module in ("asked", "starting"):
        monkeypatch.setattr(f"harness.training.{module}.grace_command", lambda *arguments: [*begin, *arguments])
