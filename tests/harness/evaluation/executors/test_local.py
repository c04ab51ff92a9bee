"""Worker processes that are killed: said, recorded, replaced; what they leave is no green run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dying_workers import ENDINGS, hangs, hangs_as_it_is, hangs_at_shards, has_no_room, never_begins, work
from suites_support import planned
from told import Told

from harness.errors import EnvironmentGapError, ExitCode, InputError
from harness.evaluation import run as run_module
from harness.evaluation.dispatch import Dispatch
from harness.evaluation.events import Event, Finished, Started
from harness.evaluation.executors.local import Crew, ending
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.evaluation.schedule import Schedule
from harness.evaluation.units import Unit
from harness.plan.cells import Plan
from harness.results.records import Failure, Score
from harness.results.store import Store

WORDS = ["rain falls on the hill", "a road over the hill", "the lamp and the moon", "rain on the road", "a lamp"]
PAIRS = "".join(
    f'{{"sentence1": "{WORDS[n % 5]}", "sentence2": "{WORDS[n * n % 5]} {WORDS[n % 3]}", "score": {n % 4}}}\n'
    for n in range(12)
)
"""Of unlike similarity, so that they have a score."""


def plan_of(folder: Path, *tasks: str) -> Plan:
    """Return the plan of one model over tasks of these names."""
    (folder / "pairs.jsonl").write_text(PAIRS, encoding="utf-8")
    custom = ", ".join(f"{{name: {name}, type: STS, path: pairs.jsonl}}" for name in tasks)
    return planned(folder, f"models: [{{name: words, encoder: tf-idf}}]\ntasks: {{custom: [{custom}]}}\n")


def watched(
    plan: Plan,
    results: Path,
    told: Told,
    *,
    workers: int,
    does: Callable[..., None] = work,
    cell_timeout: float | None = None,
) -> None:
    """Have the cells of `plan` worked on by processes that do `does`."""
    options = RunOptions(results=results, workers=workers, cell_timeout=cell_timeout)
    dispatch = Dispatch.of(plan, plan.cells, options, told, longest_first=True)
    crew = Crew(dispatch=dispatch, plan=plan, options=options, work=does)
    try:
        crew.run()
    finally:
        crew.dismiss()


@pytest.mark.parametrize("how", ENDINGS)
def test_a_cell_whose_worker_dies_is_a_failure_and_the_others_are_scored(tmp_path: Path, how: str) -> None:
    """Whatever it dies of: with its name, tried once, by one process; another takes the dead one's place."""
    name = f"die-{how}".replace(" ", "-")
    plan = plan_of(tmp_path, "one", name, "two", "three")
    told = Told()
    watched(plan, tmp_path / "results", told, workers=2)
    found = {cell.task.name: Store(tmp_path / "results").get(cell.task.name, cell.key) for cell in plan.cells}
    lost = found.pop(name)
    assert isinstance(lost, Failure)
    assert (lost.error, how in lost.message) == ("CellLostError", True)
    assert all(isinstance(one, Score) for one in found.values())
    assert [one.cell.task.name for one in told.events if isinstance(one, Started)].count(name) == 1
    assert sorted(one.cell.task.name for one in told.events if isinstance(one, Finished)) == sorted([*found, name])
    assert [how in one and name in one for one in told.remarks()] == [True]
    assert multiprocessing.active_children() == []


def test_one_worker_after_the_other_may_die(tmp_path: Path) -> None:
    """Every cell kills: each is a failure of its own, and no process is left."""
    plan = plan_of(tmp_path, "one", "die-SIGKILL", "die-SIGSEGV")
    told = Told()
    watched(plan, tmp_path / "results", told, workers=2)
    results = [Store(tmp_path / "results").get(cell.task.name, cell.key) for cell in plan.cells]
    assert [type(one) for one in results] == [Score, Failure, Failure]


def test_workers_that_never_begin_leave_no_cell_behind_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends with 3 whatever the executor: every cell has a failure, and it is said."""
    monkeypatch.setattr(
        run_module,
        "executor_of",
        lambda _: (
            lambda plan, cells, options, told: (
                watched(plan, options.results, told, workers=options.workers, does=never_begins) or ()
            )
        ),
    )
    told = Told()
    plan = plan_of(tmp_path, "one", "two")
    outcome = run(plan.suite, RunOptions(results=tmp_path / "results", workers=2), told)
    assert outcome.exit_code == ExitCode.CELLS_FAILED
    assert {type(one) for one in outcome.results.values()} == {Failure}
    assert "exit code 1 before it came to a cell" in told.remarks()[0]
    assert told.remarks()[-1].startswith("2 cell(s) were left without a record: words/one, words/two")


def test_an_executor_that_does_nothing_leaves_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that other code brings, too; an older failure is not taken for a new one."""
    monkeypatch.setattr(run_module, "executor_of", lambda _: lambda *_: ())
    plan = plan_of(tmp_path, "one")
    for _ in range(2):
        told = Told()
        outcome = run(plan.suite, RunOptions(results=tmp_path / "results"), told)
        assert outcome.exit_code == ExitCode.CELLS_FAILED
        assert len(told.remarks()) == 1


def test_a_cell_that_hangs_is_a_failure_and_the_others_are_scored(tmp_path: Path) -> None:
    """After --cell-timeout, though its process is deaf to SIGTERM; it is tried once."""
    plan = plan_of(tmp_path, "one", "die-hang", "two")
    told = Told()
    watched(plan, tmp_path / "results", told, workers=2, does=hangs, cell_timeout=1.0)
    found = {cell.task.name: Store(tmp_path / "results").get(cell.task.name, cell.key) for cell in plan.cells}
    lost = found.pop("die-hang")
    assert isinstance(lost, Failure)
    assert "worked on it for more than 1.0 s (--cell-timeout), and was ended" in lost.message
    assert all(isinstance(one, Score) for one in found.values())
    assert multiprocessing.active_children() == []


