"""Two models that share a stored cell: one measurement, shown as one everywhere, and found under either name."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from cells_support import make_score
from stored_support import BODY, make_folder, noisy, put, spearman
from suites_support import Command, isolate, suite_file

from harness.comparison.compare import Comparison, compare
from harness.comparison.pair import difference
from harness.comparison.retention import SAME_MODEL, judge_axis, of_same_record
from harness.evaluation.events import SilentReporter
from harness.evaluation.units import Unit
from harness.evaluation.worker import Worker
from harness.plan.planner import make_plan
from harness.report import comparison_files
from harness.results.inspection import find
from harness.results.store import Store
from harness.results.stored_items import is_same_record
from harness.sources.places import Sources
from harness.statistics.difference import Difference, adjusted, mean_difference, same_record
from harness.suite.load import load_suite

TWICE = BODY.replace(
    "  - {name: words", "  - {name: again, encoder: mean-pool, model: weights/base}\n  - {name: words"
).replace("tasks:", "baseline: base\ntasks:", 1)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A finished suite in which `again` is `base` under another name and `new` another model."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path)
    suite_file(tmp_path, TWICE)
    for model, seed in (("base", 1), ("new", 2), ("words", 3)):
        for task in ("pairs-a", "pairs-b"):
            items = noisy(seed, 1.0)
            put(tmp_path, f"{model}/{task}", spearman(items), items=items, n=200)
    put(tmp_path, "base/sums", 60.0)
    put(tmp_path, "new/sums", 40.0)
    return tmp_path


@pytest.fixture
def command(monkeypatch, capsys) -> Command:
    """The command, run in this process."""
    return Command(monkeypatch, capsys)


@pytest.fixture
def again(folder) -> Comparison:
    """`again` against `base`."""
    return compare("again", "base", suite="mine.yaml")


def test_a_record_is_itself_and_no_other_run_of_its_key():
    """Another key, score, set of items or beginning is another run, even in another folder under the same key."""
    one = make_score(provenance={"began": "2026-01-01"})
    assert is_same_record(one, replace(one, model="other", provenance={"began": "2026-01-01", "cell": "other"}))
    for change in ({"key": "f" * 20}, {"score": 50.1}, {"task": "STS13"}, {"provenance": {"began": "2026-01-02"}}):
        assert not is_same_record(one, replace(one, **change))


def test_nothing_is_resampled_or_tested(folder):
    """The difference is 0 by construction, without p, method or items won, and no other q changes for it."""
    store = Store(folder / "results")
    (base,) = (one for one in store.all_results() if (one.model, one.task) == ("base", "pairs-a"))
    found = difference(store, base, base)
    assert found == same_record(200)
    assert (found.value, found.p_value, found.method, found.wins) == (0.0, None, None, None)
    assert not list((folder / "results").glob("comparisons/*"))
    other = Difference(value=2.0, stderr=1.0, low=0.5, high=3.5, n=9, p_value=0.03)
    assert adjusted({1: other, 2: found})[1].q_value == pytest.approx(0.03)


def test_a_mean_holds_a_shared_task_as_exactly_0():
    """2 [0.5, 3.5] and a shared task: 1 [0.25, 1.75]; a mean of shared tasks alone is shared itself."""
    other = Difference(value=2.0, stderr=1.0, low=0.5, high=3.5, n=9, p_value=0.03)
    mixed = mean_difference([other, same_record(5)])
    assert (mixed.value, mixed.low, mixed.high, mixed.is_same_record) == (1.0, 0.25, 1.75, False)
    assert mean_difference([same_record(5), same_record(9)]) == same_record(2)


def test_compare_says_so_in_every_format(again):
    """No bracket in any row; CSV has empty numbers and the method; JSON says it in a word."""
    rows = again.of("task")
    assert [row.difference.is_same_record for row in again.rows] == [True] * len(again.rows)
    for text in (comparison_files.text(again), comparison_files.as_markdown(again), comparison_files.as_latex(again)):
        assert text.count("same record") == len(comparison_files.shown_rows(again))
        assert "[0.00" not in text
    assert "Same record: pairs-a, pairs-b, sums: both models share one stored cell" in comparison_files.text(again)
    for row in csv.DictReader(io.StringIO(comparison_files.as_csv(again))):
        assert (row["difference"], row["low"], row["high"], row["p"], row["method"]) == (
            "0.00",
            "",
            "",
            "",
            "same record",
        )
    assert [one["difference"]["is_same_record"] for one in comparison_files.as_json(again)["rows"]][: len(rows)] == [
        True
    ] * len(rows)


def test_the_report_says_so_and_invents_no_interval(folder, command):
    """Markdown, page and retention; the ranking still tells the other model from the two."""
    done = command("report", "mine.yaml", "--offline", "--out", "out", cwd=folder)
    assert "Traceback" not in done.stderr
    text = (folder / "out/report.md").read_text(encoding="utf-8")
    assert "| sums | again | same record | - | - | - | - |" in text
    assert "60.00 (same record)" in text
    assert "General ability of **again** against base: **same language model**. sums: one stored measurement" in text
    assert "| sums | again | same language model | - |" in text
    assert "**base** and **again** (the same record)" in text
    page = (folder / "out/index.html").read_text(encoding="utf-8")
    assert "general ability: the same language model as the baseline, measured once" in page.lower()
    assert '<small class="delta">same record</small>' in page
    assert "undecided" not in page.split('id="trade-off"')[0].split("again</h3>")[1].split("</article>")[0]


def test_the_verdict_is_neither_retained_nor_undecided():
    """All tasks shared: the same language model. One shared, one lost: lost, and the shared one does not count."""
    shared = of_same_record("sums")
    assert judge_axis("again", "base", [shared], margin=0.5).verdict == SAME_MODEL
    assert (shared.decision, shared.main) == (None, None)
    lost = replace(shared, verdict="lost")
    found = judge_axis("again", "base", [shared, lost], margin=0.5)
    assert (found.verdict, found.loss) == ("lost", None)


def test_a_gate_passes_on_the_very_same_cell(folder, command):
    """Non-inferiority and no drop hold by construction; a gain does not."""
    gates = "gates=[{task: sums, models: again, against: base, max_drop: 0.1, test: non-inferiority}]"
    done = command("gate", "mine.yaml", "--offline", "-o", gates, cwd=folder)
    assert (done.returncode, "the very same cell" in done.stdout) == (0, True), done.stdout
    gates = "gates=[{task: sums, models: again, against: base, min_gain: 0.1}]"
    assert command("gate", "mine.yaml", "--offline", "-o", gates, cwd=folder).returncode == 1


def test_a_shared_cell_is_found_under_each_of_its_models(folder, command):
    """After a run, even one with nothing to do: by `inspect`, and by `compare` without a suite."""
    assert command("inspect", "again/sums", cwd=folder).returncode == 2
    assert command("run", "mine.yaml", "--offline", cwd=folder).returncode == 0
    first, second = (command("inspect", f"{model}/sums", cwd=folder) for model in ("base", "again"))
    assert first.stdout == second.stdout
    assert '"score": 60.0' in second.stdout
    assert second.stderr == "one record, measured once for: base/sums, again/sums\n"
    near = command("inspect", "agian/sums", cwd=folder)
    assert "did you mean 'again/sums'" in near.stderr
    found = compare("again", "new")
    assert {row.name for row in found.of("task")} == {"pairs-a", "pairs-b", "sums"}
    assert [row.difference.is_same_record for row in compare("again", "base").of("task")] == [True] * 3


def test_a_run_that_is_killed_has_noted_the_names_of_what_it_finished(folder, monkeypatch):
    """Names are written with each cell, not at the end; failures have theirs too."""
    plan = make_plan(load_suite(folder / "mine.yaml").suite, Sources(offline=True))
    store = Store(folder / "none-yet")

    def broken(*_arguments: object, **_options: object) -> None:
        raise ValueError("no weights here")

    monkeypatch.setattr("harness.encoders.loading.load", broken)
    (cell,) = (cell for cell in plan.cells if str(cell) == "base/sums")
    Worker(plan=plan, store=store, reporter=SilentReporter()).do(Unit(step="whole", cell=cell))
    ((found, names),) = find(store, "again/sums")
    assert (found.status, names) == ("error", ("base/sums", "again/sums"))
