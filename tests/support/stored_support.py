"""What the tests of gates and comparisons share: a suite of three models and three tasks, and cells stored by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from suites_support import suite_file, weights, write

from harness.plan.planner import make_plan
from harness.results.records import Failure, Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.load import load_suite

BODY = """\
models:
  - {name: base, encoder: mean-pool, model: weights/base}
  - {name: new, encoder: mean-pool, model: weights/new}
  - {name: words, encoder: tf-idf}
tasks:
  custom:
    - {name: pairs-a, type: STS, path: a.jsonl}
    - {name: pairs-b, type: STS, path: b.jsonl}
  ability: [{name: sums, file: sums.yaml}]
"""
ABILITY = "task: sums\ndataset_path: json\ndataset_kwargs: {data_files: {test: sums.jsonl}}\ntest_split: test\n"
ABILITY += "output_type: generate_until\ndoc_to_text: '{{q}}'\ndoc_to_target: '{{a}}'\nmetric_list: [{metric: acc}]\n"
ROWS = "".join(f'{{"sentence1": "a{n}", "sentence2": "b{n}", "score": {n}}}\n' for n in range(3))


def make_folder(folder: Path) -> Path:
    """Write the suite, its weights and its data: all of it there, none of it run."""
    suite_file(folder, BODY)
    for name in ("base", "new"):
        weights(folder / "weights" / name, name)
    write(folder / "a.jsonl", ROWS)
    write(folder / "b.jsonl", ROWS + '{"sentence1": "five", "sentence2": "six", "score": 4}\n')
    write(folder / "sums.yaml", ABILITY)
    write(folder / "sums.jsonl", '{"q": "1 + 1", "a": "2"}\n')
    return folder


def put(folder: Path, cell: str, score: float | None, *, results: str = "results", **changes: Any) -> Score | None:
    """Store a cell of the suite in `folder`: a score, or where `score` is None a failure.

    `items` is (gold, cosine) of an STS cell, `filtered` the extracted answers of an ability cell.
    """
    plan = make_plan(load_suite(folder / "mine.yaml").suite, Sources(offline=True))
    (found,) = (one for one in plan.cells if str(one) == cell)
    task = found.task
    common = {"key": str(found.key), "model": found.model, "axis": task.axis, "type": task.type, "task": task.name}
    if score is None:
        failure = Failure(**common, error="ValueError", message="a NaN vector\nmore", traceback="")
        Store(folder / results).put_failure(failure)
        return None
    items, filtered = changes.pop("items", None), changes.pop("filtered", None)
    rest = {"metric": task.info.main_score, "stderr": 1.0, "ci_low": 0.0, "ci_high": 1.0, "n": 2, "limit": None}
    rest |= {"provenance": {"cell": cell}} | changes
    return Store(folder / results).put_score(Score(**common, score=score, **rest), _table(items, filtered), "pair")


def _table(items: tuple[Any, Any] | None, filtered: Any = None) -> Any:
    import pyarrow as pa

    if filtered is not None:
        n = len(filtered)
        same = {"part": ["sums"] * n, "split": ["test"] * n, "subset": ["sums"] * n}
        columns = {"item": range(n), "filtered,none": filtered, "score": [1.0] * n}
        return pa.table(same | columns)
    if items is None:
        return None
    gold, cosine = (np.asarray(one, dtype=float) for one in items)
    n = len(gold)
    same = {"part": ["whole"] * n, "split": ["test"] * n, "subset": ["default"] * n}
    return pa.table({**same, "item": [str(index) for index in range(n)], "gold": gold, "cosine": cosine})


def noisy(seed: int, noise: float, n: int = 200) -> tuple[Any, Any]:
    """Return gold scores and cosines that follow them more or less; the gold scores are the same for every seed."""
    gold = np.random.default_rng(0).uniform(0, 5, n)
    return gold, gold + np.random.default_rng(seed).normal(0, noise, n)


def spearman(items: tuple[Any, Any]) -> float:
    """Return Spearman's correlation in points."""
    from scipy.stats import spearmanr

    return float(spearmanr(*items).statistic) * 100
