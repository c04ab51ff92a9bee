"""BRIGHT and LongEmbed from a hub in their repositories' forms to scores: mteb's own, for vectors and for BM25.

The truth is plain `mteb.evaluate` with the tasks of its benchmarks over the same files: of vectors its own wrapper, of
BM25 its own baseline.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_hub import encoders
from small_hub.tasks import SHARED, write_hub

import harness
from harness.plan.planner import make_plan
from harness.results.records import Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.tasks.catalogue import catalogue

QUICK = ("BrightAopsRetrieval", "BrightPonyRetrieval", "LEMBNeedleRetrieval", "LEMBQMSumRetrieval")
BENCHMARKS = ("BRIGHT(v1.1)", "LongEmbed")
EVERY = tuple(one.name for name in BENCHMARKS for one in catalogue().benchmarks[name])
TASKS = [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in EVERY]
ROUNDING = 0.51e-5
"""Of mteb, which gives metrics of ranking tasks with five decimals."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The three repositories; one encoder is installed, and `datasets` has a cache of its own."""
    import datasets

    site = tmp_path_factory.mktemp("site")
    encoders.install(site)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets-cache"))
        patch.syspath_prepend(str(site))
        yield write_hub(tmp_path_factory.mktemp("hub"), SHARED)


def run(
    hub: Path, results: Path, model: dict[str, Any], task: str, **fields: Any
) -> tuple[Score, list[dict[str, Any]]]:
    """Return what `harness run` makes of a task with all its splits, and its per-item results."""
    splits = list(catalogue().tasks[task].splits)
    suite = harness.Suite.model_validate(
        {
            "version": 1,
            "name": "some",
            "models": [{"name": "m", **model}],
            "tasks": {"embedding": {"names": [{"name": task, "splits": splits}]}},
            **fields,
        }
    )
    outcome = harness.run(suite, harness.RunOptions(results=results, sources=Sources(hub=hub, offline=True)))
    (score,) = outcome.results.values()
    assert isinstance(score, Score), score
    table = Store(results).items_of(score)
    assert table is not None
    return score, table.to_pylist()


def official(hub: Path, name: str, model: Any) -> tuple[float, dict[tuple[str, str], float]]:
    """Return mteb's own score of a task, the mean over splits, and each query's as pytrec_eval has it."""
    import mteb
    import pytrec_eval

    task = mteb.get_task(name)
    path = str(hub / "datasets" / task.metadata.dataset["path"])
    task.metadata = task.metadata.model_copy(update={"dataset": {**task.metadata.dataset, "path": path}})
    measure = task.metadata.main_score
    measure = measure.replace("ndcg_at_", "ndcg_cut_") if "ndcg" in measure else measure.replace("_at_", "_")
    queries: dict[tuple[str, str], float] = {}
    specific = task.task_specific_scores

    def noted(scores: Any, judged: Any, ranked: Any, **where: Any) -> Any:
        asked = "recall.1" if measure.startswith("recall") else measure.replace("cut_", "cut.")
        found = pytrec_eval.RelevanceEvaluator(judged, {asked}).evaluate(ranked)
        queries.update({(where["hf_split"], query): one[measure] for query, one in found.items()})
        return specific(scores, judged, ranked, **where)

    task.task_specific_scores = noted
    quiet = {"cache": None, "overwrite_strategy": "always", "co2_tracker": False, "show_progress_bar": False}
    (result,) = mteb.evaluate(model, task, **quiet)
    scores = [one["main_score"] for rows in result.scores.values() for one in rows]
    return sum(scores) / len(scores), queries


@pytest.mark.parametrize("name", TASKS)
def test_the_score_is_mtebs_own(hub: Path, tmp_path: Path, name: str) -> None:
    """And every query's, with the documents left out that the data exclude for it."""
    score, items = run(hub, tmp_path, {"encoder": encoders.NAME}, name)
    truth, queries = official(hub, name, encoders.PlainModel(encoders.hashed))
    assert 0.02 < truth < 0.999
    assert {(row["split"], row["query"]): row["score"] for row in items} == pytest.approx(queries, abs=1e-6)
    assert score.score / 100 == pytest.approx(truth, abs=ROUNDING)


