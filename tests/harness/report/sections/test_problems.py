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


def test_remarks_that_say_the_same_of_many_are_one_line() -> None:
    """Whom and how many stand in it; three alike, and whatever says something else, stay as they are."""
    share = " (2.5% of the texts, 1.0% of the tokens)"  # of the second one
    cut = [
        f"m/Task{number}: {number + 1} text(s) were cut at the length limit{share if number == 1 else ''}"
        for number in range(100)
    ]
    off = [f"Task{number}: {number + 1:,} of 1,406 items: not the data" for number in range(3)]
    report = Report(summary=replace(invented(2, 4), unverified=(), warnings=("versions differ", *cut, *off)))
    lines = problems.markdown(report).split("## Remarks\n\n")[1].splitlines()
    assert lines[0] == "- versions differ"
    assert lines[1].startswith(
        "- text(s) were cut at the length limit: m/Task0 (1), m/Task1 (2; 2.5% of the texts, 1.0% of the tokens), "
    )
    assert lines[1].endswith(" and 94 more")
    assert lines[2:] == [f"- {line}" for line in off]
    page = html.render(report).split("<h3>Remarks</h3>")[1]
    assert "<summary>text(s) were cut at the length limit: 100</summary>" in page
    assert all(f"<li>m/Task{number} ({number + 1})</li>" in page for number in range(100) if number != 1)


def test_many_kinds_of_remarks_are_folded_and_the_first_are_not() -> None:
    """All of them stay in both files."""
    lines = tuple(f"model {number} is odd" for number in range(100))
    report = Report(summary=replace(invented(2, 4), unverified=(), warnings=lines))
    said = problems.markdown(report).split("## Remarks")[1]
    shown, hidden = said.split("<details><summary>88 more</summary>")
    assert [shown.count("- model "), hidden.count("- model ")] == [12, 88]
    page = html.render(report).split("<h3>Remarks</h3>")[1]
    assert "<details><summary>88 more</summary>" in page
    assert all(f"<li>{line}</li>" in page for line in lines)
    few = Report(summary=replace(report.summary, warnings=lines[:12]))
    assert "<details>" not in problems.markdown(few)
