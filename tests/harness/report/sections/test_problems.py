"""Problems: sources of one hub are one line."""

from __future__ import annotations

from dataclasses import replace

from report_support import invented

from harness.report.formats import html
from harness.report.sections import problems
from harness.report.sections.section import Report

LINES = (
    "base: weights from folder models/base (local, unverified)",
    *(f"Task{number}: local hub /a/hub/datasets/mteb/task-{number} (local, unverified)" for number in range(40)),
    "base: weights from local hub /a/hub/models/some/encoder (local, unverified)",
    "Other: local hub /other/datasets/mteb/other (local, unverified)",
)


def test_sources_of_one_hub_are_one_line_and_the_rest_is_folded() -> None:
    """41 lines of a hub are one; a folder and the only line of another hub stay as they are; the page has all."""
    report = Report(summary=replace(invented(2, 4), unverified=LINES))
    said = problems.markdown(report)
    said = said[said.index("## Unverified sources") :].split("\n\n")[1].splitlines()
    assert len(said) == 3
    assert said[0] == f"- {LINES[0]}"
    assert said[1].startswith("- local hub /a/hub (local, unverified): Task0 from datasets/mteb/task-0, Task1 from")
    assert said[1].endswith(" and 35 more")
    assert said[2] == f"- {LINES[-1]}"
    page = html.render(report)
    assert page.count("local hub /a/hub") == 1
    assert all(f"Task{number} from datasets/mteb/task-{number}<" in page for number in range(40))
    assert "base: weights from models/some/encoder<" in page


def test_hundreds_of_remarks_are_folded_and_the_first_are_not() -> None:
    """A line of every cell of a benchmark would bury the others; all of them stay in both files."""
    lines = tuple(f"m/Task{number}: 3 text(s) were cut at the length limit" for number in range(100))
    report = Report(summary=replace(invented(2, 4), unverified=(), warnings=lines))
    said = problems.markdown(report).split("## Remarks")[1]
    shown, hidden = said.split("<details><summary>88 more</summary>")
    assert [shown.count("- m/Task"), hidden.count("- m/Task")] == [12, 88]
    page = html.render(report).split("<h3>Remarks</h3>")[1]
    assert "<details><summary>88 more</summary>" in page
    assert all(line in page for line in lines)
    few = Report(summary=replace(report.summary, warnings=lines[:12]))
    assert "<details>" not in problems.markdown(few)
