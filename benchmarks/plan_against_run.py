"""Is the plan's time right? `python benchmarks/plan_against_run.py [SUITE]` calibrates, plans, runs and compares."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time


def main() -> None:
    """Print planned and real seconds and their ratio; wheels are fetched before the clock starts."""
    suite = sys.argv[1] if len(sys.argv) > 1 else "regress"
    harness = [sys.executable, "-m", "harness.cli"]
    with tempfile.TemporaryDirectory() as folder:
        results = ["--results", f"{folder}/results"]
        subprocess.run([*harness, "plan", suite, *results, "--calibrate"], check=True, stdout=subprocess.DEVNULL)
        planned = subprocess.run(
            [*harness, "plan", suite, *results, "--json"], check=True, capture_output=True, text=True
        )
        seconds = json.loads(planned.stdout)["totals"]["seconds"]
        started = time.perf_counter()
        subprocess.run([*harness, "run", suite, *results, "--out", f"{folder}/out"], check=True)
        real = time.perf_counter() - started
    print(f"planned {seconds:.0f} s, took {real:.0f} s, ratio {real / seconds:.2f}")


if __name__ == "__main__":
    main()
