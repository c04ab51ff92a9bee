"""Readers of another's rationales in a run: cut into shards, drawn with several seeds, written once."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from candidates_support import candidate_directory, chat_model

from harness.encoders.rationale import encoder as encoder_module
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

WORDS = ["cat", "dog", "rain", "moon", "hill", "card", "shape", "night", "roof", "fox", "chain", "bridge"]
DRAWN = {"max_new_tokens": 4, "temperature": 1.0}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, a candidate over it, and pairs of texts."""
    folder = tmp_path_factory.mktemp("place")
    chat_model(folder / "base")
    for kind in ("mean-pool", "rationale"):
        options = "{max_text_tokens: 40}"
        candidate_directory(folder / kind, folder / "base", kind=kind, adapter=True, encoder=options)
    rows = [{"sentence1": f"the {a}", "sentence2": f"a {a} and a {b}", "score": n} for n, (a, b) in enumerate(pairs())]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def pairs() -> list[tuple[str, str]]:
    return list(pairwise(WORDS))


def suite_of(place: Path, *models: dict[str, Any], **changes: Any) -> Suite:
    """Return a suite over the pairs; a model is the base, or a candidate by its kind."""
    thinking = {"encoder": "rationale", "model": str(place / "base"), "max_text_tokens": 40}
    entries = [
        {"device": "cpu", **({} if "candidate" in one else thinking), **one}
        | ({"candidate": str(place / one["candidate"])} if "candidate" in one else {})
        for one in models
    ]
    tasks = {"custom": [{"name": "own", "type": "STS", "path": str(place / "pairs.jsonl")}]}
    return Suite.model_validate({"version": 1, "name": "s", "models": entries, "tasks": tasks} | changes)


def outcome(results: Path, suite: Suite, **options: Any) -> RunOutcome:
    found = run(suite, RunOptions(results=results, sources=Sources(offline=True), **options))
    assert found.exit_code == 0, [one.message for one in found.results.values() if not isinstance(one, Score)]
    return found


def watched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that fills with the texts that are written about."""
    written: list[str] = []
    whole = encoder_module.generate

    def generate(prompted: Any, rows: Any, sampling: Any, **options: Any) -> Any:
        written.extend(text for text, _ in rows if sampling.max_new_tokens)
        return whole(prompted, rows, sampling, **options)

    monkeypatch.setattr(encoder_module, "generate", generate)
    return written


READER = {"name": "reader", "candidate": "rationale", "writer": "base", "generation": DRAWN}


def test_shards_of_a_reader_give_its_score(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last digit, and each text is written about once, whoever else asks."""
    written = watched(monkeypatch)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "one"))
    whole = outcome(tmp_path / "whole", suite_of(place, READER)).results["reader/own"]
    once = sorted(written)
    assert len(set(once)) == len(once) > 10
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "two"))
    cut = outcome(tmp_path / "cut", suite_of(place, READER, shards={"max_texts": 4})).results["reader/own"]
    assert isinstance(whole, Score)
    assert isinstance(cut, Score)
    assert cut.key == whole.key
    assert abs(cut.score - whole.score) < 1e-6
    record = Store(tmp_path / "cut").get("own", cut.key)
    assert isinstance(record, Score)
    assert record.provenance["shards"]["count"] > 1
    assert not record.provenance["shards"]["remade"]
    assert sorted(written) == sorted(once * 2)
    assert facts_of(record).rationales["from_cache"] == facts_of(record).rationales["rationales"]


def test_a_reader_of_a_writer_that_draws_has_seeds_and_shares_its_pools(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader's k-th run reads what the writer's k-th run wrote; without `seeds` it reads the first."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    written = watched(monkeypatch)
    writer = {"name": "w", "generation": DRAWN, "seeds": 2}
    reads = {"candidate": "rationale", "writer": "w"}
    models = (writer, {"name": "r", **reads, "seeds": 2}, {"name": "first", **reads})
    found = outcome(tmp_path / "results", suite_of(place, *models))
    texts = {text for row in (place / "pairs.jsonl").read_text().splitlines() for text in _texts(row)}
    assert len(written) == 2 * len(texts)
    plan = make_plan(suite_of(place, *models), Sources(offline=True))
    key = {str(cell): cell.key for cell in plan.cells}
    assert key["r@seed-0/own"] == key["first/own"] != key["r@seed-1/own"]
    assert {"w/own", "r/own", "first/own"} == set(found.results)
    candidates = {one.name: one for one in plan.candidates}
    again = outcome(tmp_path / "alone", suite_of(place, *models), models=("first",))
    assert again.results["first/own"].key == key["first/own"]
    assert len(written) == 2 * len(texts)
    assert {place.source for place in candidates["first"].places} == {  # type: ignore[union-attr]
        f"folder {place / 'base'}",
        f"folder {place / 'rationale' / 'adapter'}",
    }


def _texts(row: str) -> tuple[str, str]:
    pair = json.loads(row)
    return pair["sentence1"], pair["sentence2"]


def test_a_candidate_may_read_its_base_by_its_own_word_and_no_model_of_a_suite(place: Path, tmp_path: Path) -> None:
    """candidate.yaml is a default; the suite wins."""
    own = candidate_directory(
        tmp_path / "own", place / "base", kind="rationale", adapter=True, encoder="{writer: base}"
    )
    models = [{"name": "a", "candidate": str(own)}, {"name": "b", "candidate": str(own), "writer": "self"}]
    models.append({"name": "c", "candidate": str(own), "kind": "mean-pool"})
    suite = Suite.model_validate({"version": 1, "name": "s", "models": models})
    found = make_plan(suite, Sources(offline=True)).candidates
    assert [getattr(one, "writer", None) is not None for one in found] == [True, False, False]
    other = candidate_directory(tmp_path / "o", place / "base", kind="rationale", adapter=True, encoder="{writer: w}")
    suite = Suite.model_validate({"version": 1, "name": "s", "models": [{"name": "o", "candidate": str(other)}]})
    with pytest.raises(InputError, match=r"encoder\.writer: 'w': a candidate cannot name a model of a suite"):
        make_plan(suite, Sources(offline=True))


def test_what_only_a_directory_says_of_writers_is_said_of_all_at_once(place: Path) -> None:
    """Before anything loads: a candidate that writes nothing, one that reads nothing, one that is not there yet."""
    models = (
        {"name": "silent", "candidate": "mean-pool"},
        {"name": "a", "candidate": "rationale", "writer": "silent"},
        {"name": "b", "candidate": "mean-pool", "writer": "base"},
        {"name": "late", "candidate": "not-there"},
        {"name": "c", "candidate": "rationale", "writer": "late"},
        {"name": "r", "candidate": "rationale", "writer": "base"},
        {"name": "d", "candidate": "rationale", "writer": "r"},
    )
    with pytest.raises(InputError) as caught:
        make_plan(suite_of(place, *models), Sources(offline=True))
    assert caught.value.problems == [
        "model 'a': writer: silent: 'silent' (mean-pool) writes no rationales; name a model that is read as "
        "`rationale`",
        "model 'b': writer: mean-pool has no such thing; take it out",
        "model 'd': writer: r: 'r' reads the rationales of 'base' and writes none; name that one",
    ]
    plan = make_plan(suite_of(place, *models[3:5]), Sources(offline=True))
    assert [cell.state for cell in plan.cells] == ["missing", "missing"]
