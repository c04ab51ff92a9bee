"""What the first and the second report over a results folder cost: `python benchmarks/report_cost.py FOLDER`.

Invented per-item results of six models over MTEB(eng, v1) and five ability tasks, 61 cells a model, each with as many
items as the catalogue says (3.5 million rows a model), drawn so that models agree on most items, as models do. They are
made once, in FOLDER/results; then two fresh processes write the report, the first with nothing kept from before. To
time another version of the harness on the same results, put it before this one: `PYTHONPATH=OTHER python benchmarks/
report_cost.py FOLDER`. `--tasks` and `--models` time a part of it.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.candidates.candidate import Candidate
from harness.plan.cells import Cell, Plan, PlannedTask
from harness.report.write import write_report
from harness.results.outcome import stored_results
from harness.results.records import Score
from harness.results.store import Store
from harness.sources.places import Located
from harness.statistics.items import PAIR_MEASURES
from harness.suite.model_entries import MeanPoolSpec
from harness.suite.schema import Suite
from harness.tasks.catalogue import TaskInfo, catalogue

ABILITY = ("gsm8k", "mmlu", "fever", "bbh", "humaneval")
SETS = {"Arxiv": 31, "RedditClustering": 25, "StackExchangeClustering": 25}
"""Sets of texts of the clustering tasks that have more than ten, by how their names begin."""
MORE_SETS = {"RedditClusteringP2P": 10, "StackExchangeClusteringP2P": 10}
IMPRESSIONS = {"MindSmallReranking": 70_938}
"""Items where the catalogue counts the queries that are merged into them."""
POSITIVES = {"SprintDuplicateQuestions": 0.01, "TwitterSemEval2015": 0.21, "TwitterURLCorpus": 0.18}
AGREEMENT = 0.9
"""Correlation of two models' figures of one item."""
Columns = dict[str, Any]
Made = tuple[float, Columns]
"""Score in points, and the columns of one part."""


class Draws:
    """Random numbers of one part of one task: some are the items' own, some a model's."""

    def __init__(self, task: str, part: str, model: int) -> None:
        """Seed both streams by the names."""
        self.items, self.model = (_generator(task, part, who) for who in ("items", str(model)))

    def skill(self, n: int) -> Any:
        """Return (n,) normal numbers that correlate with those of the other models by `AGREEMENT`."""
        own, shared = self.model.normal(size=n), self.items.normal(size=n)
        return np.sqrt(AGREEMENT) * shared + np.sqrt(1 - AGREEMENT) * own


def _generator(*names: str) -> Any:
    return np.random.default_rng(list(hashlib.sha256("\0".join(names).encode()).digest()[:8]))


def _sts(draws: Draws, _task: str, n: int) -> Made:
    from scipy.stats import spearmanr

    gold = np.round(draws.items.uniform(0, 5, n), 1)
    cosine = 0.15 * gold + 0.2 * draws.skill(n)
    return float(spearmanr(gold, cosine).statistic), {"item": np.arange(n), "gold": gold, "cosine": cosine}


def _pairs(draws: Draws, task: str, n: int) -> Made:
    from sklearn.metrics import average_precision_score

    label = (draws.items.random(n) < POSITIVES[task]).astype(np.int64)
    cosine = 1.5 * label + draws.skill(n)
    measures = dict.fromkeys(PAIR_MEASURES, cosine)
    measures |= {name: cosine + 0.1 * draws.model.normal(size=n) for name in ("manhattan", "euclidean", "dot")}
    score = max(float(average_precision_score(label, one)) for one in measures.values())
    return score, {"item": np.arange(n), "label": label, **measures}


def _classified(draws: Draws, _task: str, n: int) -> Made:
    label = draws.items.integers(0, 5, n)
    ease = draws.skill(n)
    rounds = [np.where(ease + 0.7 * draws.model.normal(size=n) > -0.8, label, (label + 1) % 5) for _ in range(10)]
    score = (np.array(rounds) == label).mean(axis=0)
    columns = {f"prediction_{number}": one for number, one in enumerate(rounds)}
    return float(score.mean()), {"item": np.arange(n), "label": label, "score": score, **columns}


