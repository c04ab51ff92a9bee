"""All tasks of MTEB(eng, v1) and (eng, v2) from a hub in their repositories' forms to a comparison of two models.

The truth is plain `mteb.evaluate` with the tasks as its own benchmark has them, over the same files, with vectors that
are spoken straight to it; for tasks that rank documents that is its own SearchEncoderWrapper and pytrec_eval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from small_hub import encoders
from small_hub.shown import Tell, tell_cell, tell_difference, tell_engine
from small_hub.tasks import ALL, NEWER, PARTS, write_hub

import harness
from harness.plan.tasks import resolve_tasks
from harness.results.records import Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.load import load_suite

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is superseded"),
    pytest.mark.filterwarnings("ignore:.*is ill-defined"),
]
CQADUPSTACK = "CQADupstackRetrieval"
FIRST = (*(name for name in ALL if name not in PARTS), CQADUPSTACK)
TASKS = (*FIRST, *(pytest.param(name, marks=pytest.mark.slow) for name in NEWER))
MODELS = ("hashed", "tf-idf")
DIMENSION = 256
FEWER = {"ToxicConversationsClassification": 2}
"""Classification of which mteb, which takes 5 s for each here, is asked for the first so many experiments alone."""
BY_TYPE = {
    "Retrieval": 12,
    "Reranking": 14,
    "Clustering": 3,
    "PairClassification": 40,
    "Classification": 24,
    "STS": 30,
    "Summarization": 9,
}
"""Items of a task in the small hub; of a summary's ten documents one has equal ratings and no correlation."""
ITEMS = {
    "CQADupstackRetrieval": 12 + 11 * 6,
    "TwitterSemEval2015": 43,
    "TwitterURLCorpus": 49,
    "Banking77Classification": 60,
    "MTOPIntentClassification": 26,
    "MassiveIntentClassification": 25,
    "ToxicConversationsClassification": 2048,
    "SICK-R": 34,
    "STS12": 35,
    "STS14": 33,
    "STS17": 24,
    "STS22": 24,
    "STSBenchmark": 31,
    "ArXivHierarchicalClusteringP2P": 81,
    "ArXivHierarchicalClusteringS2S": 81,
    "BiorxivClusteringP2P.v2": 28,
    "CQADupstackGamingRetrieval": 6,
    "CQADupstackUnixRetrieval": 6,
    "MedrxivClusteringP2P.v2": 28,
    "MedrxivClusteringS2S.v2": 28,
    "STS22.v2": 24,
    "StackExchangeClustering.v2": 2048,
    "StackExchangeClusteringP2P.v2": 28,
    "TwentyNewsgroupsClustering.v2": 28,
}
"""Where they are not those of the type."""
ROUNDING = 0.51e-5
"""Of mteb, which gives metrics of ranking tasks with five decimals."""
CUT = ("ArguAna", "CQADupstackRetrieval", "NFCorpus", "TRECCOVID", "MindSmallReranking", "SciDocsRR")
CUT += ("ArxivClusteringS2S", "TwitterURLCorpus", "MTOPIntentClassification", "MassiveIntentClassification")
CUT += ("STS22", "SummEval")
"""Tasks of every type that are run in shards too."""


def suite_of(names: tuple[str, ...], **fields: Any) -> harness.Suite:
    """Return a suite of both models over some tasks."""
    plain = {
        "version": 1,
        "name": "all",
        "models": [
            {"name": "hashed", "encoder": encoders.NAME},
            {"name": "tf-idf", "encoder": "tf-idf", "dimension": DIMENSION},
        ],
        "tasks": {"embedding": {"names": list(names)}},
    }
    return harness.Suite.model_validate(plain | fields)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a small hub of each version; one encoder is installed, and `datasets` has a cache of its own."""
    import datasets

    site = tmp_path_factory.mktemp("site")
    encoders.install(site)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets-cache"))
        patch.syspath_prepend(str(site))
        folder = tmp_path_factory.mktemp("hub")
        write_hub(folder / "v2", NEWER)
        yield write_hub(folder / "v1").parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """All tasks with both models."""

    results: dict[str, Any]
    store: Store
    rows: dict[str, Any]
    """Task -> the first model minus the second."""

    def score(self, model: str, task: str) -> Score:
        """Return a cell's score."""
        found = self.results[f"{model}/{task}"]
        assert isinstance(found, Score), found
        return found

    def items(self, model: str, task: str) -> list[dict[str, Any]]:
        """Return a cell's per-item results."""
        table = self.store.items_of(self.score(model, task))
        assert table is not None
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows


def run_all(hub: Path, results: Path, names: tuple[str, ...]) -> Ran:
    """Return what `harness run` and `harness compare` make of some tasks."""
    options = harness.RunOptions(results=results, sources=Sources(hub=hub, offline=True))
    outcome = harness.run(suite_of(names), options)
    compared = harness.compare(*MODELS, results=results)
    rows = {row.name.split(" ")[0]: row for row in compared.of("task")}
    return Ran(results=dict(outcome.results), store=Store(results), rows=rows)


@pytest.fixture(scope="module")
def ran_of(hub: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ran]:
    """Return a function from a task to the run that it was in: all of a version's in one."""
    known: dict[str, Ran] = {}

    def found(name: str) -> Ran:
        version, names = ("v2", tuple(NEWER)) if name in NEWER else ("v1", FIRST)
        if version not in known:
            known[version] = run_all(hub / version, tmp_path_factory.mktemp("results"), names)
        return known[version]

    return found


def official_tasks(hub: Path, name: str) -> list[Any]:
    """Return a task as mteb's benchmark has it, or the parts of an aggregate, reading the hub."""
    import mteb

    version, table = ("v2", NEWER) if name in NEWER else ("v1", ALL)
    (task,) = [one for one in mteb.get_benchmark(f"MTEB(eng, {version})").tasks if one.metadata.name == name]
    parts = [deepcopy(one) for one in (task.metadata.tasks if name == CQADUPSTACK else [task])]
    for part in parts:
        path = str(hub / version / "datasets" / table[part.metadata.name].repository)
        part.metadata = part.metadata.model_copy(update={"dataset": {**part.metadata.dataset, "path": path}})
        part.load_data()
    return parts


def texts_of(task: Any) -> list[str]:
    """Return what a task is about: all texts of its splits that are embedded, and a classifier's training texts."""
    found: list[str] = []
    kind = task.metadata.type
    columns = {
        "Clustering": ("sentences",),
        "PairClassification": ("sentence1", "sentence2"),
        "Classification": ("text",),
        "STS": ("sentence1", "sentence2"),
        "Summarization": ("human_summaries", "machine_summaries"),
    }
    for subset in task.hf_subsets:
        splits = task.dataset.get(subset, task.dataset)
        for split in (*(["train"] if kind == "Classification" else []), *task.eval_splits):
            rows = splits[split]
            if kind in ("Retrieval", "Reranking"):
                found += [f"{row.get('title') or ''} {row['text']}".strip() for row in rows["corpus"]]
                found += rows["queries"]["text"]
                continue
            values = [value for column in columns[kind] for value in rows[column]]
            found += [text for value in values for text in ([value] if isinstance(value, str) else value)]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Official:
    """What plain mteb makes of a task with one model's vectors."""

    results: list[Any]
    """Of a task, or of each part."""
    queries: dict[tuple[str, str], float]
    """(task or part, query) -> its main metric, of mteb's own ranking; empty for tasks that rank nothing."""
    least: dict[tuple[str, str], float]
    """The same with documents whose scores differ by rounding alone in the worst order."""
    most: dict[tuple[str, str], float]
    """And in the best."""

    def where(self) -> set[tuple[str, str]]:
        """Return splits and subsets."""
        of_splits = [(split, rows) for result in self.results for split, rows in result.scores.items()]
        return {(split, one["hf_subset"]) for split, rows in of_splits for one in rows}

    def score(self) -> float:
        """Return the main score, of an aggregate the mean over parts."""
        scores = [one["main_score"] for result in self.results for rows in result.scores.values() for one in rows]
        return math.fsum(scores) / len(scores)


