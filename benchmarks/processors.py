"""How far a processor moves a score: the regress suite under other instruction sets and thread counts of one machine.

    python benchmarks/processors.py [--work DIR] [--suite regress] [--settings as-is,avx2]

Each setting runs the whole suite in a process of its own, in a results folder of its own below --work (kept, so that an
interrupted run goes on). Printed, as Markdown: for each cell the score under the first setting and how far each other
one moves it: points, and how many of the decisions behind the score (labels, clusters, options, answers) differ.
The bounds in suites/regress.yaml are taken from this table.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.results.records import Score
from harness.results.store import Store
from harness.results.stored_items import decisions_behind
from harness.statistics.decisions import flips

VECTORS = ("DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE")
"""oneDNN, torch's own kernels, MKL, OpenBLAS (numpy, scipy, scikit-learn)."""


def _vectors(*levels: str, threads: int) -> dict[str, str]:
    """Return the environment that holds each library to a level, in the order of `VECTORS`."""
    return dict(zip(VECTORS, levels, strict=True)) | {"OMP_NUM_THREADS": str(threads)}


SETTINGS: dict[str, dict[str, str]] = {
    "as-is": {"OMP_NUM_THREADS": "1"},
    "2-threads": {"OMP_NUM_THREADS": "2"},
    "avx512": _vectors("AVX512_CORE", "avx512", "AVX512", "SKYLAKEX", threads=1),
    "avx2": _vectors("AVX2", "avx2", "AVX2", "HASWELL", threads=1),
    "avx2-2-threads": _vectors("AVX2", "avx2", "AVX2", "ZEN", threads=2),
    "sse": _vectors("SSE41", "default", "SSE4_2", "NEHALEM", threads=1),
}


def main() -> None:
    """Run what is asked for, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="where results are kept; default: a folder that is removed")
    parser.add_argument("--suite", default="regress")
    parser.add_argument("--settings", default=",".join(SETTINGS), help="comma-separated; the first is compared with")
    asked = parser.parse_args()
    names = asked.settings.split(",")
    unknown = [name for name in names if name not in SETTINGS]
    if unknown:
        parser.error(f"--settings {','.join(unknown)}: no such setting; there are: {', '.join(SETTINGS)}")
    with tempfile.TemporaryDirectory() as folder:
        work = asked.work or Path(folder)
        stores = {name: Store(_run(asked.suite, name, work)) for name in names}
        _print(stores)


def _run(suite: str, name: str, work: Path) -> Path:
    """Run the suite under a setting, and return its results folder."""
    environment = {key: value for key, value in os.environ.items() if key not in VECTORS} | SETTINGS[name]
    results = work / name
    where = ["--results", str(results), "--out", str(work / f"{name}-out")]
    command = [sys.executable, "-m", "harness.cli", "run", suite, *where]
    started = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    print(f"{name}: {time.perf_counter() - started:.0f} s, {SETTINGS[name]}", file=sys.stderr, flush=True)
    return results


def _print(stores: dict[str, Store]) -> None:
    first, *others = stores
    cells = {name: _scores(store) for name, store in stores.items()}
    print(f"| cell | {first} | decisions | {' | '.join(others)} |")
    print("| --- | --- | --- |" + " --- |" * len(others))
    for cell, score in sorted(cells[first].items()):
        made = decisions_behind(stores[first], score)
        row = [cell, f"{score.score:.4f}", str(made.n) if made else ""]
        for name in others:
            other = cells[name][cell]
            theirs = decisions_behind(stores[name], other)
            flipped = f", {flips(made, theirs)} flipped" if made and theirs else ""
            row.append(f"{other.score - score.score:+.4f}{flipped}")
        print(f"| {' | '.join(row)} |")


def _scores(store: Store) -> dict[str, Score]:
    return {f"{one.model}/{one.task}": one for one in store.all_results() if isinstance(one, Score)}


if __name__ == "__main__":
    main()
