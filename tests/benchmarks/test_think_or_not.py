"""Think or not (benchmarks/think_or_not.py): each policy's vectors, and that held-out pairs never reach a choice."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from candidates_support import candidate_directory
from grace_support import chat_model, jsonl, triplets
from places import REPOSITORY
from scipy.stats import spearmanr

import harness

SCRIPT = REPOSITORY / "benchmarks" / "think_or_not.py"


@pytest.fixture(scope="module")
def script() -> Any:
    """The script as a module, with its fellows beside it."""
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        return importlib.import_module("think_or_not")
    finally:
        sys.path.remove(str(SCRIPT.parent))


def drawn(script: Any, pairs: int, seed: int, *, of_first: float = 0.0) -> Any:
    """Return random pairs; `of_first`: how much the score follows the sign of each text's first dimension."""
    rng = np.random.default_rng(seed)
    alone, thinking = rng.normal(size=(2 * pairs, 6)), rng.normal(size=(2 * pairs, 6))
    read = script.Read(
        alone=alone,
        thinking=thinking,
        tokens=rng.integers(1, 30, 2 * pairs).astype(float),
        generated=rng.integers(1, 9, 2 * pairs).astype(float),
    )
    at = np.arange(2 * pairs).reshape(pairs, 2)
    first = script.Pairs(read=read, at=at, scores=np.zeros(pairs))
    useful = alone[at][:, :, 0] > 0
    scores = of_first * first.cosines(useful) + rng.normal(size=pairs) * (0.05 if of_first else 1)
    return replace(first, scores=scores)


def test_every_policys_vectors_are_what_they_should_be(script: Any) -> None:
    """Always is the vector with the rationale bit by bit, never that of the text; the mean is of both at length 1."""
    pairs = drawn(script, 40, 0)
    found, read, at = script.choose(pairs), pairs.read, pairs.at
    by_name = {name: script.chosen_vectors(pairs, one.thinks(pairs)) for name, one in found.items()}
    assert np.array_equal(by_name["always"], read.thinking[at])
    assert np.array_equal(by_name["never"], read.alone[at])
    both = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (read.alone, read.thinking)]
    np.testing.assert_allclose(script.mean_vectors(pairs), ((both[0] + both[1]) / 2)[at])
    for name, sign in (("short", -1), ("long", 1)):
        thinks = found[name].thinks(pairs)
        decided = float(found[name].about["thinks_if_tokens"].split()[1])
        assert np.array_equal(thinks, sign * read.tokens[at] > sign * decided)
    for name, one in found.items():
        if name != "mean":
            thinks = one.thinks(pairs)
            assert np.array_equal(by_name[name][thinks], read.thinking[at][thinks])
            assert np.array_equal(by_name[name][~thinks], read.alone[at][~thinks])
            first, second = by_name[name][:, 0], by_name[name][:, 1]
            lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
            np.testing.assert_allclose(one.values(pairs), (first * second).sum(axis=1) / lengths)


def test_gains_sum_to_the_difference_of_the_correlations(script: Any) -> None:
    """Twice it, by scipy, ties in the scores or none."""
    pairs = drawn(script, 60, 1)
    for scores in (pairs.scores, np.round(pairs.scores)):
        one = replace(pairs, scores=scores)
        always, never = (spearmanr(one.cosines(np.full(one.at.shape, way)), scores)[0] for way in (True, False))
        assert script.gains(one).mean() == pytest.approx(2 * (always - never))


def test_a_router_finds_who_gains(script: Any) -> None:
    """Where the text's vector says it: above always and never on pairs that it was not chosen on; the oracle on top."""
    dev, held = drawn(script, 300, 2, of_first=1.0), drawn(script, 300, 3, of_first=1.0)
    table = {row["policy"]: row for row in script.judged(script.choose(dev), held)}
    assert table["router"]["to always"]["low"] > 0
    assert table["router"]["to never"]["low"] > 0
    assert table["oracle"]["score"] >= max(row["score"] for row in table.values())
    assert table["always"]["to always"] == {"value": 0, "low": 0, "high": 0}
    assert (table["never"]["thinks"], table["never"]["tokens"]) == (0, 0)
    assert table["always"]["tokens"] == table["mean"]["tokens"] == pytest.approx(held.read.generated[held.at].mean())
    for name in ("always", "router"):
        policy = script.choose(dev)[name]
        assert table[name]["score"] == pytest.approx(100 * spearmanr(policy.values(held), held.scores)[0])


