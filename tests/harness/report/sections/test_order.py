"""Every section is told once, has its template, and both formats follow the one list."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from golden_report import make_plan, make_results
from report_support import invented

import harness.report
from harness.report.formats import html, markdown
from harness.report.sections.order import SECTIONS
from harness.report.sections.section import Link, Report
from harness.summary.build import summarise

TEMPLATES = Path(harness.report.__file__).parent / "templates"


def test_every_template_is_of_a_section() -> None:
    """And no two sections share one: a template that nothing includes is dead."""
    anchors = [section.LINK.anchor for section in SECTIONS]
    assert sorted([*anchors, "index"]) == sorted(path.stem for path in TEMPLATES.glob("*.html"))


def test_the_navigation_leads_to_every_section_that_is_there() -> None:
    """In the order of the list, under the same titles; what has nothing to say is in neither."""
    for summary, absent in ((invented(3, 12), {"seeds", "rationales"}), (invented(1, 1), {"trade-off"})):
        page = html.render(Report(summary=summary))
        links = re.findall(r'<a href="#([\w-]+)">([^<]+)</a>', page.split("<nav")[1].split("</nav>")[0])
        shown = re.findall(r'<section id="([\w-]+)">', page)
        assert [anchor for anchor, _ in links] == shown
        assert links == [(one.LINK.anchor, one.LINK.title) for one in SECTIONS if one.LINK.anchor in shown]
        assert absent.isdisjoint(shown)
        assert {one.LINK.anchor for one in SECTIONS if one.LINK.is_always_there} <= set(shown)


def test_a_new_section_needs_the_list_and_a_template(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It then stands in page, navigation and report.md."""

    class Extra:
        LINK = Link("extra", "Extra")

        def markdown(self, report: Report) -> str:
            return f"## Extra\n\n{report.summary.title}"

        def page(self, report: Report) -> dict[str, str]:
            return {"word": f"<{report.summary.title}>"}

    (tmp_path / "extra.html").write_text('<section id="extra">{{ word }}</section>\n', encoding="utf-8")
    loader = html._environment().loader
    assert loader is not None
    monkeypatch.setattr(loader, "get_source", _with(tmp_path, loader.get_source))
    for module in (html, markdown):
        monkeypatch.setattr(module, "SECTIONS", (*SECTIONS, Extra()))
    report = Report(summary=summarise(make_plan(), make_results()))
    assert markdown.render(report).endswith("\n\n## Extra\n\ngolden\n")
    page = html.render(report)
    assert '<section id="extra">&lt;golden&gt;</section></main>' in page
    assert '<a href="#extra">Extra</a>' in page


def _with(folder: Path, source: Any) -> Any:
    """Return `get_source` that also finds templates in `folder`."""

    def found(environment: Any, name: str) -> Any:
        path = folder / name
        if path.is_file():
            return path.read_text(encoding="utf-8"), str(path), lambda: True
        return source(environment, name)

    return found
