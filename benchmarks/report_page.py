"""How large the HTML report gets, and how fast it opens and sorts: `python benchmarks/report_page.py`.

Invented numbers over the tasks of MTEB(eng, v1) and five ability tasks; needs Chromium. Times are wall clock, so run it
on a quiet machine; the test of the same numbers is tests/harness/report/formats/test_html_in_browser.py.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from harness.report.formats import html
from harness.report.sections.section import Report

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

SIZES = ((3, 9), (6, 61), (20, 61))
SORT = (
    "new Promise(done => { const t = performance.now();"
    " document.querySelectorAll('#task-table thead button')[5].click();"
    " requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - t))); })"
)


def main() -> None:
    """Print a line a size."""
    from chromium_support import browser
    from report_support import invented

    print("models x tasks   written   size     opens    sorts")
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder) / "profile") as page:
        for models, tasks in SIZES:
            path = Path(folder) / "index.html"
            report = invented(models, tasks)
            started = time.perf_counter()
            path.write_text(html.render(Report(summary=report)), encoding="utf-8")
            written = time.perf_counter() - started
            started = time.perf_counter()
            page.open(path)
            opens = time.perf_counter() - started
            sorts = page.evaluate(SORT) / 1000
            size = path.stat().st_size / 1e6
            print(f"{models:6} x {tasks:<7} {written:6.2f} s {size:5.2f} MB {opens:6.2f} s {sorts:6.2f} s")


if __name__ == "__main__":
    main()
