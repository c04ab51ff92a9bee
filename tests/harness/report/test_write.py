"""Reports from a plan and results made by hand: means, differences, what is never 0, and golden files.

`UPDATE_GOLDEN=1 pytest tests/harness/report/test_write.py` rewrites tests/golden/report; say in the commit why.
"""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from golden_report import make_plan, make_results
from places import TESTS
from stored_support import make_folder, put

from harness.cli import run as command
from harness.report.formats import csv as csv_files
from harness.report.formats import markdown
from harness.report.numbers import NOT_THERE
from harness.report.sections.section import Report
from harness.report.tables import table
from harness.report.write import write_report
from harness.results.store import Store
from harness.summary import build
from harness.summary.build import summarise
from harness.summary.views import Summary

GOLDEN = TESTS / "golden" / "report"


@pytest.fixture(scope="module")
def summary() -> Summary:
    """The full summary."""
    return summarise(make_plan(), make_results())


def axis(summary: Summary, name: str) -> Any:
    """Return the summary of one axis."""
    return next(one for one in summary.axes if one.axis == name)


def test_an_error_is_never_0() -> None:
    """A failed, a missing and an n/a cell have no number in table, CSV or Markdown, and say what they are."""
    summary = summarise(make_plan(), make_results())
    views = summary.cells
    assert [views["minilm", name].status for name in ("SciFact", "sums")] == ["error", "n/a"]
    assert views["other", "STS13"].status == "missing"
    assert all(views[place].value is None for place in (("minilm", "SciFact"), ("other", "STS13"), ("minilm", "sums")))
    rows = {(row["model"], row["task"]): row for row in csv.DictReader(csv_files.scores_csv(summary).splitlines())}
    for place, status in (
        (("minilm", "SciFact"), "error"),
        (("other", "STS13"), "missing"),
        (("minilm", "sums"), "n/a"),
    ):
        row = rows[place]
        assert row["status"] == status
        assert [row[name] for name in ("score", "stderr", "ci_low", "ci_high", "n")] == [""] * 5
    lines = markdown.render(Report(summary=summary)).splitlines()
    line = next(line for line in lines if line.startswith("| Retrieval | SciFact |"))
    assert line.endswith("| error |")
    sts13 = next(line for line in lines if line.startswith("| STS | STS13 |"))
    assert sts13.split(" | ")[5] == NOT_THERE


def test_without_results_there_is_a_report_and_no_mean() -> None:
    """A report before any run says so."""
    summary = summarise(make_plan(), {})
    assert all(one.models == () for one in summary.axes)
    assert "No scores yet: 5 task(s) to run." in markdown.render(Report(summary=summary))


def test_a_result_of_zero_is_a_number() -> None:
    """A score of exactly 0 is shown and averaged: it is not taken for nothing."""
    results = make_results()
    results["base/STS12"] = replace(results["base/STS12"], score=0.0, ci_low=None, ci_high=None)  # type: ignore[arg-type]
    summary = summarise(make_plan(), results)
    assert axis(summary, "embedding").over_tasks["base"].value == 48.0
    assert axis(summary, "embedding").delta["other"].value == pytest.approx((62 - 4 - 1.5 + 6) / 4)
    assert "| STS | STS12 | cosine_spearman | 100 | 0.00 |" in markdown.render(Report(summary=summary))


def test_the_report_is_a_function_of_its_input() -> None:
    """The order in which results are found changes nothing."""
    forward, backward = make_results(), dict(reversed(make_results().items()))
    plan = make_plan()
    assert markdown.render(Report(summary=summarise(plan, forward))) == markdown.render(
        Report(summary=summarise(plan, backward))
    )
    assert csv_files.scores_csv(summarise(plan, forward)) == csv_files.scores_csv(summarise(plan, backward))


def test_pipes_and_line_breaks_do_not_break_a_table(summary: Summary) -> None:
    """A `|` in a cell is escaped, a line break becomes a space, so every row has as many columns as its header."""
    assert table(["a", "b"], [["x|y", "one\ntwo"]]).splitlines() == [
        "| a | b |",
        "| --- | --- |",
        "| x\\|y | one two |",
    ]
    said = markdown.render(Report(summary=summary))
    assert "a \\| in a note and a line break" in said
    blocks = [block for block in said.split("\n\n") if block.startswith("| ")]
    assert len(blocks) >= 5
    for block in blocks:
        assert len({line.replace("\\|", "").count("|") for line in block.splitlines()}) == 1