def test_the_best_cut_is_that_of_fewest_rationales(script: Any) -> None:
    """Where rationales change nothing, nobody thinks; where they are all the signal, everybody does."""
    pairs = drawn(script, 50, 4)
    same = replace(pairs, read=replace(pairs.read, thinking=pairs.read.alone))
    cut, _ = script.best_cut(same, same.read.tokens[same.at])
    assert not (same.read.tokens[same.at] > cut).any()
    thinking = replace(pairs, scores=pairs.cosines(np.full(pairs.at.shape, True)))
    cut, score = script.best_cut(thinking, thinking.read.tokens[thinking.at])
    assert cut == -np.inf
    assert score == pytest.approx(1)


def test_a_split_keeps_texts_apart(script: Any) -> None:
    """Pairs that share a text are in one part; another seed is another split."""
    rng = np.random.default_rng(0)
    at = np.concatenate([rng.integers(0, 30, (30, 2)) + 60, np.arange(60).reshape(30, 2)])
    held = script.split(at, 0)
    assert not set(at[held].ravel()) & set(at[~held].ravel())
    assert 10 < held.sum() < 50
    assert not np.array_equal(held, script.split(at, 1))


@pytest.mark.parametrize("even", ["dev", "held"])
def test_scores_without_an_order_are_refused_before_a_model_loads(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], even: str
) -> None:
    """Of either part: there would be nothing to choose by, or nothing to judge by."""
    rows = [{"sentence1": row["query"], "sentence2": row["positive"], "score": n} for n, row in enumerate(triplets(12))]
    files = {"dev": rows[:6], "held": rows[6:]}
    files[even] = [row | {"score": 2.5} for row in files[even]]
    dev, held = (jsonl(tmp_path / f"{name}.jsonl", each) for name, each in files.items())
    command = ["think_or_not.py", "runs/none", "--pairs", str(dev), "--held-out", str(held), "--out", "o.json"]
    monkeypatch.setattr(sys, "argv", command)
    assert script.main() == 2
    which = {"dev": "development pairs", "held": "pairs held out"}[even]
    assert f"the score of all 6 {which} is 2.5" in capsys.readouterr().err


def test_the_command(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Vectors are the encoder's own, the second run loads no model, and held-out pairs choose nothing."""
    base = chat_model(tmp_path / "model")
    run = candidate_directory(tmp_path / "run", base, kind="rationale", encoder="{generation: {max_new_tokens: 3}}")
    rows = [{"sentence1": row["query"], "sentence2": row["positive"], "score": n} for n, row in enumerate(triplets(12))]
    dev, held = jsonl(tmp_path / "dev.jsonl", rows[:6]), tmp_path / "held.jsonl"
    command = ["think_or_not.py", str(run), "--pairs", str(dev)]
    kept_in = ["--held-out", str(held), "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "o.json")]
    texts = sorted({row[key] for row in rows for key in ("sentence1", "sentence2")})

    def chosen(pairs: list[dict[str, Any]]) -> list[Any]:
        jsonl(held, pairs)
        monkeypatch.setattr(sys, "argv", [*command, *kept_in])
        assert script.main() == 0
        found = json.loads((tmp_path / "o.json").read_text())
        return [(row["policy"], row["chosen"]) for row in found["policies"]]

    first = chosen(rows[6:])
    with monkeypatch.context() as within:
        within.setattr(script, "load", None)
        assert chosen([row | {"score": -row["score"]} for row in rows[6:]]) == first
    (kept,) = (tmp_path / "cache").iterdir()
    whole = harness.load({"candidate": str(run), "device": "cpu"})
    with np.load(kept) as found:
        assert np.array_equal(found["thinking"], whole.encode(texts).astype(float))
        assert not np.array_equal(found["thinking"], found["alone"])
    with monkeypatch.context() as within:
        within.setattr("harness.evaluation.made_by.versions", lambda: {"torch": "another"})
        chosen(rows[6:])
    assert len(list((tmp_path / "cache").iterdir())) == 2  # vectors of before an upgrade are not those of after it
    monkeypatch.setattr(sys, "argv", [*command, "-o", "kind=mean-pool"])
    assert script.main() == 2
    assert "reads no rationales" in capsys.readouterr().err


def test_an_interval_without_a_value_is_none_and_no_crash(script: Any) -> None:
    """Of a model whose vectors are all one, every resample's correlation is undefined."""
    ends = script._ends(np.full(5, np.nan))
    assert all(np.isnan(end) for end in ends.values())
