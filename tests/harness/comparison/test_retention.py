"""Retention: verdicts by hand, the arithmetic of items, and the way from stored items to the report's words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cells_support import make_score
from golden_report import make_plan, make_results
from scipy.stats import t as student
from scipy.stats import ttest_rel

from harness.comparison.evidence import evidence, judged
from harness.comparison.losses import Evidence, lower
from harness.comparison.retention import judge, judge_axis, judge_task
from harness.report.formats import markdown
from harness.report.sections.section import Report
from harness.results.records import Score
from harness.results.store import Store
from harness.statistics.tails import shape
from harness.suite.schema import Retention, Suite
from harness.summary.build import summarise

MARGIN, NATS_MARGIN = 0.5, 0.01


def flips(wins: int, losses: int, n: int, *, right: int | None = None) -> Evidence:
    """Return evidence of right-or-wrong items; the baseline has half of them right unless `right` says."""
    right = n // 2 if right is None else right
    return Evidence(
        measure="acc", unit="points", loss=100 * (losses - wins) / n, base=100 * right / n, n=n, wins=wins,
        losses=losses, scale=100.0, base_right=right,
    )  # fmt: skip


def nats(loss: float, stderr: float, n: int = 500, **changes: Any) -> Evidence:
    """Return evidence of a continuous measure in which every item differs."""
    plain = {
        "measure": "nll", "unit": "nats", "loss": loss, "base": 2.0, "n": n, "wins": n // 2, "losses": n - n // 2,
        "scale": 1.0, "stderr": stderr, "freedom": n - 1.0,
    }  # fmt: skip
    return Evidence(**plain | changes)  # type: ignore[arg-type]


def of_task(main: Evidence | None, in_nats: Evidence | None = None, chance: float | None = 25.0) -> Any:
    """Return the verdict on one task at the default margins."""
    return judge_task("task", main, in_nats, chance=chance, margin=MARGIN, nats_margin=NATS_MARGIN)


def test_a_hundred_items_without_a_flip_decide_nothing() -> None:
    """They exclude no loss under 2.95 points; 599 would decide; 599 do, and so do a thousand with a flip each way."""
    found = judge(flips(0, 0, 100), MARGIN)
    assert (found.verdict, found.needed) == ("undecided", 599)
    assert found.upper == pytest.approx(2.95, abs=0.01)
    assert found.excludable == pytest.approx(found.upper)
    assert judge(flips(0, 0, 598), MARGIN).verdict == "undecided"
    assert judge(flips(0, 0, 599), MARGIN).verdict == "retained"
    assert judge(flips(1, 1, 1000), MARGIN).verdict == "retained"


@pytest.mark.parametrize(
    ("wins", "losses", "n", "verdict"),
    [(0, 30, 100, "lost"), (0, 2, 100, "undecided"), (30, 0, 100, "retained"), (200, 210, 14000, "retained"),
     (400, 430, 4000, "undecided"), (200, 300, 4000, "lost"), (0, 5, 1000, "undecided")],
)  # fmt: skip
def test_verdicts_of_flips(wins: int, losses: int, n: int, verdict: str) -> None:
    """A gain is retained; a loss of the margin itself is undecided however many items; limits and verdict agree."""
    found = judge(flips(wins, losses, n), MARGIN)
    assert found.verdict == verdict
    assert (found.upper < MARGIN) == (verdict == "retained")
    assert (found.lower > MARGIN) == (verdict == "lost")
    assert found.lower <= found.evidence.loss <= found.upper


def test_so_many_items_would_decide() -> None:
    """With the flips scaled up to the number named, the verdict falls; with 15 % less it does not."""
    for wins, losses in ((1, 1), (3, 3), (0, 4)):
        found = judge(flips(wins, losses, 200), MARGIN)
        assert found.verdict == "undecided"
        assert found.needed is not None
        factor = found.needed / 200
        for share, decided in ((1.0, True), (0.85, False)):
            more = flips(round(wins * factor * share), round(losses * factor * share), round(found.needed * share))
            assert (judge(more, MARGIN).verdict != "undecided") is decided, (wins, losses, share)
    assert judge(flips(0, 5, 1000), MARGIN).needed is None  # the loss is the margin


def test_a_continuous_measure_takes_students_t() -> None:
    """At a loss of 0.002 with an error of 0.004 the limit is 0.002 + 1.648 x 0.004; at 0.006 nothing is decided."""
    kept = judge(nats(0.002, 0.004), NATS_MARGIN)
    assert (kept.verdict, kept.upper) == ("retained", pytest.approx(0.002 + 1.6479 * 0.004, rel=1e-4))
    open_ = judge(nats(0.002, 0.006), NATS_MARGIN)
    assert open_.verdict == "undecided"
    assert open_.needed == pytest.approx(500 * (1.6479 * 0.006 / 0.008) ** 2, rel=0.01)
    assert judge(nats(0.03, 0.004), NATS_MARGIN).verdict == "lost"


def test_a_long_tail_of_losses_makes_the_verdict_less_sure() -> None:
    """Skewness 3 over 100 items moves the limit out, towards gains it changes nothing; limit and verdict agree."""
    plain = judge(nats(0.002, 0.004, 100), NATS_MARGIN)
    tailed = judge(nats(0.002, 0.004, 100, skewness=3.0), NATS_MARGIN)
    assert tailed.upper > plain.upper
    assert judge(nats(0.002, 0.004, 100, skewness=3.0, skewness_error=0.5), NATS_MARGIN).upper > tailed.upper
    assert judge(nats(0.002, 0.004, 100, skewness=-3.0), NATS_MARGIN).upper == plain.upper
    for limit, verdict in ((tailed.upper * 1.001, "retained"), (tailed.upper * 0.999, "undecided")):
        assert judge(tailed.evidence, limit).verdict == verdict


def test_a_continuous_measure_without_a_difference_is_no_proof_either() -> None:
    """Where none of a hundred items moved, losses of up to 2.95 % of an item's nats are not excluded."""
    same = nats(0.0, 0.0, 100, wins=0, losses=0, scale=2.0)
    found = judge(same, NATS_MARGIN)
    assert (found.verdict, found.upper) == ("undecided", pytest.approx(2.0 * 0.0295, rel=1e-2))
    assert judge(replace(same, n=1000), NATS_MARGIN).verdict == "retained"


