"""The page in a headless Chromium: nothing asked for, nothing complained of, and it does what its controls say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium_support import Page, browser
from report_support import invented

from harness.report import html

WIDTHS = (360, 820, 1400)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A tab."""
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of 61 tasks x 6 models."""
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(html.render(invented(6, 61)), encoding="utf-8")
    return path


def column(page: Page, place: int) -> list[str]:
    """Return the visible cells' sort values (or texts) of a column of the large table."""
    cells = f"[...document.querySelectorAll('#task-table tbody tr:not([hidden])')].map(row => row.cells[{place}])"
    found: list[str] = page.evaluate(f"{cells}.map(cell => cell.dataset.v ?? cell.textContent.trim())")
    return found


def click(page: Page, place: int) -> None:
    """Click the heading of a column."""
    page.evaluate(f"document.querySelectorAll('#task-table thead button')[{place}].click()")


def choose(page: Page, name: str, value: str) -> None:
    """Type or choose in a control of the large table."""
    page.evaluate(
        f"(() => {{ const one = document.querySelector('[data-filter={name}]'); one.value = {value!r};"
        " one.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def test_nothing_is_asked_for_and_nothing_complained_of(page: Page, large: Path) -> None:
    """One request, for the file itself, and a silent console, in light and dark."""
    for dark in (False, True):
        page.console.clear()
        page.requests.clear()
        page.open(large, dark=dark)
        assert set(page.requests) == {large.resolve().as_uri()}
        assert page.console == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out_sideways(page: Page, large: Path, width: int) -> None:
    """Wide tables scroll inside their frames; the page itself never does."""
    page.open(large, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_click_sorts_and_gaps_stay_last(page: Page, large: Path) -> None:
    """Scores fall, then rise; the failed and the missing cell stay at the end both times; words sort as words."""
    page.open(large)
    model = 4 + 5
    for turn in (-1, 1):
        click(page, model)
        values = column(page, model)
        assert values[-2:] == ["", ""]
        numbers = [float(value) for value in values[:-2]]
        assert numbers == sorted(numbers, key=lambda value: turn * value)
    click(page, 0)
    names = column(page, 0)
    assert len(names) == 61
    assert names[0].startswith("AmazonCounterfactual")
    assert page.evaluate("document.querySelector('#task-table th').ariaSort") == "ascending"


def test_filters_narrow_the_table(page: Page, large: Path) -> None:
    """Words, type and state work together, and the count says what is left."""
    page.open(large)
    everything = column(page, 1)
    choose(page, "type", "STS")
    assert column(page, 1) == ["STS"] * everything.count("STS")
    choose(page, "text", "sts1 ")
    assert all("STS1" in name for name in column(page, 0))
    assert (
        page.evaluate("document.querySelector('.controls output').textContent") == f"{len(column(page, 0))} of 61 tasks"
    )
    choose(page, "text", "")
    choose(page, "type", "")
    choose(page, "state", "gap")
    assert len(column(page, 0)) == 2
    choose(page, "state", "behind")
    assert 0 < len(column(page, 0)) < 61


def test_a_model_can_be_left_out(page: Page, large: Path) -> None:
    """Its column goes, heading and all."""
    page.open(large)
    page.evaluate("document.querySelector('[data-column=\"2\"]').click()")
    assert page.evaluate("document.querySelectorAll('#task-table .c2:not([hidden])').length") == 0
    assert page.evaluate("document.querySelectorAll('#task-table .c1:not([hidden])').length") == 62


def test_it_reads_without_javascript(page: Page, large: Path) -> None:
    """All scores stand in the page, and no control that would do nothing is shown."""
    page.open(large, scripts=False)
    # What a script would ask, the document answers through DevTools.
    root = page.call("DOM.getDocument", depth=0)["root"]["nodeId"]
    rows = page.call("DOM.querySelectorAll", nodeId=root, selector="#task-table tbody tr")["nodeIds"]
    assert len(rows) == 61
    controls = page.call("DOM.querySelector", nodeId=root, selector=".controls")["nodeId"]
    page.call("DOM.enable")
    page.call("CSS.enable")
    style = page.call("CSS.getComputedStyleForNode", nodeId=controls)["computedStyle"]
    assert {one["name"]: one["value"] for one in style}["display"] == "none"
    page.call("Emulation.setScriptExecutionDisabled", value=False)


def test_61_tasks_open_and_sort_within_a_second(page: Page, large: Path) -> None:
    """Opening, and one click on a heading until the next frame."""
    started = time.perf_counter()
    page.open(large)
    assert time.perf_counter() - started < 1.0
    took = page.evaluate(
        "new Promise(done => { const t = performance.now();"
        " document.querySelectorAll('#task-table thead button')[5].click();"
        " requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - t))); })"
    )
    assert took < 1000


def test_paper_shows_everything(page: Page, large: Path, tmp_path: Path) -> None:
    """Printing yields a file of several pages; controls and navigation are not on it."""
    page.open(large)
    page.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    page.call("Emulation.setEmulatedMedia", media="print")
    hidden = page.evaluate("['nav', '.controls'].map(name => getComputedStyle(document.querySelector(name)).display)")
    page.call("Emulation.setEmulatedMedia", media="")
    assert hidden == ["none", "none"]
