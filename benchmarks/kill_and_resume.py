"""`kill -9` at random moments, then to the end: `python benchmarks/kill_and_resume.py [--suite SUITE] [--kills 5]`.

Passes when no finished cell was run again and scores.csv equals an undisturbed run's, byte for byte.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> int:
    """Return 0 when resuming lost and repeated nothing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", default="regress")
    parser.add_argument("--models", default="minilm,tf-idf", help="models of the suite; two fast ones by default")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.perf_counter()
        subprocess.run(_command(arguments, folder / "whole"), check=True, stderr=subprocess.DEVNULL)
        whole_seconds = time.perf_counter() - started
        seen: dict[str, int] = {}
        for number in range(arguments.kills):
            process = subprocess.Popen(_command(arguments, folder / "killed"), stderr=subprocess.DEVNULL)
            time.sleep(generator.uniform(0.38, 0.58) * whole_seconds)
            process.send_signal(signal.SIGKILL)
            process.wait()
            finished = _finished(folder / "killed")
            for cell, when in seen.items():
                assert finished.get(cell) == when, f"{cell} was run again"
            seen = finished
            print(f"kill {number + 1}: {len(finished)} cell(s) finished so far", flush=True)
        subprocess.run(_command(arguments, folder / "killed"), check=True, stderr=subprocess.DEVNULL)
        for cell, when in seen.items():
            assert _finished(folder / "killed")[cell] == when, f"{cell} was run again"
        left_over = [path.name for path in (folder / "killed").rglob("*.tmp")]
        whole, killed = ((folder / run / "out" / "scores.csv").read_bytes() for run in ("whole", "killed"))
    print(f"{len(seen)} finished cell(s) were kept, none was run again; temporary files left: {len(left_over)}")
    print(f"scores.csv equal to the undisturbed run's: {whole == killed}")
    return 0 if whole == killed else 1


def _command(arguments: argparse.Namespace, folder: Path) -> list[str]:
    places = ["--results", str(folder / "results"), "--out", str(folder / "out")]
    return [sys.executable, "-m", "harness.cli", "run", arguments.suite, "--models", arguments.models, *places]


def _finished(folder: Path) -> dict[str, int]:
    """Return cell -> modification time of its record, which a second run of the cell would change."""
    cells = folder / "results" / "cells"
    return {str(path.relative_to(cells)): path.stat().st_mtime_ns for path in cells.glob("*/*[0-9a-f].json")}


if __name__ == "__main__":
    sys.exit(main())
