"""`harness run` on a hub that refuses, fails, is slow or stops in mid-file: cells fail in words, others are scored."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from fetch_support import card, environment, harness, parquet, pinned, write_suite
from hub_server import HubServer, Repo, hub_server

SUITE = """
version: 1
name: fetched
models: [{name: words, encoder: tf-idf}]
tasks: {embedding: {names: [STS12, STS13, STS14, STS15, STS16]}}
"""
ABSENT, BROKEN, CUT, SLOW, WELL = "STS12", "STS13", "STS14", "STS15", "STS16"
WORDS = ("kettle", "tram", "lamp", "owl", "bell", "road", "hill", "moon")


def repo(task: str) -> Repo:
    """Return the repository of a task: eight pairs of which the second keeps as many words as its score."""
    left = [" ".join([*(WORDS[(n + step) % 8] for step in range(3)), task]) for n in range(8)]
    right = [" ".join([*one.split()[: n % 4], *("rain", "soup", "moss")[n % 4 :]]) for n, one in enumerate(left)]
    rows = {"sentence1": left, "sentence2": right, "score": [float(n % 4) for n in range(8)]}
    files = {file_of(task): parquet(rows), "README.md": card({"default": {"test": file_of(task)}})}
    return Repo("datasets", f"mteb/{task.lower()}-sts", pinned(task), files)


def file_of(task: str) -> str:
    """Return the name of its file, by which faults are set."""
    return f"{task.lower()}.parquet"


def ran(server: HubServer, folder: Path) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
    """Run the suite; returns how it ended, and task -> status."""
    suite = write_suite(folder, SUITE)
    env = environment(server.endpoint, folder) | {"OMP_NUM_THREADS": "1"}
    where = ["--results", str(folder / "results"), "--out", str(folder / "out")]
    done = harness("run", str(suite), *where, "--json", env=env)
    cells = json.loads(done.stdout)["cells"] if done.stdout.startswith("{") else []
    return done, {one["cell"].partition("/")[2]: one["status"] for one in cells}


def test_cells_of_a_faulty_hub_fail_in_words_and_others_are_scored(tmp_path: Path) -> None:
    """No wrong score, no half file: when the hub is well again, the same command scores what had failed."""
    with hub_server() as server:
        for task in (BROKEN, CUT, SLOW, WELL):
            server.add(repo(task))
        server.faults.statuses[file_of(BROKEN)] = [500] * 1000
        server.faults.cut_after[file_of(CUT)] = 100
        server.faults.silent_seconds[file_of(SLOW)] = 1.5
        done, status = ran(server, tmp_path)
        assert "Traceback" not in done.stderr
        assert status == {ABSENT: "error", BROKEN: "error", CUT: "error", SLOW: "ok", WELL: "ok"}, done.stderr
        assert done.returncode == 3

        server.faults.statuses.clear()
        server.faults.cut_after.clear()
        server.add(repo(ABSENT))
        done, status = ran(server, tmp_path)
        assert set(status.values()) == {"ok"}, done.stderr
        assert done.returncode == 0
