"""What the page holds of items that moved: every pair of models, bounded, and nothing that could be markup."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from moved_support import with_items
from report_support import invented

from harness.comparison.moved import moves
from harness.report.formats import html
from harness.report.sections import moved
from harness.report.sections.section import Report
from harness.results.store import Store

HOSTILE = "</template><script>alert(1)</script><img src=x onerror=alert(2)> & \u2028"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Three models, twelve tasks; items in those of STS and retrieval."""
    return with_items(tmp_path_factory.mktemp("results"), invented(3, 12))


def task_of(found: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what is held of a task."""
    (one,) = (task for task in found["tasks"] if task["name"] == name)
    return dict(one)


def test_any_two_models_have_the_items_that_compare_shows(report: Report) -> None:
    """Names, changes, what each made of them: as `harness compare --flips` has it, for every pair and task."""
    found, summary = moved.moved_items(report), report.summary
    assert report.store is not None
    compared = 0
    for task in found["tasks"]:
        if task["axis"] == "embedding":  # of the others two cells are a failure and a gap
            assert set(task["pairs"]) == {"0,1", "0,2", "1,2"}
        for key, pair in task["pairs"].items():
            own, base = (summary.cells[summary.models[int(one)], task["name"]].score for one in key.split(","))
            assert own is not None
            assert base is not None
            truth = moves(report.store, task["name"], own, base, most=moved.MOST_ITEMS)
            assert (pair["n"], pair["better"], pair["worse"], pair["remark"]) == (
                truth.n, truth.better, truth.worse, truth.remark,
            )  # fmt: skip
            assert [one[:4] for one in pair["items"]] == [
                [one.item, one.where, round(one.change, 6), one.gold] for one in truth.items
            ]
            for one, item in zip(pair["items"], truth.items, strict=True):
                assert [found["texts"][place] for _, place in one[4]] == [text for _, text in item.texts]
                shown = [[name, relevance] for name, _, relevance, _ in one[6][2]]
                assert shown == [[said.id, said.relevance] for said in item.a.documents[: moved.SHOWN_DOCUMENTS]]
                compared += 1
    assert compared > 20


def test_a_task_without_items_says_why(report: Report) -> None:
    """Ability cells of the invented report have none."""
    (pair, *_) = task_of(moved.moved_items(report), "gsm8k")["pairs"].values()
    assert pair["items"] == []
    assert "has no per-item results" in pair["remark"]


def test_the_page_is_bounded_and_says_what_is_left_out(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every pair of a task gets its first item before any gets a second; no text is held that nothing shows."""
    whole = moved.moved_items(report)
    monkeypatch.setattr(moved, "CHARACTERS_IN_PAGE", 20_000)
    found = moved.moved_items(report)
    held = sum(len(json.dumps(pair["items"])) for task in found["tasks"] for pair in task["pairs"].values())
    assert held + sum(map(len, found["texts"])) < 21_000
    of_items = [[len(pair["items"]) for pair in task["pairs"].values() if pair["n"]] for task in found["tasks"]]
    counts = [one for each in of_items for one in each]
    every = sum(len(pair["items"]) for task in whole["tasks"] for pair in task["pairs"].values())
    assert 0 < sum(counts) < every
    assert found["left_out"] == every - sum(counts)
    assert whole["left_out"] == 0
    places = {place for task in found["tasks"] for pair in task["pairs"].values() for place in _places(pair["items"])}
    assert places - {-1} == set(range(len(found["texts"])))
    assert f"{found['left_out']:,} more did not fit" in html.render(report)


def _places(items: list[Any]) -> set[int]:
    found = set()
    for _, _, _, _, texts, relevant, own, base in items:
        found |= {place for _, place in texts}
        found |= {document[3] for document in (*relevant, *own[2], *base[2])}
    return found


def test_a_report_without_texts_has_none(report: Report) -> None:
    """Items and documents are named, and the page says that it was written without texts."""
    page = html.render(replace(report, with_texts=False))
    assert "a text" not in page
    assert "without texts of the data" in page
    assert "query q" in page


def test_the_command_that_shows_more_names_the_results_folder(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a shell takes it, where it is another than the usual one."""
    assert report.store is not None
    monkeypatch.chdir(tmp_path)
    for folder, said in (("results", ""), ("my results", " --results 'my results'")):
        (tmp_path / folder).symlink_to(report.store.root)
        assert moved.moved_items(replace(report, store=Store(Path(folder))))["results"] == said


def test_texts_cannot_be_markup(tmp_path: Path) -> None:
    """Whatever stands in the data."""
    page = html.render(with_items(tmp_path, invented(2, 7), text=HOSTILE))
    held = page.split('<template id="moved-data">')[1].split("</template>")[0]
    assert not set("<>&") & set(held)
    assert any(HOSTILE in text for text in json.loads(held)["texts"])


def test_without_a_results_folder_there_is_no_section(report: Report) -> None:
    """Nor with one model."""
    assert moved.page(Report(summary=report.summary))["data"] is None
    assert 'id="moved"' not in html.render(Report(summary=report.summary))
