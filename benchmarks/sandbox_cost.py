"""What a program costs in the sandbox: `python benchmarks/sandbox_cost.py`; aim: under 0.1 s amortised on 2 cores."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

from harness.sandbox.pool import Limits
from harness.sandbox.programs import available, run_program, run_programs

PROGRAMS = 100
CODE = "def solve(n):\n    return n * n\n\n\nassert solve(2) == 4\n"


def main() -> None:
    """Run the same small program with and without a sandbox, one by one and two at a time."""
    if missing := available():
        sys.exit(missing)
    plain = [sys.executable, "-c", CODE]
    bare = [sys.executable, "-I", "-S", "-E", "-c", CODE]
    _time("python", lambda: [subprocess.run(plain, check=True) for _ in range(PROGRAMS)])
    _time("python -I -S -E", lambda: [subprocess.run(bare, check=True) for _ in range(PROGRAMS)])
    _time("run_program", lambda: [_passed(run_program(CODE, timeout_seconds=60).passed) for _ in range(PROGRAMS)])
    for workers in (1, 2, 4):
        _time(f"run_programs, {workers} workers", lambda workers=workers: _run_all(workers))


def _run_all(workers: int) -> None:
    outcomes = run_programs([CODE] * PROGRAMS, Limits(timeout_seconds=60), workers=workers)
    _passed(all(outcome.passed for outcome in outcomes))


def _passed(passed: bool) -> None:
    if not passed:
        sys.exit("a good program did not pass")


def _time(name: str, work: Callable[[], object]) -> None:
    began = time.perf_counter()
    work()
    print(f"{name:26} {(time.perf_counter() - began) / PROGRAMS * 1000:7.1f} ms a program")


if __name__ == "__main__":
    main()