def test_a_baseline_at_chance_leaves_the_word_to_nats() -> None:
    """25 of 100 at chance 25 is not measurable, whatever the flips; 30 of 100 may be chance; 60 is not."""
    lost = nats(0.1, 0.004)
    for right in (20, 25, 30):
        found = of_task(flips(0, 0, 100, right=right), lost)
        assert (found.verdict, found.decision) == ("not measurable", "lost")
        assert "chance" in str(found.why)
    assert of_task(flips(0, 30, 100, right=60), lost).verdict == "lost"
    assert of_task(flips(0, 0, 100, right=0), None, chance=0.0).decision is None
    assert of_task(flips(0, 0, 1000, right=4), None, chance=0.0).verdict == "not measurable"
    assert of_task(flips(0, 0, 1000, right=40), None, chance=0.0).verdict == "retained"


def test_no_paired_items_are_undecided_and_another_unit_is_not_measurable() -> None:
    """Neither is ever retained."""
    assert of_task(None).verdict == "undecided"
    raw = of_task(replace(flips(0, 0, 5000), unit="raw"), nats(0.0, 0.001))
    assert (raw.verdict, raw.decision) == ("not measurable", "retained")


def test_the_axis_is_the_mean_of_the_measurable_tasks() -> None:
    """Losses 1 and -1 over two tasks are a mean of 0, whose limit is the root of the squares halved."""
    one, other = of_task(flips(10, 20, 1000)), of_task(flips(20, 10, 1000))
    found = judge_axis("m", "b", [one, other], margin=MARGIN)
    reaches = [task.main.upper - task.main.evidence.loss for task in (one, other)]
    assert (found.loss, found.upper) == (pytest.approx(0.0), pytest.approx(np.hypot(*reaches) / 2))
    assert found.verdict == "undecided"
    assert found.needed is not None
    assert found.needed > 2000


def test_the_worst_word_counts_on_the_axis() -> None:
    """A lost task that only nats can decide makes the axis lost; one that nothing decides is named, not averaged."""
    kept, at_chance = of_task(flips(0, 0, 5000)), of_task(flips(0, 0, 100, right=25), nats(0.1, 0.004))
    assert judge_axis("m", "b", [kept], margin=MARGIN).verdict == "retained"
    found = judge_axis("m", "b", [kept, at_chance], margin=MARGIN)
    assert (found.verdict, found.by_nats, found.measurable) == ("lost", (at_chance,), (kept,))
    nothing = of_task(flips(0, 0, 100, right=25))
    assert judge_axis("m", "b", [kept, nothing], margin=MARGIN).verdict == "retained"
    assert judge_axis("m", "b", [nothing], margin=MARGIN).verdict == "not measurable"
    assert judge_axis("m", "b", [kept, of_task(None)], margin=MARGIN).verdict == "undecided"


