"""Two rules: an adapter that answers, and one that is switched off for answering and shares its base's record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from candidates_support import candidate_directory, chat_model

from harness.comparison.compare import compare
from harness.comparison.pair import without_interval
from harness.errors import InputError
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.gates.check import Judge
from harness.gates.judge import judge
from harness.plan.planner import make_plan
from harness.report import comparison_files
from harness.report.pictures import svg
from harness.report.pictures.data import Point, Whisker
from harness.report.write import write_report
from harness.results.facts import facts_of
from harness.results.outcome import RunOutcome, outcome_of
from harness.results.records import Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.load import load_suite
from harness.suite.schema import Suite
from harness.summary.build import summarise

SENTENCES = ["the cat sat on the mat", "a dog ran over the hill", "rain fell all night", "two men play chess"]
BASE = {"name": "base", "encoder": "mean-pool", "device": "cpu"}
SWITCHED = {"name": "switched", "serving": "switched", "device": "cpu"}
MERGED = {"name": "merged", "device": "cpu"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, a candidate with an adapter over it, and texts of our own for both axes."""
    folder = tmp_path_factory.mktemp("place")
    chat_model(folder / "base")
    candidate_directory(
        folder / "run", folder / "base", kind="mean-pool", adapter=True, encoder="{max_text_tokens: 40}"
    )
    rows = [{"sentence1": one, "sentence2": two, "score": n} for n, (one, two) in enumerate(pairs())]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": one}) + "\n" for one in SENTENCES))
    return folder


def pairs() -> list[tuple[str, str]]:
    return [(one, two) for one in SENTENCES for two in SENTENCES if one < two]


def suite_of(place: Path, *models: dict[str, Any]) -> Suite:
    """Return a suite over both axes; a model without weights of its own is the candidate."""
    entries = [
        one | ({"model": str(place / "base")} if "encoder" in one else {"candidate": str(place / "run")})
        for one in models
    ]
    tasks = {
        "custom": [{"name": "own", "type": "STS", "path": str(place / "pairs.jsonl")}],
        "ability": [{"name": "lm_nll", "file": str(place / "texts.jsonl"), "column": "text"}],
    }
    return Suite.model_validate({"version": 1, "name": "s", "models": entries, "tasks": tasks})


def outcome(place: Path, results: Path, *models: dict[str, Any]) -> RunOutcome:
    return run(suite_of(place, *models), RunOptions(results=results, sources=Sources(offline=True)))


def keys(found: RunOutcome) -> dict[str, str | None]:
    return {str(cell): cell.key for cell in found.plan.cells}


@pytest.mark.parametrize("order", [(BASE, SWITCHED, MERGED), (SWITCHED, MERGED, BASE)], ids=["base first", "last"])
def test_a_switched_candidate_has_the_bases_record_and_its_own_vectors(
    place: Path, tmp_path: Path, order: tuple[dict[str, Any], ...]
) -> None:
    """Whoever comes first: the record is one of the base's, and says nothing of an adapter or a training."""
    found = outcome(place, tmp_path, *order)
    key = keys(found)
    assert key["switched/lm_nll"] == key["base/lm_nll"] != key["merged/lm_nll"]
    assert key["switched/own"] == key["merged/own"] != key["base/own"]
    assert len(list(Store(tmp_path).all_results())) == 4
    scores = {name: one for name, one in found.results.items() if isinstance(one, Score)}
    assert len(scores) == 6
    assert scores["switched/lm_nll"].score == scores["base/lm_nll"].score != scores["merged/lm_nll"].score
    facts = facts_of(scores["switched/lm_nll"])
    assert (facts.adapter, facts.training, facts.selected_on) == (None, {}, None)
    assert facts_of(scores["switched/own"]).adapter


def test_what_was_measured_before_there_was_a_rule_stays(place: Path, tmp_path: Path) -> None:
    """The usual rule is in no key, by whatever name it is asked for."""
    said = outcome(place, tmp_path, BASE, MERGED)
    again = outcome(place, tmp_path, BASE | {"serving": "merged"}, MERGED | {"serving": "merged", "adapter_scale": 1})
    assert keys(said) == keys(again)
    assert again.ran == 0


def test_a_candidate_says_its_own_rule_and_the_suite_wins(place: Path, tmp_path: Path) -> None:
    """`encoder: {serving: switched}` in candidate.yaml is a default."""
    candidate_directory(tmp_path / "run", place / "base", kind="mean-pool", adapter=True, encoder="{serving: switched}")
    entries = [{"name": "own", "candidate": str(tmp_path / "run")}]
    entries.append(entries[0] | {"name": "suite", "serving": "merged"})
    suite = Suite.model_validate({"version": 1, "name": "s", "models": entries})
    assert [one.serving for one in make_plan(suite, Sources(offline=True)).candidates] == ["switched", "merged"]


def test_nothing_is_switched_where_there_is_no_adapter(place: Path, tmp_path: Path) -> None:
    """All such candidates of a suite are named at once, before anything loads."""
    candidate_directory(tmp_path / "run", place / "base", kind="mean-pool")
    entries = [{"name": f"c{n}", "candidate": str(tmp_path / "run"), "serving": "switched"} for n in range(2)]
    suite = Suite.model_validate({"version": 1, "name": "s", "models": entries})
    with pytest.raises(InputError) as caught:
        make_plan(suite, Sources(offline=True))
    assert caught.value.problems == [f"model 'c{n}': serving: there is no adapter; take it out" for n in range(2)]