def _clustered(draws: Draws, task: str, n: int) -> Made:
    from sklearn.metrics import v_measure_score

    sets = MORE_SETS.get(task) or next((many for name, many in SETS.items() if task.startswith(name)), 10)
    number = np.sort(draws.items.integers(0, sets, n))
    label = draws.items.integers(0, 20, n)
    cluster = np.where(draws.skill(n) > 0, label, draws.model.integers(0, 20, n))
    values = np.array([v_measure_score(label[number == one], cluster[number == one]) for one in range(sets)])
    seeds = {f"v_measure_seed_{at}": (values + 0.01 * draws.model.normal(size=sets))[number] for at in range(1, 10)}
    item = np.concatenate([np.arange((number == one).sum()) for one in range(sets)])
    named = np.array([f"label {one}" for one in range(20)])[label]
    return float(values.mean()), {"set": number, "item": item, "label": named, "cluster": cluster, **seeds}


def _ranked(draws: Draws, _task: str, n: int) -> Made:
    score = np.clip(np.round(0.5 + 0.5 * draws.skill(n), 5), 0, 1)
    top = draws.model.integers(0, 100_000, (n, 10))
    columns = {
        "query": [f"q{number}" for number in range(n)],
        "score": score,
        "top_documents": [[f"d{one}" for one in row] for row in top],
        "top_scores": list(np.sort(draws.model.random((n, 10)))[:, ::-1]),
    }
    return float(score.mean()), columns


def _summarised(draws: Draws, _task: str, n: int) -> Made:
    score = np.clip(0.3 + 0.3 * draws.skill(n), -1, 1)
    return float(score.mean()), {"item": np.arange(n), "score": score}


def _answered(draws: Draws, _task: str, n: int) -> Made:
    ease = draws.skill(n)
    score = (ease > 0).astype(np.float64)
    columns = {
        "item": np.arange(n),
        "target": ["A"] * n,
        "answers": [["A" if one else "B"] for one in score],
        "gold_nll": np.exp(0.3 * ease + 1),
        "gold_tokens": 1 + draws.items.integers(0, 3, n),
        "filtered,none": np.where(score > 0, "A", "B"),
        "score": score,
    }
    return float(score.mean()), columns


MAKERS: Mapping[str, Callable[[Draws, str, int], Made]] = {
    "STS": _sts,
    "PairClassification": _pairs,
    "Classification": _classified,
    "Clustering": _clustered,
    "Retrieval": _ranked,
    "Reranking": _ranked,
    "Summarization": _summarised,
}


def make_plan(models: int, wanted: list[str]) -> Plan:
    """Return the plan of so many models over the tasks."""
    known = catalogue()
    members = known.benchmarks["MTEB(eng, v1)"]
    splits = {one.name: (one.splits, one.subsets) for one in members}
    names = [name for name in (*splits, *ABILITY) if not wanted or name in wanted]
    tasks = [_planned(known.tasks[name], *splits.get(name, ((), ()))) for name in names]
    called = [f"model-{number}" for number in range(models)]
    candidates = [_candidate(name) for name in called]
    suite = Suite.model_validate({"version": 1, "name": "cost"})
    suite = suite.model_copy(update={"models": [one.spec for one in candidates], "baseline": called[0]})
    cells = [
        Cell(model=name, task=task, state="to run", key=hashlib.sha256(f"{name}/{task.name}".encode()).hexdigest()[:20])
        for name in called
        for task in tasks
    ]
    return Plan(suite=suite, cells=tuple(cells), candidates=tuple(candidates), tasks=tuple(tasks), datasets={}, gaps=())


