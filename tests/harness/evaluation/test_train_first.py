"""`--train`: what is missing is trained before it is judged, and what cannot be is said like any other failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cells_support import save_tiny_model
from suites_support import loaded, write
from told import Told
from training_support import use_stand_in

from harness.errors import EnvironmentGapError, ExitCode, InputError
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.plan.planner import make_plan
from harness.report.write import write_report
from harness.results.outcome import outcome_of
from harness.results.records import Failure, Score
from harness.results.store import Store
from harness.sources.places import Sources


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """A base, a candidate that is trained, and two that are not."""
    model = save_tiny_model(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    use_stand_in(monkeypatch, tmp_path, model)
    rows = [{"sentence1": f"cat {n}", "sentence2": f"dog {3 * n}", "score": n % 5} for n in range(12)]
    write(tmp_path / "sts.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))

    def made(*further: str, train: str = ""):
        entries = [
            f"name: base, encoder: mean-pool, model: {model}",
            f"name: fine, candidate: runs/fine, config: fine{train}",
            *further,
        ]
        body = f"models: [{', '.join('{' + one + '}' for one in entries)}]\n"
        return loaded(tmp_path, f"{body}tasks: {{custom: [{{name: own, type: STS, path: sts.jsonl}}]}}\n").suite

    return made


def options(**more: object) -> RunOptions:
    """Return options of a run that trains."""
    return RunOptions(sources=Sources(offline=True), **{"train": True} | more)


def test_a_failed_training_fails_its_own_cells_alone(suite):
    """Exit code 3, the reason in the report of this run and of a later one, and the next run tries it again."""
    broken = suite("name: bad, candidate: runs/bad, config: diverges")
    reporter = Told()
    outcome = run(broken, options(), reporter)
    assert outcome.exit_code == ExitCode.CELLS_FAILED
    assert {cell: type(one) for cell, one in outcome.results.items()} == {
        "base/own": Score,
        "fine/own": Score,
        "bad/own": Failure,
    }
    assert any("runs/bad: training failed, and the others go on" in line for line in reporter.remarks())
    later = outcome_of(make_plan(broken, Sources(offline=True)), Store(Path("results")))
    assert later.results["bad/own"].message == "exit code 3, it came to nothing: error: loss nan"
    _, files = write_report(later.plan, later.results, Store(Path("results")), Path("out"))
    assert "error: loss nan" in files[0].read_text()
    again = run(suite("name: bad, candidate: runs/bad, config: fine"), options())
    assert (again.exit_code, type(again.results["bad/own"])) == (ExitCode.OK, Score)


def test_a_directory_that_two_entries_spell_apart_is_trained_once_for_both(suite):
    """It is no gap of the second one's either."""
    outcome = run(suite("name: two, candidate: ./runs/../runs/fine"), options())
    assert outcome.exit_code == ExitCode.OK
    assert {cell: type(one) for cell, one in outcome.results.items()}["two/own"] == Score
    assert len(Path("begun.txt").read_text().splitlines()) == 1


def test_without_train_each_missing_candidate_has_its_command(suite):
    """Nothing is run, and the flag is named."""
    with pytest.raises(EnvironmentGapError) as caught:
        run(suite("name: b, candidate: runs/b, config: c, train: {seed: 2}"), options(train=False))
    said = str(caught.value)
    assert "grace train fine --out runs/fine\n" in said
    assert "grace train c --out runs/b -o seed=2\n" in said
    assert "the same command with --train trains the missing candidates first" in said
    assert not Path("begun.txt").exists()


def test_all_that_is_lacking_is_said_before_anything_is_trained(suite):
    """Of the evaluation and of the trainings; with --available the rest is trained and judged, and the code stays 4."""
    lacks = suite("name: gone, encoder: mean-pool, model: no/such", "name: b, candidate: runs/b, config: c, "
                  "train: {data.path: none.jsonl}")  # fmt: skip
    with pytest.raises(EnvironmentGapError) as caught:
        run(lacks, options())
    assert "model no/such (wanted by gone)" in str(caught.value)
    assert "none.jsonl: no such file" in str(caught.value)
    assert not Path("begun.txt").exists()
    outcome = run(lacks, options(available=True))
    assert outcome.exit_code == ExitCode.ENVIRONMENT
    assert set(outcome.results) == {"base/own", "fine/own"}


def test_a_refused_configuration_stops_everything(suite):
    """As a mistake in the suite does."""
    with pytest.raises(InputError, match="training of runs/b: refused:1:1: no texts"):
        run(suite("name: b, candidate: runs/b, config: refused"), options())
    assert not Path("begun.txt").exists()