def test_a_shard_that_hangs_is_tried_three_times(tmp_path: Path) -> None:
    """Then it is the failure of its cell, which names it."""
    plan = plan_of(tmp_path, "one")
    told = Told()
    schedule = Schedule([Unit(step="open", cell=plan.cells[0])])
    options = RunOptions(results=tmp_path / "results", workers=1, cell_timeout=0.5)
    dispatch = Dispatch(plan=plan, schedule=schedule, store=Store(options.results), reporter=told)
    crew = Crew(dispatch=dispatch, plan=plan, options=options, work=hangs_at_shards)
    try:
        crew.run()
    finally:
        crew.dismiss()
    lost = dispatch.store.get("one", plan.cells[0].key)
    assert isinstance(lost, Failure)
    assert lost.message.startswith("shard p s/d [0:9]: worker 2 worked on it for more than 0.5 s")
    assert [one.endswith("another worker tries it again, 3 times in all") for one in told.remarks()] == [
        True,
        True,
        False,
    ]


def test_early_deaths_apart_from_each_other_do_not_end_the_hiring(tmp_path: Path) -> None:
    """Two processes in all that die before they are ready are no reason to start none any more."""
    plan = plan_of(tmp_path, "one", "die-SIGKILL", "two", "die-SIGSEGV", "three")
    options = RunOptions(results=tmp_path / "results", workers=1)
    dispatch = Dispatch.of(plan, plan.cells, options, Told(), longest_first=True)
    crew = Crew(dispatch=dispatch, plan=plan, options=options, work=work)
    hire = Crew._hire

    def hired(self: Crew) -> bool:
        self.work = never_begins if self.hired % 2 else work
        return hire(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Crew, "_hire", hired)
        options = RunOptions(results=tmp_path / "results", workers=2)
        crew.options = options
        try:
            crew.run()
        finally:
            crew.dismiss()
    found = [Store(tmp_path / "results").get(cell.task.name, cell.key) for cell in plan.cells]
    assert [type(one) for one in found] == [Score, Failure, Score, Failure, Score]


def drive(plan: Plan, results: Path) -> None:
    """Be the driver of workers that come to no end."""
    watched(plan, results, Told(), workers=2, does=hangs_as_it_is)


def test_workers_leave_when_the_driver_is_killed_though_they_hang(tmp_path: Path) -> None:
    """A hanging one would keep the lock of its unit, and the next run would wait for it for ever."""
    results = tmp_path / "results"
    results.mkdir()
    driver = multiprocessing.get_context("spawn").Process(target=drive, args=(plan_of(tmp_path, "one", "two"), results))
    driver.start()
    try:
        assert until(lambda: len(list(results.glob("*.pid"))) == 2, 120)
    finally:
        driver.kill()
        driver.join()
    pids = [int(path.stem) for path in results.glob("*.pid")]
    assert until(lambda: not any(lives(one) for one in pids), 15)


def lives(process: int) -> bool:
    """Return whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; returns whether it came."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and not condition():
        time.sleep(0.1)
    return condition()


def test_a_worker_that_finds_the_disk_full_ends_the_run(tmp_path: Path) -> None:
    """With its own error, and without waiting for the others."""
    with pytest.raises(EnvironmentGapError, match="no room\nmake some"):
        watched(plan_of(tmp_path, "one"), tmp_path / "results", Told(), workers=2, does=has_no_room)
    assert multiprocessing.active_children() == []


def test_processes_that_cannot_be_started_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None at all: an error with the way out."""

    def refuse(self: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", refuse)
    with pytest.raises(EnvironmentGapError, match="Resource temporarily unavailable; run with --workers 1"):
        watched(plan_of(tmp_path, "one"), tmp_path / "results", Told(), workers=2)


def test_workers_killed_in_a_real_run_end_it_with_3(tmp_path: Path) -> None:
    """As the kernel does it for want of memory, while the engine is loaded; the next run scores the cell."""

    def kill(event: Event) -> None:
        if isinstance(event, Started):
            for process in multiprocessing.active_children():
                os.kill(process.pid or 0, signal.SIGKILL)

    plan = plan_of(tmp_path, "one")
    outcome = run(plan.suite, RunOptions(results=tmp_path / "results", workers=2), told := Told(kill))
    assert outcome.exit_code == ExitCode.CELLS_FAILED
    (failure,) = outcome.results.values()
    assert isinstance(failure, Failure)
    assert "was killed by SIGKILL, perhaps out of memory" in failure.message
    assert any("SIGKILL" in one for one in told.remarks())
    again = run(plan.suite, RunOptions(results=tmp_path / "results"), Told())
    assert again.exit_code == ExitCode.OK
    assert [type(one) for one in again.results.values()] == [Score]


def test_errors_of_ours_pass_between_processes_whole() -> None:
    """With their lines, which pickle alone would take apart."""
    import pickle

    for error in (InputError(["one", "two"]), EnvironmentGapError(["one", "two"])):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert (type(again), str(again)) == (type(error), "one\ntwo")


@pytest.mark.parametrize(
    ("code", "said"), [(3, "ended with exit code 3"), (-15, "was killed by SIGTERM"), (-77, "was killed by signal 77")]
)
def test_an_ending_in_words(code: int, said: str) -> None:
    """Signals by name; no guess but where the kernel is known for it."""
    assert ending(code) == said
