"""Faults of a run that is made in parts: each ends in the right score, or in a clear error with nothing lost.

The truth is the score of the same suite run in one piece, without a fault.
"""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from cells_support import save_tiny_model
from told import Told

from harness.cli.app import app
from harness.cli.shell import run_app
from harness.encoders import batching
from harness.encoders.dense import MeanPoolEncoder
from harness.errors import ExitCode, ResultsNotWrittenError
from harness.evaluation.events import Event, ShardMade
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.evaluation.worker import Worker
from harness.report.formats.csv import scores_csv
from harness.results.outcome import RunOutcome
from harness.results.records import Failure, Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.schema import Suite
from harness.summary.build import summarise

WORDS = "wave boat tree leaf tram lamp soup bread cloud star moon wind moss owl fern".split()  # noqa: SIM905
LONG, SHORT = "tiny/long", "tiny/short"
CUT = {"version": 1, "name": "cut", "shards": {"max_texts": 16}}


def pairs(seed: int, count: int) -> str:
    """Return pairs of which the second keeps some words of the first, as many as its score."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        left, kept = [rng.choice(WORDS) for _ in range(6)], number % 6
        right = left[:kept] + [rng.choice(WORDS) for _ in range(6 - kept)]
        rows.append({"sentence1": " ".join(left), "sentence2": " ".join(right), "score": float(kept)})
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The tiny model, two tasks of pairs and a suite that cuts the longer one into shards."""
    import datasets

    made = tmp_path_factory.mktemp("alive")
    save_tiny_model(made / "model")
    (made / "long.jsonl").write_text(pairs(0, 48), encoding="utf-8")
    (made / "short.jsonl").write_text(pairs(1, 7), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", made / "datasets")
        patch.setenv("HARNESS_CACHE", str(made / "cache"))
        yield made


def suite_of(folder: Path, **changes: Any) -> Suite:
    """Return the suite of one model over the two tasks."""
    model = {"name": "tiny", "encoder": "mean-pool", "model": str(folder / "model"), "device": "cpu"}
    tasks = [{"name": one, "type": "STS", "path": str(folder / f"{one}.jsonl")} for one in ("long", "short")]
    return Suite.model_validate(CUT | {"models": [model], "tasks": {"custom": tasks}} | changes)


def were_there(told: Told) -> list[bool]:
    """Return, of each shard, whether it had been there."""
    return [one.was_there for one in told.events if isinstance(one, ShardMade)]


def run_in(folder: Path, results: Path, told: Told | None = None, *, suite: Suite | None = None, **options: Any) -> Any:
    """Run the suite."""
    return run(
        suite or suite_of(folder), RunOptions(results=results, sources=Sources(offline=True), **options), told or Told()
    )


def scores(outcome: RunOutcome) -> str:
    """Return the scores.csv of a run."""
    return scores_csv(summarise(outcome.plan, outcome.results))


def shards_in(results: Path) -> dict[str, tuple[int, int]]:
    """Return record of a shard -> inode and time, which change where it is made again."""
    found = (results / "shards").glob("*/*.json")
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def left_over(results: Path) -> list[str]:
    """Return half-written files."""
    return [path.name for path in results.rglob("*.tmp")]


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The scores of the suite in one piece."""
    outcome = run_in(folder, tmp_path_factory.mktemp("whole"), suite=suite_of(folder, shards={"max_texts": 1000}))
    assert outcome.exit_code is ExitCode.OK
    assert "shards" not in outcome.results[LONG].provenance
    return scores(outcome)


@pytest.fixture(scope="module")
def cut(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the suite in shards, undisturbed; for copying."""
    results = tmp_path_factory.mktemp("cut")
    run_in(folder, results)
    return results


def test_one_process_in_shards_gives_the_scores_of_one_piece(folder: Path, whole: str, cut: Path) -> None:
    """And its long cell was made in several."""
    outcome = run_in(folder, cut)
    assert (outcome.ran, scores(outcome)) == (0, whole)
    assert outcome.results[LONG].provenance["shards"]["count"] == len(shards_in(cut)) >= 6
    assert "shards" not in outcome.results[SHORT].provenance


def test_parts_one_after_the_other_on_one_folder(folder: Path, whole: str, tmp_path: Path) -> None:
    """Each shard and each cell that is not cut is made once; the last part scores, and no part tells a failure."""
    told, made = [Told() for _ in range(3)], []
    for number, one in enumerate(told, start=1):
        outcome = run_in(folder, tmp_path, one, part=(number, 3))
        made += [was for was in were_there(one) if not was]
        assert not any(isinstance(result, Failure) for result in outcome.results.values())
    assert len(made) == len(shards_in(tmp_path))
    assert outcome.exit_code is ExitCode.OK
    assert scores(outcome) == whole
    assert "part 1 of 3 is done; " in told[0].remarks()[-1]
    assert told[2].remarks()[-1] == "part 3 of 3 is done, and all cells are"


def test_parts_in_folders_of_their_own_are_merged_and_closed(
    folder: Path, whole: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part alone closes no cell that lacks shards; after the merge nothing is encoded again."""
    for number in (1, 2):
        outcome = run_in(folder, tmp_path / str(number), part=(number, 2))
        assert LONG not in outcome.results
    monkeypatch.setattr(sys, "argv", ["harness", "merge", *(str(tmp_path / one) for one in "12"), "--results",
                                      str(tmp_path / "both")])  # fmt: skip
    assert run_app(app) == 0
    before = shards_in(tmp_path / "both")
    told = Told()
    outcome = run_in(folder, tmp_path / "both", told)
    assert scores(outcome) == whole
    assert set(were_there(told)) == {True}
    assert shards_in(tmp_path / "both") == before
    assert outcome.results[LONG].provenance["shards"]["remade"] == []


def killing(pids: list[int], *, after: int) -> Callable[[Event], None]:
    """Return what kills a worker process once so many shards are made, and notes which."""
    import multiprocessing

    made = [0]

    def act(event: Event) -> None:
        made[0] += isinstance(event, ShardMade)
        if made[0] >= after and not pids:
            process = multiprocessing.active_children()[0]
            pids.append(process.pid or 0)
            os.kill(pids[0], signal.SIGKILL)

    return act


def test_a_worker_that_is_killed_loses_a_shard_at_most(folder: Path, whole: str, tmp_path: Path) -> None:
    """Of two workers one is killed in the middle: another takes its place, the scores are those of one piece."""
    run_in(folder, tmp_path, tasks=("short",))  # a cell in one piece is a failure where its worker is killed
    pids: list[int] = []
    told = Told(killing(pids, after=2))
    outcome = run_in(folder, tmp_path, told, workers=2)
    assert len(pids) == 1
    assert outcome.exit_code is ExitCode.OK
    assert scores(outcome) == whole
    assert were_there(told).count(False) == len(shards_in(tmp_path))
    assert left_over(tmp_path) == [] or len(left_over(tmp_path)) == 1


def command(folder: Path, results: Path, *more: str) -> subprocess.Popen[str]:
    """Start the command as a process of its own, which leads a group."""
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite_of(folder).model_dump(mode="json", exclude_unset=True)))
    arguments = ["run", "suite.yaml", "--offline", "--results", str(results), "--out", str(results / "out"), *more]
    return subprocess.Popen(
        [sys.executable, "-m", "harness.cli", *arguments], cwd=folder, stderr=subprocess.PIPE, text=True,
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def members(group: int) -> list[int]:
    """Return the processes of a group that live."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, own = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(own) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; returns whether it came."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if condition():
            return True
        time.sleep(0.1)
    return condition()


def test_a_driver_that_is_killed_leaves_no_process_and_the_next_run_goes_on(
    folder: Path, whole: str, tmp_path: Path
) -> None:
    """Its workers leave by themselves; shards that were made stay, byte for byte and as they were."""
    process = command(folder, tmp_path, "--workers", "2")
    try:
        assert until(lambda: bool(shards_in(tmp_path)), 120)
        process.kill()
        process.communicate()
        assert until(lambda: not members(process.pid), 15)
    finally:
        for one in members(process.pid):
            os.kill(one, signal.SIGKILL)
    kept = shards_in(tmp_path)
    told = Told()
    outcome = run_in(folder, tmp_path, told)
    assert scores(outcome) == whole
    assert kept.items() <= shards_in(tmp_path).items()
    assert were_there(told).count(True) == len(kept) or outcome.ran == 0


def test_two_drivers_on_one_folder_end_with_the_same_scores(folder: Path, whole: str, tmp_path: Path) -> None:
    """Nobody fails, nobody waits for ever, and a third finds all done."""
    both = [command(folder, tmp_path) for _ in range(2)]
    for one in both:
        _, said = one.communicate(timeout=300)
        assert one.returncode == 0, said
    outcome = run_in(folder, tmp_path)
    assert (outcome.ran, scores(outcome)) == (0, whole)


def flip(path: Path) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(bytes(content))


def tear(path: Path) -> None:
    """Leave half of it."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def another_model(path: Path) -> None:
    """Put a whole shard there that says to be of another model."""
    from harness.digests import digest

    record = json.loads(path.read_text(encoding="utf-8"))
    record.pop("digest")
    record["maker"]["encoder"]["identity"] = {"another": "model"}
    path.write_text(json.dumps(record | {"digest": digest(record)}), encoding="utf-8")


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (flip, "*.vectors.npy"),
        (tear, "*.vectors.npy"),
        (tear, "*.json"),
        (flip, "*.keys.npy"),
        (another_model, "*.json"),
    ],
)
def test_a_shard_that_is_not_whole_is_made_again_and_it_is_said(
    folder: Path, whole: str, cut: Path, tmp_path: Path, harm: Callable[[Path], None], what: str
) -> None:
    """By a remark, in the log and in the cell's provenance; the others are left as they are, the score is the same."""
    copied(cut, tmp_path)
    before = shards_in(tmp_path)
    path = sorted((tmp_path / "shards").glob(f"*/{what}"))[1]
    harm(path)
    told = Told()
    outcome = run_in(folder, tmp_path, told)
    assert scores(outcome) == whole
    assert were_there(told).count(False) == 1
    changed = [name for name, stamp in shards_in(tmp_path).items() if before[name] != stamp]
    assert changed == [f"{path.name.split('.')[0]}.json"]
    remark = next(one for one in told.remarks() if "a shard was not whole and is made again" in one)
    assert remark.startswith(LONG)
    (said,) = outcome.results[LONG].provenance["shards"]["damaged"]
    assert changed[0] in said
    assert said in remark


def copied(cut: Path, results: Path) -> None:
    """Copy the shards of a run, without its cells."""
    for path in (cut / "shards").rglob("*"):
        if path.is_file():
            target = results / path.relative_to(cut)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())


def test_a_shard_that_is_lost_at_the_last_moment_is_made_as_the_cell_is_scored(
    folder: Path, whole: str, cut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No hole is scored: its texts are encoded then, and the provenance names it."""
    copied(cut, tmp_path)
    score_cell = Worker._score_cell

    def harmed(self: Worker, unit: Any, candidate: Any) -> Any:
        if unit.step == "close":
            tear(sorted((tmp_path / "shards").glob("*/*.vectors.npy"))[0])
        return score_cell(self, unit, candidate)

    monkeypatch.setattr(Worker, "_score_cell", harmed)
    told = Told()
    outcome = run_in(folder, tmp_path, told)
    assert scores(outcome) == whole
    facts = outcome.results[LONG].provenance["shards"]
    assert len(facts["remade"]) == len(facts["damaged"]) == 1
    assert any("a shard was not whole" in one for one in told.remarks())


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")],
)
def test_memory_that_runs_out_halves_the_batch(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Inside a shard: it is made with smaller batches, counted in the cell, and scores what smaller batches score."""
    small = run_in(folder, tmp_path / "small", suite=small_batches(folder))
    real = batching.for_each_batch

    def cramped(lengths: Any, budget: int, encode_batch: Any, counters: Any, **more: Any) -> int:
        def encode(batch: list[int]) -> None:
            if len(batch) > 4:
                raise error
            encode_batch(batch)

        return real(lengths, budget, encode, counters, **more)

    monkeypatch.setattr("harness.encoders.dense.for_each_batch", cramped)
    outcome = run_in(folder, tmp_path / "cramped")
    assert outcome.exit_code is ExitCode.OK
    assert outcome.results[LONG].provenance["counts"]["out_of_memory"] >= 1
    assert outcome.results[LONG].score == pytest.approx(small.results[LONG].score, abs=1e-4)


def small_batches(folder: Path) -> Suite:
    """Return the suite with batches of a few texts."""
    plain = suite_of(folder).model_dump(mode="json", exclude_unset=True)
    plain["models"][0]["batch_tokens"] = 64
    return Suite.model_validate(plain)


def test_nan_in_one_shard_fails_its_cell_and_no_other(
    folder: Path, whole: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, with the shard's name; no file of that shard is left, and the next run scores the cell."""
    encode = MeanPoolEncoder.encode
    calls = [0]

    def sick(self: Any, texts: Any, **more: Any) -> Any:
        vectors = encode(self, texts, **more)
        calls[0] += 1
        return np.full_like(vectors, np.nan) if calls[0] == 3 else vectors

    with monkeypatch.context() as patch:
        patch.setattr(MeanPoolEncoder, "encode", sick)
        outcome = run_in(folder, tmp_path)
    assert outcome.exit_code is ExitCode.CELLS_FAILED
    failure = outcome.results[LONG]
    assert isinstance(failure, Failure)
    assert failure.error == "EncoderOutputError"
    assert failure.message.startswith("shard long test/default [")
    assert "returned NaN or infinity" in failure.message
    assert isinstance(outcome.results[SHORT], Score)
    assert len(shards_in(tmp_path)) == 2
    told = Told()
    assert scores(run_in(folder, tmp_path, told)) == whole
    assert were_there(told).count(True) == 2


@pytest.mark.parametrize("times", [2, 3])
def test_a_shard_that_fails_is_tried_three_times(
    folder: Path, whole: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """An error that passes costs a remark each time; the third is a failure that names the shard."""
    encode, left = MeanPoolEncoder.encode, {"times": times}

    def flaky(self: Any, texts: Any, **more: Any) -> Any:
        sick = left.setdefault("at", texts[0])
        if texts[0] == sick and left["times"]:
            left["times"] -= 1
            raise OSError("the network disk is away")
        return encode(self, texts, **more)

    monkeypatch.setattr(MeanPoolEncoder, "encode", flaky)
    told = Told()
    outcome = run_in(folder, tmp_path, told)
    assert sum("it is tried again, 3 times in all" in one for one in told.remarks()) == 2
    if times == 2:
        assert scores(outcome) == whole
        return
    failure = outcome.results[LONG]
    assert isinstance(failure, Failure)
    assert failure.message.startswith("shard long test/default [")
    assert failure.message.endswith("]: the network disk is away")
    assert isinstance(outcome.results[SHORT], Score)
    assert scores(run_in(folder, tmp_path)) == whole


class Disk:
    """A results folder on a disk that can be full."""

    def __init__(self, results: Path, fill: Callable[[], None], free: Callable[[], None]) -> None:
        self.results, self.fill, self.free = results, fill, free


@pytest.fixture(params=["a disk of its own", "fsync"])
def disk(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """A small file system where one can be mounted, and a kernel that says so at every fsync elsewhere."""
    if request.param == "fsync":
        sync = os.fsync

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def fill() -> None:
            monkeypatch.setattr(os, "fsync", full)

        yield Disk(tmp_path, fill, lambda: monkeypatch.setattr(os, "fsync", sync))
        return
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    filler = tmp_path / "filler"

    def fill_up() -> None:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"0" * 4096)

    try:
        yield Disk(tmp_path, fill_up, filler.unlink)
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@pytest.mark.parametrize("at", ["a shard", "the score"])
def test_a_disk_that_fills_up_ends_the_run_and_loses_nothing(folder: Path, whole: str, disk: Disk, at: str) -> None:
    """With the file that could not be written and the way on; no half file is taken for a whole one afterwards."""
    made = {"a shard": 2, "the score": 100}[at]

    def act(event: Event) -> None:
        of = event.of if isinstance(event, ShardMade) else -1
        if isinstance(event, ShardMade) and event.made == min(made, of):
            disk.fill()

    with pytest.raises(
        ResultsNotWrittenError, match=r"(No space left on device|the disk is full).*the same command goes on"
    ):
        run_in(folder, disk.results, Told(act))
    disk.free()
    assert left_over(disk.results) == []
    kept = shards_in(disk.results)
    told = Told()
    outcome = run_in(folder, disk.results, told)
    assert scores(outcome) == whole
    assert were_there(told).count(True) == len(kept)
    assert (at == "a shard") == (len(kept) == 2)
    assert kept.items() <= shards_in(disk.results).items()


def test_a_clock_that_jumps_changes_nothing(
    folder: Path, whole: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Years forth and back at every look, and files from the future and the past: nothing is lost or made twice."""
    rng, real, real_ns = random.Random(0), time.time, time.time_ns

    def years() -> float:
        return rng.choice([-10, 0, 10]) * 3.15e7

    monkeypatch.setattr(time, "time", lambda: real() + years())
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + int(years() * 1e9))

    def age(_: Event) -> None:
        for path in tmp_path.rglob("*"):
            if path.is_file():
                when = real() + years()
                os.utime(path, (when, when))

    first, second = Told(age), Told(age)
    outcome = run_in(folder, tmp_path, first)
    assert scores(outcome) == whole
    assert were_there(first).count(False) == len(shards_in(tmp_path))
    assert first.remarks() == []
    cells = {path: path.read_bytes() for path in (tmp_path / "cells").glob("*/*")}
    assert run_in(folder, tmp_path, second).ran == 0
    (Store(tmp_path)._path("long", str(outcome.results[LONG].key), "json")).unlink()
    again = run_in(folder, tmp_path, second)
    assert (scores(again), set(were_there(second))) == (whole, {True})
    assert cells.keys() == {*(tmp_path / "cells").glob("*/*")}