@pytest.mark.parametrize("name", TASKS)
def test_bm25_is_mtebs_own_baseline(hub: Path, tmp_path: Path, name: str) -> None:
    """Every query's score is that of mteb's `baseline-bm25s`, and the report says which BM25 it is."""
    pytest.importorskip("bm25s")
    import mteb

    score, items = run(hub, tmp_path, {"encoder": "bm25"}, name)
    truth, queries = official(hub, name, mteb.get_model("mteb/baseline-bm25s"))
    assert truth > 0.02  # of a few documents it may find all
    assert {(row["split"], row["query"]): row["score"] for row in items} == pytest.approx(queries, abs=1e-6)
    assert score.score / 100 == pytest.approx(truth, abs=ROUNDING)
    assert score.provenance["search"]["lexical"].startswith("BM25 (lucene, k1 1.5, b 0.75; stop words en, stemmed")
    assert score.provenance["prompts"] == {}


def test_what_is_excluded_is_said_and_found_by_nobody(hub: Path, tmp_path: Path) -> None:
    """Of each query that has some, none of them is among its best documents, and they would have been the first."""
    import pyarrow.parquet as pq

    score, items = run(hub, tmp_path, {"encoder": encoders.NAME}, "BrightAopsRetrieval")
    folder = hub / "datasets" / "mteb" / "BRIGHT"
    examples = pq.read_table(folder / "examples" / "aops-00000-of-00001.parquet").to_pylist()
    documents = pq.read_table(folder / "documents" / "aops-00000-of-00001.parquet").to_pylist()
    texts = {row["id"]: row["content"] for row in documents}
    top = {row["query"]: row["top_documents"] for row in items}
    excluded = {row["id"]: row["excluded_ids"] for row in examples if row["excluded_ids"] != ["N/A"]}
    assert len(excluded) == 7
    assert all(not set(names) & set(top[query]) for query, names in excluded.items())
    assert any(row["query"] in [texts.get(one) for one in row["excluded_ids"]] for row in examples)
    n = sum(map(len, excluded.values()))
    assert f"{n} documents are excluded for 7 of 8 queries, as the data ask" in score.provenance["data_remarks"]


def test_a_limit_keeps_what_is_excluded_and_not_the_whole_corpus(hub: Path, tmp_path: Path) -> None:
    """A candidate list of nearly all documents is no reason to encode them all."""
    import pyarrow.parquet as pq

    score, items = run(hub, tmp_path, {"encoder": encoders.NAME}, "BrightAopsRetrieval", limit=2)
    kept = score.provenance["limited_to"]["BrightAopsRetrieval"]["standard/default"]
    assert (kept["kept"], kept["documents_of"]) == (2, 40)
    assert kept["documents_kept"] <= 2 * (3 + 3 + 10)
    examples = pq.read_table(hub / "datasets" / "mteb" / "BRIGHT" / "examples" / "aops-00000-of-00001.parquet")
    excluded = {row["id"]: set(row["excluded_ids"]) for row in examples.to_pylist()}
    assert all(len(row["top_documents"]) == 10 for row in items)
    assert all(not excluded[row["query"]] & set(row["top_documents"]) for row in items)


@pytest.mark.parametrize("name", EVERY)
def test_a_hub_of_such_a_repository_lacks_nothing(hub: Path, name: str) -> None:
    """A config is looked for under the name that mteb's loader has for it; one that is not there is said."""
    suite = {"version": 1, "name": "s", "tasks": {"embedding": {"names": [name]}}}
    plan = make_plan(harness.Suite.model_validate(suite), Sources(hub=hub, offline=True))
    assert plan.gaps == ()


def test_a_config_that_is_not_there_is_said(tmp_path: Path) -> None:
    """By its own name, not as a subset `default` that no such repository has."""
    write_hub(tmp_path, SHARED)
    card = tmp_path / "datasets" / "dwzhu" / "LongEmbed" / "README.md"
    card.write_text(card.read_text(encoding="utf-8").replace("config_name: qmsum", "config_name: other"))
    suite = {"version": 1, "name": "s", "tasks": {"embedding": {"names": ["LEMBQMSumRetrieval"]}}}
    ((gap, _),) = make_plan(harness.Suite.model_validate(suite), Sources(hub=tmp_path, offline=True)).gaps
    assert "has no subset 'qmsum'" in gap.why
