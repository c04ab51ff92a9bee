"""A run with nothing left to do over 100 stored cells, and `--help`: `python benchmarks/nothing_to_do.py`."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CELLS = 100
ROUNDS = 5


def main() -> None:
    """Store 100 real cells of a fast encoder, then time the commands; aims: 2 s and 0.5 s."""
    harness = [sys.executable, "-m", "harness.cli"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        suite = _suite(folder)
        run = [*harness, "run", str(suite), "--results", str(folder / "results"), "--out", str(folder / "out")]
        subprocess.run(run, check=True, capture_output=True)
        _time("run with nothing to do", run)
    _time("harness --help", [*harness, "--help"])
    _time("harness plan full", [*harness, "plan", "full"])


def _suite(folder: Path) -> Path:
    """Write a suite of 10 TF-IDF models x 10 small tasks of ten pairs each."""
    tasks = []
    for number in range(10):
        rows = [
            {"sentence1": f"word{i} and word{number}", "sentence2": f"word{i % 3} or word{number}", "score": i % 5}
            for i in range(10)
        ]
        path = folder / f"task{number}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        tasks.append({"name": f"task{number}", "type": "STS", "path": str(path)})
    models = [{"name": f"m{number}", "encoder": "tf-idf", "dimension": 256 + number} for number in range(10)]
    suite = folder / "suite.yaml"
    document = {"version": 1, "name": "hundred", "models": models, "tasks": {"custom": tasks}}
    suite.write_text(json.dumps(document), encoding="utf-8")
    return suite


def _time(what: str, command: list[str]) -> None:
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    print(f"{what:24} median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s of {ROUNDS}")


if __name__ == "__main__":
    main()
