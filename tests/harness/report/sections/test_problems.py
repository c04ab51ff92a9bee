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
