"""The page as text: what it says, what it escapes, what it may do; test_html_in_browser.py opens it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import pytest
from report_support import TRAINING, compare, invented, invented_parts

from harness.report.formats import html
from harness.report.pictures import svg
from harness.report.pictures.data import Point, Whisker
from harness.report.sections import cards, contamination, costs, published, types
from harness.report.sections.section import Report
from harness.report.sections.types import panels
from harness.results.records import Score
from harness.statistics.difference import Difference, adjusted
from harness.summary.build import summarise
from harness.summary.views import Summary

HOSTILE = """<script>alert("note")</script>"><img src=x onerror=alert('attribute')>"""


@pytest.fixture(scope="module")
def summary() -> Summary:
    """Three models, seven embedding and five ability tasks."""
    return invented(3, 12)


@pytest.fixture(scope="module")
def page(summary: Summary) -> str:
    """Its page."""
    return html.render(Report(summary=summary))


def test_the_same_results_give_the_same_page(summary: Summary, page: str) -> None:
    """The page is a function of the report: no clock, host or order of dictionaries in it."""
    assert html.render(Report(summary=summary)) == page


def test_the_policy_allows_the_pages_own_script_alone(page: str) -> None:
    """The hash in the policy is that of the one script, and nothing else may run or be asked for."""
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    said = policy[1].replace("&#39;", "'").replace("&#43;", "+")
    assert said.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{digest}';" in said
    assert "unsafe-inline" not in said.split("style-src")[0]


def test_the_page_names_no_address(page: str) -> None:
    """No source, style sheet or import that a browser would fetch."""
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:,)[^"']*""", page)
    assert not re.findall(r"@import|url\(", page)


def test_what_others_wrote_is_text() -> None:
    """Descriptions, notes, messages, tracebacks and prompts with markup in them are shown, not obeyed."""
    said = html.render(Report(summary=invented(3, 12, note=HOSTILE, description='<img src="x" onerror="alert(1)">')))
    body = said.split("</style>", 1)[1].rsplit("<script>", 1)[0]
    assert "<script" not in body
    assert "<img" not in body
    assert not re.search(r"<[^>]*\sonerror=", body)
    assert "&lt;b&gt;it broke&lt;/b&gt;" in body
    assert "Traceback &lt;1&gt;" in body
    assert "q: &lt;i&gt;" in body


def test_a_card_says_why_an_axis_has_no_mean() -> None:
    """Scores in nats alone are no missing scores, and the card does not call them that."""
    plan, results = invented_parts(2, 8)
    ability = [name for name, one in results.items() if isinstance(one, Score) and one.axis == "ability"]
    in_nats = {name: replace(results[name], unit="nats", lower_is_better=True) for name in ability}
    kept = summarise(plan, results | in_nats, compare)
    said = [line.reason for card in cards.cards(kept, {}) for line in card.lines if line.axis == "ability"]
    assert said == ["no mean: none of its scores is in points"] * 2
    apart = {name: one for name, one in results.items() if name not in ability}
    one_each = {ability[0]: results[ability[0]], ability[-1]: results[ability[-1]]}
    found = summarise(plan, apart | one_each, compare)
    said = [line.reason for card in cards.cards(found, {}) for line in card.lines if line.axis == "ability"]
    assert said == ["no task that every model has a score for"] * 2


def test_a_card_says_gained_lost_or_unclear() -> None:
    """The verb follows the interval, and a loss is given as a positive number with its ends in order."""
    said = cards._change
    clear = Difference(value=-3.0, stderr=0.5, low=-4.0, high=-2.0, n=3)
    assert said("embedding", clear) == "lost 3.00 [2.00, 4.00] points on embedding"
    gained = Difference(value=3.0, stderr=0.5, low=2.0, high=4.0, n=3)
    assert said("embedding", gained) == "gained 3.00 [2.00, 4.00] points on embedding"
    unclear = Difference(value=-0.5, stderr=0.5, low=-1.5, high=0.5, n=3)
    assert said("ability", unclear) == "no clear change on ability: -0.50 [-1.50, 0.50] points"
    bare = Difference(value=1.0, stderr=None, low=None, high=None, n=3)
    assert said("ability", bare) == "ability changed by +1.00 points, how surely cannot be said"


