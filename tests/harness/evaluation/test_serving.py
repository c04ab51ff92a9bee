"""Two rules: an adapter that answers, and one that is switched off for answering and shares its base's record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from candidates_support import candidate_directory, chat_model

from harness.errors import InputError
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.plan.planner import make_plan
from harness.results.facts import facts_of
from harness.results.outcome import RunOutcome
from harness.results.records import Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.schema import Suite

SENTENCES = ["the cat sat on the mat", "a dog ran over the hill", "rain fell all night", "two men play chess"]
BASE = {"name": "base", "encoder": "mean-pool", "device": "cpu"}
SWITCHED = {"name": "switched", "serving": "switched", "device": "cpu"}
MERGED = {"name": "merged", "device": "cpu"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, a candidate with an adapter over it, and texts of our own for both axes."""
    folder = tmp_path_factory.mktemp("place")
    chat_model(folder / "base")
    candidate_directory(folder / "run", folder / "base", kind="mean-pool", adapter=True)
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