def _planned(info: TaskInfo, splits: tuple[str, ...], subsets: tuple[str, ...]) -> PlannedTask:
    splits, subsets = splits or info.splits, subsets or tuple(info.subsets)
    known = catalogue()
    parts = tuple(known.tasks[one] for one in info.parts) or (info,)
    return PlannedTask(
        name=info.name, label=info.name, axis=info.axis, type=info.type, engine=info.engine, splits=splits,
        subsets=subsets, limit=None, info=info, parts=parts,
    )  # fmt: skip


def _candidate(name: str) -> Candidate:
    spec = MeanPoolSpec(name=name, encoder="mean-pool", model="models/invented")
    place = Located(
        kind="folder", load_from="models/invented", revision=None, identity={"files_sha256": "0" * 64},
        source="folder models/invented", vouched=None,
    )  # fmt: skip
    return Candidate(name=name, kind="mean-pool", spec=spec, weights=place, note=None, training={}, selected_on=None)


def make_results(plan: Plan, store: Store) -> None:
    """Store the score and the items of every cell that is not there yet."""
    for cell in plan.cells:
        if not store.has_score(cell.task.name, cell.key):
            _put(cell, int(cell.model.rpartition("-")[2]), store)


def _put(cell: Cell, model: int, store: Store) -> None:
    import pyarrow as pa

    task = cell.task
    make = MAKERS.get(task.type, _answered) if task.axis == "embedding" else _answered
    scores, sizes, tables = [], [], []
    for part in task.parts:
        for subset in task.subsets if task.axis == "ability" else task.subsets[:1]:
            n = IMPRESSIONS.get(task.name) or part.counts[task.splits[0]][subset].items
            score, columns = make(Draws(task.name, f"{part.name}/{subset}", model), task.name, n)
            names = {"part": subset if task.axis == "ability" else part.name, "split": task.splits[0], "subset": subset}
            placed = {name: pa.array([value] * n).dictionary_encode() for name, value in names.items()}
            tables.append(pa.table({**placed, **columns}))
            scores.append(score)
            sizes.append(n)
    value = 100 * float(np.average(scores, weights=sizes if task.axis == "ability" else None))
    plain = {"key": str(cell.key), "model": cell.model, "axis": task.axis, "type": task.type, "task": task.name}
    rest = {"metric": task.info.main_score, "score": value, "stderr": 1.0, "ci_low": value - 2, "ci_high": value + 2}
    score_ = Score(**plain, **rest, n=sum(sizes), limit=None, provenance={"cell": str(cell)})
    items = pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()
    store.put_score(score_, items, "item")


def report(plan: Plan, store: Store, folder: Path) -> None:
    """Write the report, and print what it took: reading the records is part of it."""
    started = time.perf_counter(), time.process_time()
    write_report(plan, stored_results(plan, store), store, folder)
    wall, processor = time.perf_counter() - started[0], time.process_time() - started[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{wall:8.1f} s by the clock, {processor:8.1f} s of processor, peak {peak:.2f} GiB", flush=True)


def main() -> None:
    """Make what is not there, and time the first and the second report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", type=int, default=6)
    parser.add_argument("--tasks", nargs="*", default=[], help="only these")
    parser.add_argument("--once", action="store_true", help="write the report once, from whatever is kept")
    asked = parser.parse_args()
    plan, store = make_plan(asked.models, asked.tasks), Store(asked.folder / "results")
    if asked.once:
        report(plan, store, asked.folder / "report")
        return
    make_results(plan, store)
    for kept in store.root.iterdir():
        if kept.name != "cells":
            shutil.rmtree(kept)
    items = sum(one.items.rows for one in stored_results(plan, store).values() if isinstance(one, Score) and one.items)
    print(f"{asked.models} models x {len(plan.tasks)} tasks, {items:,} rows of items", flush=True)
    for which in ("first", "second"):
        print(f"{which:>7}: ", end="", flush=True)
        subprocess.run([sys.executable, *sys.argv, "--once"], check=True)


if __name__ == "__main__":
    main()