def test_cards_hold_every_model_and_their_means(summary: Summary) -> None:
    """Each model has a card; the baseline has no difference, the others one on each axis."""
    found = cards.cards(summary, {})
    assert [card.model for card in found] == list(summary.models)
    assert [card.is_baseline for card in found] == [True, False, False]
    assert all(line.difference is None for line in found[0].lines)
    assert [line.axis for line in found[1].lines if line.difference] == ["embedding", "ability"]
    assert found[0].verdict is None
    assert found[1].verdict == summary.retention[0].verdict
    assert f"general ability {found[1].verdict}" in found[1].sentence
    assert ("bad", "1 failed") in found[2].badges
    assert ("warn", "1 missing") in found[2].badges


def test_bars_begin_at_0_and_whiskers_are_of_the_mean() -> None:
    """A mean of two tasks with a standard error of 1 each reaches 1.96 / sqrt(2) = 1.386 either way."""
    assert types._reach([invented(1, 3).cells["model-0", "STSBenchmark"].score] * 2) == pytest.approx(1.3859, abs=1e-4)
    assert types._reach([None]) is None
    for panel in panels(invented(2, 8)):
        for bar in panel.bars:
            assert min(abs(bar.left - panel.zero), abs(bar.left + bar.width - panel.zero)) < 1e-9
            assert 0 <= bar.left <= bar.left + bar.width <= 100


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-1, 1, [-1, -0.5, 0, 0.5, 1]), (0, 31, [0, 10, 20, 30, 40]), (-7.2, 2.5, [-8, -6, -4, -2, 0, 2, 4])],
)
def test_ticks_are_round_and_span_the_data(low: float, high: float, expected: list[float]) -> None:
    """Steps of 1, 2 or 5 times a power of ten, from below the least to above the most."""
    assert svg.ticks(low, high) == expected


def test_a_point_lies_where_its_numbers_say() -> None:
    """Equal and opposite differences lie at equal distances from the baseline, and labels stay in the picture."""
    models = [
        Point(name="a-rather-long-name-of-a-model", index=1, x=Whisker(value=4.0), y=Whisker(value=-2.0)),
        Point(name="other", index=2, x=Whisker(value=-4.0), y=Whisker(value=2.0)),
        Point(name="base", index=0, x=Whisker(value=0.0), y=Whisker(value=0.0), is_baseline=True),
    ]
    drawn = str(svg.trade_off(models, width=340, height=380, baseline="base"))
    corners = [
        [tuple(map(float, pair.split(","))) for pair in points.split()]
        for points in re.findall(r'class="mark" points="([^"]*)"', drawn)
    ]
    circle = re.search(r'class="mark" cx="([\d.]+)" cy="([\d.]+)"', drawn)
    assert circle is not None
    x, y = float(circle[1]), float(circle[2])
    first, second = (((max(p[0] for p in one) + min(p[0] for p in one)) / 2, one[0][1]) for one in corners)
    assert first[0] - x == pytest.approx(x - second[0], abs=0.2)
    assert first[1] > y > second[1]
    for at, anchor, text in re.findall(r'class="label" x="([\d.-]+)"[^>]*text-anchor="(\w+)">([^<]*)<', drawn):
        left = float(at) - {"start": 0, "middle": 0.5, "end": 1}[anchor] * 6 * len(text)
        assert 0 <= left <= 340 - 6 * len(text)


def test_without_ability_the_picture_is_a_line_a_model() -> None:
    """Nothing is drawn on an axis that no model has."""
    only = Point(name="a", index=1, x=Whisker(value=1.0, low=0.5, high=1.5), y=None)
    drawn = str(svg.trade_off([only], width=760, height=420, baseline="base"))
    assert "ability" not in drawn.replace("no ability scores", "")
    assert drawn.count('class="ci"') == 1


def test_the_picture_says_why_it_has_no_ability() -> None:
    """A suite without ability tasks is not taken for a model without scores."""
    (asked, absent), none = ("but the baseline has ability scores", "has no tasks of general ability"), invented(3, 1)
    assert {task.axis for task in none.tasks} == {"embedding"}
    said = html.render(Report(summary=none))
    assert absent in said
    assert asked not in said
    plan, results = invented_parts(2, 12)
    ability = {task.name for task in plan.tasks if task.axis == "ability"}
    kept = {name: one for name, one in results.items() if name.startswith("model-0/") or one.task not in ability}
    said = html.render(Report(summary=summarise(plan, kept, compare)))
    assert asked in said
    assert absent not in said