def test_a_margin_is_above_zero() -> None:
    """Zero, less and NaN are refused, in the suite as in the function."""
    for margin in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="margin"):
            judge(flips(0, 0, 100), margin)
    with pytest.raises(ValueError, match="margin"):
        Retention(margin=0)
    assert (Retention().margin, Retention().nats_margin) == (MARGIN, NATS_MARGIN)


def cell(store: Store, model: str, right: Any, gold: Any, *, parts: int = 1, tokens: Any = None) -> Score:
    """Commit an ability cell of `parts` equal parts with its items."""
    n = len(right)
    names = np.repeat([f"part{number}" for number in range(parts)], n // parts)
    items = pa.table(
        {
            "part": names, "split": ["test"] * n, "subset": names, "item": np.arange(n) % (n // parts),
            "score": np.asarray(right, dtype=np.float64), "gold_nll": gold,
            "gold_tokens": np.full(n, 2) if tokens is None else tokens,
        }
    )  # fmt: skip
    score = make_score(
        key=f"{model}".ljust(20, "0"), model=model, axis="ability", type="Knowledge", task="facts",
        metric="exact_match", score=100 * float(np.mean(right)), n=n,
    )  # fmt: skip
    return store.put_score(score, items, "question")


def test_evidence_comes_from_the_stored_items(tmp_path: Path) -> None:
    """Flips are counted, nats per token have the paired t error, and both survive the cache."""
    rng = np.random.default_rng(0)
    right, gold = rng.random(200) < 0.6, rng.gamma(2.0, 1.0, 200)
    own = right.copy()
    own[np.flatnonzero(right)[:7]] = False
    own[np.flatnonzero(~right)[:2]] = True
    worse = gold + rng.normal(0.1, 0.2, 200)
    store = Store(tmp_path)
    base, model = cell(store, "base", right, gold, parts=2), cell(store, "model", own, worse, parts=2)
    found = evidence(store, model, base)
    assert found.main is not None
    assert (found.main.wins, found.main.losses, found.main.n, found.main.base_right) == (2, 7, 200, int(right.sum()))
    assert found.main.loss == pytest.approx(2.5)
    assert found.nats is not None
    assert found.nats.loss == pytest.approx((worse - gold).mean() / 2)
    whole = ttest_rel(worse / 2, gold / 2)
    assert found.nats.stderr == pytest.approx(found.nats.loss / whole.statistic, rel=0.02)  # but for the two parts
    apart = worse - gold  # every item has two tokens: the losses themselves have the shape
    assert (found.nats.skewness, found.nats.freedom) == pytest.approx(shape(apart, 198.0)[::2], rel=0.02)
    assert found.nats.skewness_error == pytest.approx(shape(apart, 198.0).error, rel=0.02)
    assert evidence(store, model, base) == found
    assert evidence(store, base, model).main.loss == pytest.approx(-2.5)  # type: ignore[union-attr]


def test_other_tokens_are_no_pair(tmp_path: Path) -> None:
    """Two tokenizers read the gold answers in other tokens: flips still count, nats do not."""
    store, right, gold = Store(tmp_path), np.ones(50), np.ones(50)
    base = cell(store, "base", right, gold)
    model = cell(store, "model", right, gold, tokens=np.full(50, 3))
    found = evidence(store, model, base)
    assert found.main is not None
    assert found.nats is None


def test_the_report_says_it_and_never_calls_undecided_retained(tmp_path: Path) -> None:
    """`sums` has 100 items without a flip, `facts` 2000: undecided and retained, and undecided over both."""
    store, plan, results = Store(tmp_path), make_plan(), make_results()
    for task, n in (("sums", 100), ("facts", 2000)):
        right = np.arange(n) % 2
        for model in ("base", "other"):
            stored = replace(cell(store, model, right, np.ones(n)), task=task, n=n)
            items = store.items_of(cell(store, model, right, np.ones(n)))
            results[f"{model}/{task}"] = store.put_score(replace(stored, key=f"{model}{task}", items=None), items, "q")
    report = summarise(plan, results, weigh=lambda score, base: evidence(store, score, base))
    (other,) = report.retention
    assert [one.verdict for one in other.tasks] == ["undecided", "retained"]
    assert other.verdict == "undecided"
    said = markdown.render(Report(summary=report))
    assert "General ability of **other** against base: **undecided** (+0.00 points over 2 task(s)" in said
    assert "| sums | other | undecided | 0.00 | above 2.95 | 0 / 0 of 100 | 2.95 | 0.5 | about 599 items" in said
    assert "| facts | other | retained | 0.00 | above 0.15 | 0 / 0 of 2000 |" in said


@pytest.mark.parametrize("n", [60, 200])
def test_a_mean_retained_over_few_items_says_what_they_may_lack(tmp_path: Path, n: int) -> None:
    """A baseline with nothing right leaves the word to nats; 60 items may lack a rare large loss, 200 do not."""
    store, plan, results = Store(tmp_path), make_plan(), make_results()
    gold = np.random.default_rng(0).gamma(2.0, 1.0, n)
    for model, nats_of in (("base", gold), ("other", gold + np.random.default_rng(1).normal(0, 1e-3, n))):
        stored = replace(cell(store, model, np.zeros(n), nats_of), task="sums", n=n, score=0.0)
        items = store.items_of(cell(store, model, np.zeros(n), nats_of))
        results[f"{model}/sums"] = store.put_score(replace(stored, key=f"{model}sums", items=None), items, "q")
    said = markdown.render(
        Report(summary=summarise(plan, results, weigh=lambda score, base: evidence(store, score, base)))
    )
    assert "not measurable; by nats: retained" in said
    assert (f"a rare large loss may be missing among {n} items" in said) == (n == 60)


def test_the_margin_is_the_suites_and_in_no_key() -> None:
    """A margin of 5 points turns the verdict; the suite's schema has it, cells do not."""
    plan = make_plan()
    wide = plan.suite.model_copy(update={"retention": Retention(margin=5.0)})
    assert judge(flips(0, 0, 100), wide.retention.margin).verdict == "retained"
    assert Suite.model_validate({"version": 1, "name": "x", "retention": {"margin": 1}}).retention.margin == 1


def test_six_chances_to_be_lost_are_divided_among_them() -> None:
    """A loss sure at 4 % makes the axis lost alone, and undecided as one of six; one sure at 0.5 % does in both."""
    kept = replace(of_task(nats(0.0, 0.001)), task="kept")
    for p_value, alone, of_six in (
        (0.04, "lost", "undecided"),
        (0.005, "lost", "lost"),
        (0.2, "undecided", "undecided"),
    ):
        error = 0.1 / float(student.ppf(1 - p_value, 999))  # a loss of 0.11 nats at a margin of 0.01
        one = of_task(nats(0.11, error, 1000))
        assert judge_axis("m", "b", [one], margin=MARGIN).verdict == alone
        found = judge_axis("m", "b", [one, *[kept] * 5], margin=MARGIN)
        assert (found.verdict, found.lost_level) == (of_six, pytest.approx(0.05 / 6))


def test_the_mean_shares_the_level_with_the_tasks_in_nats() -> None:
    """Flips whose loss is clear of the margin at 5 % and not at 2.5 % are lost alone, and not beside a kept task."""
    kept = of_task(nats(0.0, 0.001))
    for losses in range(20, 60):
        one = of_task(flips(20, losses, 1000))
        alone = judge_axis("m", "b", [one], margin=MARGIN)
        beside = judge_axis("m", "b", [one, kept], margin=MARGIN)
        limit = lower(one.main.evidence, 0.025)  # type: ignore[union-attr]
        assert (alone.verdict == "lost") == (alone.lower > MARGIN)
        assert (beside.verdict == "lost") == (limit > MARGIN)
        assert beside.lower == alone.lower
    assert beside.verdict == "lost"


def test_all_must_be_retained_at_five_percent() -> None:
    """Retained is not divided: a loss excluded at 4 % is, in six tasks of six too."""
    error = 0.01 / float(student.ppf(1 - 0.04, 999))
    one = of_task(nats(0.0, error, 1000))
    assert judge_axis("m", "b", [one] * 6, margin=MARGIN).verdict == "retained"


def test_what_was_judged_is_kept_by_evidence_and_margin(tmp_path, monkeypatch) -> None:
    """The second time nothing is tested; another margin is, and so is what stands in a damaged file."""
    store = Store(tmp_path)
    for one in (flips(3, 5, 500), nats(0.002, 0.006)):
        found = judged(store, one, MARGIN)
        assert found == judge(one, MARGIN)
        other = judged(store, one, 2 * MARGIN)
        assert (other.margin, other.upper) == (2 * MARGIN, found.upper)
        with monkeypatch.context() as patch:
            patch.setattr("harness.comparison.evidence.judge", None)
            assert judged(store, one, MARGIN) == found
        for path in (tmp_path / "comparisons").iterdir():
            path.write_text('{"verdict": "retained"', encoding="utf-8")
        assert judged(store, one, MARGIN) == found
