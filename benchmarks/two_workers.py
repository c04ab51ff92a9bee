"""Two workers against one: `python benchmarks/two_workers.py --executor local|ray|shard [--documents 400]`.

SmolLM2-135M on a retrieval task over invented documents and on the demo's multiple choice, both cut into shards; each
worker has one thread. `shard` is two runs side by side on one results folder, --shard 1/2 and --shard 2/2, against one
with --shard 1/1. Two durations of each: of the shards, from the first that is made to the last, without the start of
processes and the loading of models; and of the whole command, cells scored and report written. Passes when two workers
make the shards at least 1.8 times as fast, and the scores are equal.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
GOAL = 1.8
WORDS = ["wave", "boat", "sail", "tide", "tree", "leaf", "moss", "trail", "tram", "soup", "cloud", "star"]
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def main() -> int:
    """Return 0 when two workers are fast enough and change no score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executor", choices=("local", "ray", "shard"), default="local")
    parser.add_argument("--documents", type=int, default=400)
    parser.add_argument("--questions", type=int, default=80)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        suite = _write_suite(folder, documents=arguments.documents, questions=arguments.questions)
        seconds = {count: _timed(suite, folder / str(count), arguments.executor, count) for count in (1, 2)}
        one, two = ((folder / str(count) / "out" / "scores.csv").read_bytes() for count in (1, 2))
    for count, (shards, whole) in seconds.items():
        print(f"{arguments.executor}, {count} worker(s): shards {shards:.1f} s, whole command {whole:.1f} s")
    ratio, of_whole = (seconds[1][kind] / seconds[2][kind] for kind in (0, 1))
    print(f"two workers: {ratio:.2f} times as fast at the shards (goal {GOAL}), {of_whole:.2f} times as a whole")
    print(f"scores.csv equal: {one == two}")
    return 0 if ratio >= GOAL and one == two else 1


def _write_suite(folder: Path, *, documents: int, questions: int) -> Path:
    """Write a suite of two cells and its data."""
    rng = random.Random(0)
    corpus = [{"_id": f"d{n}", "text": " ".join(rng.choices(WORDS, k=rng.randint(30, 50)))} for n in range(documents)]
    queries = [{"_id": f"q{n}", "text": " ".join(rng.choices(WORDS, k=6))} for n in range(10)]
    qrels = [{"query-id": f"q{n}", "corpus-id": f"d{rng.randrange(documents)}", "score": 1} for n in range(10)]
    data = folder / "data"
    data.mkdir()
    for stem, rows in {"corpus": corpus, "queries": queries, "qrels": qrels}.items():
        (data / f"{stem}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    demo = yaml.safe_load((ROOT / "suites" / "demo-plain.yaml").read_text(encoding="utf-8"))
    (choices,) = [one for one in demo["tasks"]["ability"] if one["name"] == "demo_choices"]
    suite = {
        "version": 1,
        "name": "two-workers",
        "shards": {"max_texts": max(2, documents // 24), "max_questions": max(2, questions // 10)},
        "models": [one for one in demo["models"] if one["name"] == "smollm2-from-q4_1"],
        "tasks": {
            "custom": [{"name": "documents", "type": "Retrieval", "path": str(data)}],
            "ability": [choices | {"file": str(ROOT / "suites" / choices["file"]), "limit": questions}],
        },
    }
    path = folder / "two-workers.yaml"
    path.write_text(yaml.safe_dump(suite), encoding="utf-8")
    return path


def _timed(suite: Path, folder: Path, executor: str, workers: int) -> tuple[float, float]:
    """Run the suite with so many workers; return seconds at the shards and of all that was typed."""
    started = time.perf_counter()
    if executor == "shard":
        parts = [_start(suite, folder, ["--shard", f"{n + 1}/{workers}"]) for n in range(workers)]
        for part in parts:
            assert part.wait() == 0
        last = _start(suite, folder, [])  # scores what waited for the shards of both
        assert last.wait() == 0
    else:
        assert _start(suite, folder, ["--executor", executor, "--workers", str(workers)]).wait() == 0
    whole = time.perf_counter() - started
    made = sorted(path.stat().st_mtime for path in (folder / "results" / "shards").glob("*/*.json"))
    records = [json.loads(path.read_text("utf-8")) for path in (folder / "results" / "cells").glob("*/*[0-9a-f].json")]
    threads = {record["provenance"]["hardware"]["threads"] for record in records}
    print(f"{executor}, {workers} worker(s): {len(made)} shards, threads of each: {threads}", flush=True)
    assert threads == {1}, "one thread a worker is compared: on more cores than two, use --executor ray or shard"
    return made[-1] - made[0], whole


def _start(suite: Path, folder: Path, extra: list[str]) -> subprocess.Popen[bytes]:
    places = ["--results", str(folder / "results"), "--out", str(folder / "out"), "--no-cache"]
    command = [sys.executable, "-m", "harness.cli", "run", str(suite), *places, *extra]
    return subprocess.Popen(command, env=os.environ | THREADS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