def by_query(metric: str, judged: dict[str, Any], ranked: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return each query's metric by trec_eval; of subqueries `<query>_<number>` a document's best score counts."""
    import pytrec_eval

    subqueries = "max_over_subqueries_"
    if metric.startswith(subqueries):
        merged: dict[str, dict[str, float]] = {}
        for name, found in ranked.items():
            best = merged.setdefault(name.rpartition("_")[0], {})
            best.update({one: max(score, best.get(one, score)) for one, score in found.items()})
        judged, ranked = {name.rpartition("_")[0]: one for name, one in judged.items()}, merged
    measure = metric.removeprefix(subqueries).replace("_at_", "_cut_")
    scored = pytrec_eval.RelevanceEvaluator(judged, {measure.replace("cut_", "cut.")}).evaluate(ranked)
    return {name: one[measure] for name, one in scored.items()}


def nudged(judged: dict[str, Any], ranked: dict[str, dict[str, float]], step: float) -> dict[str, dict[str, float]]:
    """Return the scores with five decimals, and a step for each grade of relevance."""
    return {
        query: {one: round(score, 5) + step * judged[query].get(one, 0) for one, score in found.items()}
        for query, found in ranked.items()
    }


def evaluated(task: Any, vectors: Any, known: Official) -> Any:
    """Return mteb's result of one task; what queries score goes into `known`."""
    import mteb

    name, metric = task.metadata.name, task.metadata.main_score
    if task.metadata.type in ("Retrieval", "Reranking"):
        specific = task.task_specific_scores

        def noted(scores: Any, judged: Any, ranked: Any, **where: Any) -> Any:
            for values, step in ((known.queries, 0.0), (known.least, -1e-6), (known.most, 1e-6)):
                found = by_query(metric, judged, nudged(judged, ranked, step) if step else ranked)
                values.update({(name, query): one for query, one in found.items()})
            return specific(scores, judged, ranked, **where)

        task.task_specific_scores = noted
    task.n_experiments = FEWER.get(name, getattr(task, "n_experiments", None))
    quiet = {"cache": None, "overwrite_strategy": "always", "co2_tracker": False, "show_progress_bar": False}
    return mteb.evaluate(encoders.PlainModel(vectors), task, **quiet)[0]


@pytest.fixture(scope="module")
def official(hub: Path) -> Callable[[str], dict[str, Official]]:
    """Return a function from a task to what plain mteb says of it with each model."""
    known: dict[str, dict[str, Official]] = {}

    def found(name: str) -> dict[str, Official]:
        if name not in known:
            known[name] = {}
            for model in MODELS:
                truth = known[name][model] = Official(results=[], queries={}, least={}, most={})
                for task in official_tasks(hub, name):
                    vectors = (
                        encoders.hashed if model == "hashed" else encoders.tf_idf(texts_of(task), dimension=DIMENSION)
                    )
                    truth.results.append(evaluated(task, vectors, truth))
        return known[name]

    return found


def test_the_tables_are_the_benchmarks() -> None:
    """Every task of both has a repository, and it is the one that mteb reads; so has the subset of the paper."""
    import mteb

    tasks = {one.metadata.name: one for one in mteb.get_benchmark("MTEB(eng, v1)").tasks}
    newer = {one.metadata.name: one for one in mteb.get_benchmark("MTEB(eng, v2)").tasks}
    assert len(FIRST) == 56
    assert set(FIRST) == set(tasks)
    assert set(NEWER) == set(newer) - set(tasks)
    assert len(newer) == 41
    assert all(NEWER[name].repository == newer[name].metadata.dataset["path"] for name in NEWER)
    assert {task.name for task in resolve_tasks(load_suite("grace-subset").suite, None)} <= {*FIRST, *NEWER}
    parts = {one.metadata.name: one for one in tasks.pop(CQADUPSTACK).metadata.tasks}
    for name, task in (tasks | parts).items():
        assert ALL[name].repository == task.metadata.dataset["path"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", TASKS)
def test_the_score_is_mtebs_own(
    ran_of: Callable[[str], Ran],
    official: Callable[[str], dict[str, Official]],
    name: str,
    model: str,
    record_property: Tell,
) -> None:
    """To 1e-6 of mteb's; of tasks that rank documents each query's, since mteb rounds their mean to five decimals.

    Vectors of signs are compared exactly, so that nothing but equality will do. Of those of TF-IDF, documents that are
    alike to the last digit are in mteb's ranking in the order of rounding, which hangs on their place in a matrix.
    """
    ran, truth = ran_of(name), official(name)[model]
    score = ran.score(model, name).score / 100
    items = ran.items(model, name)
    tell_engine(record_property, name, model, 100 * truth.score(), draws=FEWER.get(name))
    assert 0.02 < truth.score() < 0.999
    assert {(row["split"], row["subset"]) for row in items} == truth.where()
    if name in FEWER:
        assert accuracy(items, FEWER[name]) == pytest.approx(truth.score(), abs=1e-6)
        assert accuracy(items, 10) == pytest.approx(score, abs=1e-6)
    elif truth.queries:
        found = {(row["part"], row["query"]): row["score"] for row in items}
        assert found.keys() == truth.queries.keys()
        parts = [[one for (part, _), one in found.items() if part == own] for own in {part for part, _ in found}]
        assert score == pytest.approx(math.fsum(sum(part) / len(part) for part in parts) / len(parts), abs=1e-6)
        if model == "hashed":
            assert found == pytest.approx(truth.queries, abs=1e-6)
            assert score == pytest.approx(truth.score(), abs=ROUNDING)
        else:
            assert all(truth.least[one] - 1e-6 <= value <= truth.most[one] + 1e-6 for one, value in found.items())
    else:
        assert score == pytest.approx(truth.score(), abs=1e-6)


def accuracy(items: list[dict[str, Any]], experiments: int) -> float:
    """Return the share of right predictions in the first so many experiments."""
    right = [row[f"prediction_{number}"] == row["label"] for row in items for number in range(experiments)]
    return sum(right) / len(right)


@pytest.mark.parametrize("name", TASKS)
def test_every_cell_has_items_an_interval_and_a_difference(
    ran_of: Callable[[str], Ran], name: str, record_property: Tell
) -> None:
    """Of each model; what is compared are the two cells."""
    ran = ran_of(name)
    cells = [ran.score(model, name) for model in MODELS]
    for cell in cells:
        tell_cell(record_property, cell)
    tell_difference(record_property, name, ran.rows[name])
    for model, cell in zip(MODELS, cells, strict=True):
        assert cell.n == ITEMS.get(name, BY_TYPE[cell.type])
        assert cell.ci_low is not None
        assert cell.ci_high is not None
        assert cell.ci_low < cell.score < cell.ci_high
        assert ran.items(model, name)
    row = ran.rows[name]
    assert (row.a, row.b) == (cells[0].score, cells[1].score)
    assert row.difference.value == pytest.approx(cells[0].score - cells[1].score)
    assert row.difference.low < row.difference.value < row.difference.high


def test_shards_give_the_score_of_the_whole(hub: Path, ran_of: Callable[[str], Ran], tmp_path: Path) -> None:
    """Tasks of every type, cut into shards of seven texts: items and scores are those of the whole cell."""
    options = harness.RunOptions(results=tmp_path, sources=Sources(hub=hub / "v1", offline=True), models=("hashed",))
    outcome = harness.run(suite_of(CUT, shards={"max_texts": 7}), options)
    ran = ran_of(CUT[0])
    cut = Ran(results=dict(outcome.results), store=Store(tmp_path), rows={})
    for name in CUT:
        found, whole = cut.score("hashed", name), ran.score("hashed", name)
        assert found.provenance["shards"]["count"] > 4
        assert found.provenance["shards"]["remade"] == []
        assert (found.key, found.score, found.ci_low, found.ci_high) == (
            whole.key,
            whole.score,
            whole.ci_low,
            whole.ci_high,
        )
        assert cut.items("hashed", name) == ran.items("hashed", name)
