"""Shards are shown under the names that a user gave their models."""

from __future__ import annotations

from pathlib import Path

from cells_support import make_failure, make_score

from harness.results.makers import known_makers
from harness.results.store import Store

IDENTITY = {"kind": "mean-pool", "weights": {"path": "org/model"}}


def test_a_maker_is_called_by_the_models_whose_cells_have_its_identity(tmp_path: Path) -> None:
    """All of them, failures too; another identity is another's, and a record that cannot be read says nothing."""
    store = Store(tmp_path)
    for key, model in (("a" * 20, "base"), ("b" * 20, "again")):
        score = make_score(key=key, model=model, items_missing="none", provenance={"identity": IDENTITY})
        store.put_score(score, None, "pair")
    store.put_failure(make_failure(key="c" * 20, model="other", provenance={"identity": {"kind": "tf-idf"}}))
    (tmp_path / "cells" / "STS12" / "x.json").write_text("{", encoding="utf-8")
    known = known_makers(store)
    made = {"encoder": {"identity": IDENTITY, "versions": {"torch": "2"}}, "role": "query", "prompt": None}
    assert known.names(made) == ["again", "base"]
    assert known.names({"encoder": {"identity": {"kind": "tf-idf"}}}) == ["other"]
    assert known.names({"encoder": {"identity": {"kind": "rationale"}}}) == []
    assert known.names({"encoder": None}) == known.names({"cell": None}) == []


def test_shards_of_a_cell_are_called_as_the_run_that_noted_it_calls_it(tmp_path: Path) -> None:
    """Before it has a record."""
    Store(tmp_path).write_run("mine", {"cells": {"base/gsm8k": "d" * 20}})
    (tmp_path / "runs" / "torn.json").write_text('{"cells": ', encoding="utf-8")
    assert known_makers(Store(tmp_path)).names({"cell": "d" * 20, "versions": {}}) == ["base/gsm8k"]
    assert known_makers(Store(tmp_path / "none")).names({"cell": "d" * 20}) == []
