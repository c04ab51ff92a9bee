"""The oracle of benchmarks/oracle.py: by hand on small numbers, and where it has nothing to choose from."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from candidates_support import candidate_directory
from grace_support import chat_model, jsonl, triplets
from places import REPOSITORY
from scipy.stats import spearmanr

from harness.candidates.named import named_candidate
from harness.sources.places import Sources
from harness.suite.model_entries import RationaleSpec

SCRIPT = REPOSITORY / "benchmarks" / "oracle.py"


@pytest.fixture(scope="module")
def oracle() -> Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("oracle", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def unit(rng: np.random.Generator, *shape: int) -> Any:
    """Return random vectors at length 1."""
    found = rng.normal(size=shape)
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


def test_choices_by_hand(oracle: Any) -> None:
    """Targets by rank, ties sharing; the nearest of four cosines; runs in a circle."""
    means, scores = np.array([0.1, 0.9, 0.5, 0.3]), np.array([3.0, 1.0, 2.0, 2.0])
    assert oracle.targets(means, scores).tolist() == pytest.approx([0.9, 0.1, 0.4, 0.4])
    cosines = np.array([[[0.1, 0.2], [0.3, 0.4]], [[-1.0, 1.0], [0.0, 0.5]]])
    assert oracle.nearest(cosines, np.array([0.29, 0.6])).tolist() == [0.3, 0.5]
    near, far = np.array([[[0.5, 0.1], [0.2, 0.6]]]), np.array([[[0.4, 0.0], [0.1, 0.3]]])
    assert oracle.best_margins(near, far, [0, 1]).tolist() == pytest.approx([0.5])  # 0.6 - 0.1
    assert oracle.best_margins(near, far, [1, 0]).tolist() == pytest.approx([0.5])  # 0.5 - 0.0
    assert oracle.best_margins(near, far, [0]).tolist() == pytest.approx([0.1])
    assert oracle.runs(3, 2) == [[0, 1], [1, 2], [2, 0]]
    assert oracle.runs(3, 3) == [[0, 1, 2]]


def test_best_of_one_is_the_mean_over_single_draws(oracle: Any) -> None:
    """By scipy; more draws can only come nearer to the target, and every gain has an interval around it."""
    rng = np.random.default_rng(0)
    first, second, scores = unit(rng, 3, 40, 6), unit(rng, 3, 40, 6), rng.normal(size=40)
    statistics, foreign = oracle.of_pairs(first, second, scores).values()
    assert oracle.judged(foreign, 40)[2]["gain"] > 0  # out of noise alone
    table = oracle.judged(statistics, 40)
    each = [100 * spearmanr((a * b).sum(axis=1), scores)[0] for a, b in zip(first, second, strict=True)]
    assert table[0]["value"] == pytest.approx(np.mean(each))
    assert table[0]["gain"] == table[0]["low"] == table[0]["high"] == 0
    assert table[0]["value"] < table[1]["value"] < table[2]["value"]
    assert all(row["low"] < row["gain"] < row["high"] for row in table[1:])


def test_where_all_rationales_are_one_there_is_no_room(oracle: Any) -> None:
    """The same vector each time: no gain, and no width."""
    rng = np.random.default_rng(1)
    q, p, n = (np.repeat(unit(rng, 1, 30, 5), 4, axis=0) for _ in range(3))
    for found in (oracle.of_pairs(q, p, rng.normal(size=30)), oracle.of_triplets(q, p, n)):
        for statistics in found.values():
            for row in oracle.judged(statistics, 30):
                assert (row["gain"], row["low"], row["high"]) == pytest.approx((0, 0, 0), abs=1e-9)


@pytest.mark.parametrize(
    ("overrides", "temperature", "tokens"),
    [
        ([], 1.0, 6),
        (["generation.max_new_tokens=9"], 1.0, 9),
        (["generation={max_new_tokens: 9}"], 1.0, 9),
        (["generation.temperature=0.7"], 0.7, 6),
        (["generation={temperature: 0.7}"], 0.7, 6),
    ],
)
def test_only_the_temperature_is_raised_and_only_where_nobody_says_another(
    oracle: Any, tmp_path: Path, overrides: list[str], temperature: float, tokens: int
) -> None:
    """A candidate of six tokens is measured at six; a temperature of `-o` stands, however it is written."""
    base = chat_model(tmp_path / "model")
    run = candidate_directory(tmp_path / "run", base, kind="rationale", encoder="{generation: {max_new_tokens: 6}}")
    spec = named_candidate(str(run), Sources(), oracle.drawing(overrides)).spec
    assert isinstance(spec, RationaleSpec)
    assert (spec.generation.temperature, spec.generation.max_new_tokens) == (temperature, tokens)


def test_the_command(tmp_path: Path) -> None:
    """A tiny candidate, both kinds of data; mistakes are said with their exit code."""
    base = chat_model(tmp_path / "model")
    run = candidate_directory(tmp_path / "run", base, kind="rationale", encoder="{generation: {max_new_tokens: 3}}")
    rows = triplets(6)
    jsonl(tmp_path / "t.jsonl", rows)
    pairs = [{"sentence1": row["query"], "sentence2": row["positive"], "score": n} for n, row in enumerate(rows)]
    jsonl(tmp_path / "p.jsonl", pairs)
    command = [sys.executable, str(SCRIPT), str(run), "--n", "2", "--out", str(tmp_path / "o.json")]
    both = ["--pairs", str(tmp_path / "p.jsonl"), "--triplets", str(tmp_path / "t.jsonl")]
    done = subprocess.run([*command, *both], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "o.json").read_text())
    assert found["generated_tokens"] > 0
    assert {name.partition(":")[0] for name in found["results"]} == {"pairs", "triplets"}
    assert "best of" in done.stdout
    jsonl(tmp_path / "even.jsonl", [row | {"score": 3} for row in pairs])
    (tmp_path / "o.json").unlink()
    for extra, said in (
        ([], "give --pairs FILE"),
        (["--pairs", str(tmp_path / "t.jsonl")], "sentence1: expected text"),
        (["--pairs", str(tmp_path / "even.jsonl")], "even.jsonl: the score of all 6 pairs is 3"),
    ):
        done = subprocess.run([*command, *extra], capture_output=True, text=True, check=False, cwd=REPOSITORY)
        assert done.returncode == 2
        assert said in done.stderr
        assert done.stdout == ""
    assert not (tmp_path / "o.json").exists()