def test_training_data_is_matched_against_tasks(summary: Summary) -> None:
    """STS-B in training marks STSBenchmark as the same data; a prompt that mentions fever marks nothing."""
    record = {one.model: one for one in contamination.records(summary)}["model-1"]
    assert record.trained_on == ("stsb-train",)
    assert {(mark.task, mark.use) for mark in record.marks} == {("STSBenchmark", "trained on")}
    assert TRAINING["prompt"] == "about fever"


@pytest.mark.parametrize(
    ("named", "task", "hit"),
    [
        ("mteb/stsbenchmark-sts", "STSBenchmark", True),
        ("data/train/stsb.train.jsonl", "STS14", True),
        ("nli", "STS14", False),
        ("SICK train", "SICK-R", True),
        ("sickness reports", "SICK-R", False),
        ("fever claims", "ClimateFEVER", True),
        ("E5 replication", "HotpotQA", True),
        ("e5 replication", "SciFact", False),
    ],
)
def test_relations_match_whole_words(named: str, task: str, hit: bool) -> None:
    """A dataset is found by its name, not by a run of letters inside another word."""
    planned = {one.name: one for one in invented(1, 61).tasks}[task]
    assert bool(list(contamination._marks("m", "trained on", named, planned))) is hit


def test_nothing_known_is_said_so(page: str) -> None:
    """A model without a training record is not called clean."""
    assert page.count("not known: no training record comes with it") == 2


def test_the_marks_stand_in_the_table(page: str) -> None:
    """The score of a task whose data was trained on carries a sign with the reason."""
    assert page.count('class="mark-sign"') == 1
    assert "trained on stsb-train: the same dataset" in page


def test_published_averages_are_recomputed() -> None:
    """The printed average of the paper's rows is (sum over types x tasks, Summarization x 10) / 65; ours are means."""
    counts = dict(zip(published.TYPES, (15, 4, 11, 3, 12, 10, 1), strict=True))
    rows = published.embedding_rows()
    assert len(rows) == 28
    for row in rows:
        weighted = sum(count * value for count, value in zip(counts.values(), row.values, strict=True))
        assert row.means[0] == pytest.approx(weighted / 56, abs=0.011)
        assert row.means[1] == pytest.approx(sum(row.values) / 7, abs=0.006)
        if row.note.startswith("printed average weights"):
            assert row.printed == pytest.approx((weighted + 9 * row.values[-1]) / 65, abs=0.06)
    for one in published.ability_rows():
        assert one.means[0] == pytest.approx(sum(one.values) / 6, abs=0.006)


def test_cost_adds_up_the_cells(summary: Summary) -> None:
    """Twelve cells of 40,000 tokens in 20 s each: 480,000 tokens, 2,000 a second; the page names them, the CSV not."""
    first = costs.costs(summary)[0]
    assert (first.cells, first.tokens, first.tokens_per_second) == (12, 480_000, 2000.0)
    assert (first.total_seconds, first.peak_memory_bytes) == (12 * 31.0, 2_000_000_000)


def test_stress_and_code_survive_and_markup_does_not() -> None:
    """A report's own sentences keep their stress; a name inside them stays text."""
    assert html.document_text("**<i>** and `a<b` & c") == "<strong>&lt;i&gt;</strong> and <code>a&lt;b</code> &amp; c"


def test_61_tasks_by_6_models_stay_small() -> None:
    """The largest page anyone runs is far below 3 MB."""
    assert len(html.render(Report(summary=invented(6, 61))).encode()) < 1_000_000


def test_the_large_table_has_p_and_q_where_a_difference_was_tested() -> None:
    """p = 0.03, 0.01 and 0.00001 come to q = 0.03, 0.015 and 0.00003; the legend says over how many."""
    given = iter((0.03, 0.01, 0.00001))

    summary = invented(2, 5)
    said = html.render(Report(summary=summary))
    assert "chances" not in said.split("</style>")[1]
    assert "Benjamini" not in said
    differences = {place: replace(one, p_value=next(given, None)) for place, one in summary.differences.items()}
    said = html.render(Report(summary=replace(summary, differences=adjusted(differences))))
    found = re.findall(r'<small class="chances">([^<]*)</small>', said)
    assert found == ["p 0.0300, q 0.0300", "p 0.0100, q 0.0150", "p &lt; 0.0001, q &lt; 0.0001"]
    assert "Hochberg over the 3 differences" in said
