"""Who makes what of a run in parts: all of it once, the same on every machine, whatever is finished."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from suites_support import planned, weights

from harness.candidates.candidate import Candidate
from harness.plan.cells import Plan
from harness.plan.parts import opening, share_of, work_of, writes_of

SHARDS = 13
"""Of each cell that is cut, in these tests."""


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Three models over the catalogue's tasks and an own one of unknown size; keys as if the data were there."""
    rows = "".join(f'{{"sentence1": "a{n}", "sentence2": "b", "score": {n}}}\n' for n in range(3))
    (tmp_path / "pairs.jsonl").write_text(rows, encoding="utf-8")
    folders = {name: weights(tmp_path / name, name) for name in ("m1", "m2")}
    models = ", ".join(f"{{name: {name}, encoder: mean-pool, model: {path}}}" for name, path in folders.items())
    tasks = "embedding: {names: [STS12, STS13, STS14, SciFact, NFCorpus, MSMARCO, Banking77Classification]}"
    body = f"models: [{models}, {{name: floor, encoder: tf-idf}}]\ntasks: {{{tasks}, custom: [{{name: own, type: STS, "
    made = planned(tmp_path, body + "path: pairs.jsonl}]}\n")
    return with_keys(made)


def with_keys(plan: Plan) -> Plan:
    """Return the plan with a key for each cell."""
    keyed = [replace(one, state="to run", key=hashlib.sha256(str(one).encode()).hexdigest()[:20]) for one in plan.cells]
    return replace(plan, cells=tuple(keyed))


def units(plan: Plan) -> list[tuple[Any, int | None]]:
    """Return every cell, and every shard of those that may be cut."""
    opens = opening(plan)
    found: list[tuple[Any, int | None]] = [(cell, None) for cell in plan.cells]
    return found + [(cell, number) for cell in plan.cells if opens(cell) for number in range(SHARDS)]


@pytest.mark.parametrize("parts", range(1, 10))
def test_every_cell_and_shard_belongs_to_exactly_one_part(plan: Plan, parts: int) -> None:
    """Also a cell that is opened and then found short: its number is None."""
    shares = [share_of(plan, number, parts) for number in range(1, parts + 1)]
    assert {cell.model for cell in plan.cells} == {"m1", "m2", "floor"}
    for cell, shard in units(plan):
        assert sum(share(cell, shard) for share in shares) == 1, (cell, shard)


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_the_shards_of_a_cell_are_dealt_out_evenly(plan: Plan, parts: int) -> None:
    """No part has two more than another, and cells begin at all of them: their first shards are often the heaviest."""
    shares = [share_of(plan, number, parts) for number in range(1, parts + 1)]
    begins = set()
    for number in range(50):
        cell = replace(plan.cells[0], key=hashlib.sha256(bytes([number])).hexdigest()[:20])
        dealt = [[shard for shard in range(SHARDS) if share(cell, shard)] for share in shares]
        assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
        begins.add(next(place for place, one in enumerate(dealt) if 0 in one))
    assert begins == set(range(parts))


def test_cells_in_one_piece_are_dealt_out_by_their_work(plan: Plan) -> None:
    """No part has more above the mean than the longest cell."""
    opens = opening(plan)
    candidates = {one.name: one for one in plan.candidates if isinstance(one, Candidate)}
    whole = [one for one in plan.cells if not opens(one)]
    work = {str(one): work_of(one, candidates[one.model]) for one in whole}
    shares = [share_of(plan, n + 1, 3) for n in range(3)]
    load = [sum(work[str(one)] for one in whole if share(one, None)) for share in shares]
    assert len(whole) > 6
    assert max(load) - sum(load) / 3 <= max(work.values())


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: replace(plan, cells=plan.cells[::-1]),
        lambda plan: replace(plan, candidates=plan.candidates[::-1]),
        lambda plan: plan,
    ],
)
def test_the_shares_hang_on_nothing_but_the_list(plan: Plan, change: Callable[[Plan], Plan]) -> None:
    """Neither on its order; what a results folder holds is not even looked at."""
    ours, theirs = share_of(plan, 2, 5), share_of(change(plan), 2, 5)
    assert [ours(*one) for one in units(plan)] == [theirs(*one) for one in units(plan)]


def test_cells_without_a_key_are_nobodys(plan: Plan) -> None:
    """One that cannot be run changes nothing for the others."""
    lacking = tuple(replace(one, key=None) if one.task.name == "STS12" else one for one in plan.cells)
    share = share_of(replace(plan, cells=lacking), 1, 2)
    assert all(isinstance(share(one, None), bool) for one in lacking if one.key)


def test_large_cells_and_unknown_ones_are_opened_and_fitted_ones_never(plan: Plan) -> None:
    """Whether the data must be read to know."""
    opens = opening(plan)
    by_model = {model: {c.task.name for c in plan.cells if c.model == model and opens(c)} for model in ("m1", "floor")}
    assert "MSMARCO" in by_model["m1"]
    assert not {"STS12", "STS13", "Banking77Classification", "NFCorpus"} & by_model["m1"]
    assert by_model["floor"] == set()


def test_work_grows_with_texts_and_with_the_model(plan: Plan, tmp_path: Path) -> None:
    """MSMARCO is more than SciFact; a heavier model has more of it, and one that writes much more."""
    (tmp_path / "heavy").mkdir()
    candidates = {one.name: one for one in plan.candidates if isinstance(one, Candidate)}
    cells = {one.task.name: one for one in plan.cells if one.model == "m1"}
    assert work_of(cells["MSMARCO"], candidates["m1"]) > 100 * work_of(cells["SciFact"], candidates["m1"])
    place = candidates["m1"].weights
    assert place is not None
    heavy = replace(candidates["m1"], weights=replace(place, load_from=str(weights(tmp_path / "heavy", "x" * 1000))))
    assert work_of(cells["SciFact"], heavy) > work_of(cells["SciFact"], candidates["m1"])


@pytest.mark.parametrize(("ablation", "writes"), [("none", 7), ("rationale-only", 7), ("text-only", 0)])
def test_what_is_written_about_a_text(tmp_path: Path, ablation: str, writes: int) -> None:
    """Of a model that writes rationales, unless they are left out."""
    spec = f"encoder: rationale, model: {weights(tmp_path / 'm')}, ablation: {ablation}"
    made = planned(
        tmp_path,
        f"models: [{{name: m, {spec}, generation: {{max_new_tokens: 7}}}}]\ntasks: {{embedding: {{names: [STS12]}}}}\n",
    )
    (candidate,) = made.candidates
    assert isinstance(candidate, Candidate)
    assert writes_of(candidate) == writes