READER = {"name": "reader", "kind": "rationale", "writer": "base", "device": "cpu"}
READER |= {"generation": {"max_new_tokens": 4, "temperature": 1.0}, "adapter_scale": 0.5}
GATES = [{"axis": "ability", "floor": 0, "each": True, "task": "lm_nll"}]


@pytest.fixture(scope="module")
def everything(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a base, its candidate under both rules, and a reader of the base's rationales; and their suite."""
    folder = tmp_path_factory.mktemp("everything")
    suite = suite_of(place, BASE, SWITCHED, MERGED, READER)
    plain = suite.model_dump(mode="json", exclude_unset=True) | {"gates": GATES, "baseline": "base"}
    (folder / "s.yaml").write_text(json.dumps(plain))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(folder / "cache"))
        loaded = load_suite(folder / "s.yaml").suite
        found = run(loaded, RunOptions(results=folder / "results", sources=Sources(offline=True)))
    assert found.exit_code == 0, found.results
    write_report(found.plan, found.results, Store(folder / "results"), folder / "report")
    return folder


def test_a_report_names_the_rule_of_every_row(everything: Path) -> None:
    """In words, with its price; on cards, in the verdict on ability, and in the picture."""
    report = (everything / "report" / "report.md").read_text()
    assert "General ability of **switched** against base: **same language model**" in report
    assert "Served switched: answers with the adapter off: the base itself." in report
    assert report.count("Served merged: the adapter was on.") == 2
    assert "- **switched**: switched: answers with the adapter off: the base itself; the price: " in report
    assert "a text is read once more for the vector, since keys and values are not shared" in report
    assert "- **merged**: merged: one set of weights, the adapter on, embeds and answers" in report
    assert "- **reader**: adapter_scale 0.5: the weights are W + 0.5 x BA" in report
    assert (
        "- **reader**: its rationales are written by its base, the same weights without the adapter (4 tokens at most, "
        "temperature 1); the price: text and rationale are read once more" in report
    )
    assert "- **base**: " not in report
    assert all(f"| {name} |" in report for name in ("switched (switched)", "merged (merged)", "base"))
    page = (everything / "report" / "index.html").read_text()
    assert page.count("served switched</span>") == 1
    assert page.count("served merged</span>") == 2
    assert "same language model as the baseline, measured once, served switched: answers with the adapter off" in page


def test_the_picture_says_under_which_rule_a_point_stands() -> None:
    zero = Whisker(value=0.0)
    points = [Point(name="b", index=0, x=zero, y=zero, is_baseline=True)]
    points += [Point(name="m", index=1, x=Whisker(value=1.0), y=zero, rule="switched")]
    assert "m (switched)" in svg.trade_off(points, width=760, height=420, baseline="b")
    assert "m (switched)" in svg.trade_off([points[0], replace(points[1], y=None)], width=760, height=420, baseline="b")
    assert ">b (baseline)<" in svg.trade_off(points, width=760, height=420, baseline="b")


@pytest.mark.parametrize("with_suite", [True, False])
def test_compare_names_the_rule_of_each_side(everything: Path, place: Path, *, with_suite: bool) -> None:
    """From a suite's plan, and from what is stored alone, where the two share their records."""
    found = compare(
        "switched",
        "merged",
        suite=everything / "s.yaml" if with_suite else None,
        results=everything / "results",
        sources=Sources(offline=True),
    )
    assert dict(found.rules) == {"switched": "switched", "merged": "merged"}
    text = comparison_files.text(found)
    assert "switched is served switched: it answers with the adapter off: the base itself." in text
    assert "merged is served merged: one set of weights, the adapter on, embeds and answers." in text
    assert comparison_files.as_json(found)["rules"] == dict(found.rules)
    base = compare("base", "merged", results=everything / "results")
    assert dict(base.rules) == {"merged": "merged"}


def test_a_gate_names_the_rule(everything: Path) -> None:
    plan = make_plan(load_suite(everything / "s.yaml").suite, Sources(offline=True))
    done = outcome_of(plan, Store(everything / "results"))
    by = Judge(summary=summarise(done.plan, done.results), baseline=None, compare=without_interval, decided=_none)
    said = {check.model: check.said for check in judge(plan.suite.gates, by)}
    assert said["switched"].endswith("(served switched)")
    assert said["reader"].endswith("(served merged)")
    assert "served" not in said["base"]


def _none(_score: Any) -> None:
    """Nothing here is made of decisions."""


def test_a_reader_of_the_bases_rationales_is_a_row_like_any_other(everything: Path) -> None:
    """Its record names the writer: the base's own identity, and how what it wrote was passed on."""
    (score,) = [
        one for one in Store(everything / "results").all_results() if (one.model, one.task) == ("reader", "own")
    ]
    facts = facts_of(score)
    assert facts.identity is not None
    assert facts.identity["writer"]["adapter"] is None
    assert facts.identity["adapter_scale"] == 0.5
    assert facts.encoder["writer"]["rationales_pass_as"] == "tokens"
    assert facts.rationales["rationales"] == 6  # three first sentences, three second ones
    assert (facts.rule, facts.adapter is not None) == ("merged", True)