def test_csv_headers_are_the_contract() -> None:
    """The columns that CI and spreadsheets read."""
    assert csv_files.SCORES_HEADER == (
        "model", "axis", "type", "task", "metric", "score", "stderr", "ci_low", "ci_high", "n", "limit", "status",
        "key",
    )  # fmt: skip
    assert "seconds" not in csv_files.METRICS_HEADER


def rendered(limit: int | None) -> str:
    """Return the Markdown without fingerprints, which change with every option a model entry may have."""
    plan = make_plan(limit)
    said = markdown.render(Report(summary=summarise(plan, make_results(limit))))
    for one in plan.candidates:
        said = said.replace(str(one.fingerprint())[:12], "f" * 12)  # type: ignore[union-attr]
    return said


RENDERED = {
    "report.md": lambda: rendered(None),
    "scores.csv": lambda: csv_files.scores_csv(summarise(make_plan(), make_results())),
    "metrics.csv": lambda: csv_files.metrics_csv(summarise(make_plan(), make_results())),
    "limited.md": lambda: rendered(20),
    "limited.csv": lambda: csv_files.scores_csv(summarise(make_plan(20), make_results(20))),
}


def check_golden(file: Path, text: str) -> None:
    """Compare `text` with a golden file, or rewrite the file where UPDATE_GOLDEN is 1."""
    if os.environ.get("UPDATE_GOLDEN") == "1":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), f"{file} differs; UPDATE_GOLDEN=1 rewrites it"


@pytest.mark.parametrize("name", list(RENDERED))
def test_rendered_files_equal_the_golden_ones(name: str) -> None:
    """Byte for byte."""
    check_golden(GOLDEN / name, RENDERED[name]())


def test_every_golden_file_is_read_by_a_test() -> None:
    """A golden that nothing compares with is no golden."""
    assert {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*") if path.is_file()} == set(RENDERED)


def test_golden_files_are_rewritten_on_demand_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable a difference fails and the file stays; with it the file is rewritten."""
    file = tmp_path / "golden.md"
    file.write_text("old", encoding="utf-8")
    monkeypatch.delenv("UPDATE_GOLDEN", raising=False)
    with pytest.raises(AssertionError, match="UPDATE_GOLDEN=1 rewrites it"):
        check_golden(file, "new")
    assert file.read_text(encoding="utf-8") == "old"
    monkeypatch.setenv("UPDATE_GOLDEN", "1")
    check_golden(file, "new")
    assert file.read_text(encoding="utf-8") == "new"


def test_a_limited_report_says_so_in_its_title() -> None:
    """The first line of a limited report names the limit; a full one does not speak of limits."""
    limited, full = RENDERED["limited.md"](), RENDERED["report.md"]()
    assert limited.splitlines()[0] == "# golden - LIMITED to 20 items a task"
    assert full.splitlines()[0] == "# golden"
    assert "LIMITED" not in full


def test_a_report_is_put_together_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the command prints are the figures of the files: `harness report` resamples and averages one time."""
    made: list[Summary] = []

    def counted(**parts: Any) -> Summary:
        made.append(Summary(**parts))
        return made[-1]

    monkeypatch.setattr(build, "Summary", counted)
    monkeypatch.chdir(tmp_path)
    folder = make_folder(tmp_path)
    put(folder, "new/pairs-a", 50.0)
    with pytest.raises(typer.Exit) as ended:
        command.report(str(folder / "mine.yaml"), results=folder / "results", out=tmp_path / "out", offline=True)
    assert ended.value.exit_code == 0
    said = capsys.readouterr().out
    assert len(made) == 1
    assert said.splitlines()[0] == "7 missing, 1 ok, 1 n/a"
    assert said.splitlines()[-1] == f"report: {tmp_path / 'out' / 'report.md'}"


def test_what_was_written_is_returned(tmp_path: Path) -> None:
    """The summary behind the files and their paths, report.md first; report.tex on demand only."""
    written = write_report(make_plan(), make_results(), Store(tmp_path / "results"), tmp_path / "out")
    assert written.summary.title == "golden"
    assert [path.name for path in written.files[:4]] == ["report.md", "index.html", "scores.csv", "metrics.csv"]
    assert all(path.is_file() for path in written.files)
    also = write_report(make_plan(), {}, Store(tmp_path / "results"), tmp_path / "out", with_latex=True)
    assert "report.tex" in {path.name for path in also.files}
