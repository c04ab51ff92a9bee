"""Is the plan's time right? `python benchmarks/plan_against_run.py [SUITE [FLAGS]]` calibrates, plans, runs, compares.

Flags such as `--models a --tasks x,y` go to plan and run alike.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness.results.records import Result, Score
from harness.results.store import Store


def main() -> None:
    """Print planned and real seconds and their ratio; wheels are fetched before the clock starts."""
    suite = sys.argv[1] if len(sys.argv) > 1 else "regress"
    harness = [sys.executable, "-m", "harness.cli"]
    with tempfile.TemporaryDirectory() as folder:
        results = ["--results", f"{folder}/results", *sys.argv[2:]]
        subprocess.run([*harness, "plan", suite, *results, "--calibrate"], check=True, stdout=subprocess.DEVNULL)
        planned = subprocess.run(
            [*harness, "plan", suite, *results, "--json"], check=True, capture_output=True, text=True
        )
        plan = json.loads(planned.stdout)
        started, cpu = time.perf_counter(), _children_cpu()
        subprocess.run([*harness, "run", suite, *results, "--out", f"{folder}/out"], check=True)
        real, busy = time.perf_counter() - started, _children_cpu() - cpu
        print(f"{'cell':44} {'planned':>8} {'took':>8} {'ratio':>6}   tokens in: planned, computed; generated: same")
        for cell in plan["cells"]:
            if cell["key"] is not None:
                _print_cell(cell, Store(Path(folder) / "results").get(cell["task"], cell["key"]))
    seconds = plan["totals"]["seconds"]
    share = busy / real
    print(f"planned {seconds:.0f} s, took {real:.0f} s, ratio {real / seconds:.2f}; {share:.0%} of one CPU core")


def _print_cell(cell: dict[str, Any], result: Result | None) -> None:
    """Print one cell's planned and real seconds, and where the backend counted them its tokens."""
    assert isinstance(result, Score), (cell, result)
    took, planned = result.provenance["seconds"]["evaluate"], cell["seconds"]
    told = result.provenance.get("ability") or {}
    tokens = ""
    if "computed_tokens" in told:
        made = told["generated_tokens"]
        read = told["computed_tokens"] - made
        tokens = f"{cell['tokens_in']}, {read}; {cell['tokens_to_generate']}, {made}"
    print(f"{cell['model'] + '/' + cell['task']:44} {planned:8.1f} {took:8.1f} {took / planned:6.2f}   {tokens}")


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
