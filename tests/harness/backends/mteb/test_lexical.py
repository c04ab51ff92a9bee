"""BM25 through mteb's protocol: mteb's own baseline on small data, and what it gets wrong where data are large."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mteb
import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset
from small_hub.tasks import ALL, write_hub
from suites_support import isolate, write

import harness
from harness.backends.mteb.lexical import LexicalSearch, best_of
from harness.encoders.bm25 import Bm25Encoder
from harness.encoders.checked import CheckedEncoder
from harness.errors import EncoderOutputError, HarnessError
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.plan.planner import make_plan
from harness.results.facts import facts_of
from harness.results.records import Score
from harness.search.ranks import ranks_of
from harness.sources.places import Sources
from harness.suite.load import load_suite
from harness.suite.model_entries import Bm25Spec

pytest.importorskip("bm25s")
QUICK = ("SciFact", "MindSmallReranking")
RANKING = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name in ("NFCorpus", "FiQA2018", "TRECCOVID", "SciDocsRR", "AskUbuntuDupQuestions", *QUICK)
]


def searching(**settings: Any) -> LexicalSearch:
    """Return the search of an encoder with these settings."""
    inner = Bm25Encoder(Bm25Spec(name="b", encoder="bm25", **settings))
    return LexicalSearch(SimpleNamespace(mteb_model_meta=None), CheckedEncoder(inner, name="b"), inner)  # type: ignore[arg-type]


def found(search: LexicalSearch, corpus: Dataset, queries: dict[str, str], **asked: Any) -> dict[str, dict[str, float]]:
    """Return what is found for queries in a corpus, as a task of English texts."""
    metadata = mteb.get_task("SciFact").metadata
    where = {"task_metadata": metadata, "hf_split": "test", "hf_subset": "default"}
    search.index(corpus, **where)
    rows = Dataset.from_list([{"id": name, "text": text} for name, text in queries.items()])
    return search.search(rows, **where, top_k=asked.pop("top_k", 3), **asked)


@pytest.mark.parametrize("name", RANKING)
def test_a_run_scores_what_mtebs_baseline_does(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over retrieval with and without titles, empty documents and queries, and candidates of each query's own."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    hub = write_hub(tmp_path / "hub", {name: ALL[name]})
    suite = harness.Suite.model_validate(
        {
            "version": 1,
            "name": "s",
            "models": [{"name": "b", "encoder": "bm25"}],
            "tasks": {"embedding": {"names": [name]}},
        }
    )
    options = harness.RunOptions(results=tmp_path / "results", sources=Sources(hub=hub, offline=True))
    (score,) = harness.run(suite, options).results.values()
    assert isinstance(score, Score), score
    task = mteb.get_task(name, eval_splits=list(make_plan(suite, options.sources).tasks[0].splits))
    dataset = {**task.metadata.dataset, "path": str(hub / "datasets" / ALL[name].repository)}
    task.metadata = task.metadata.model_copy(update={"dataset": dataset})
    quiet = {"cache": None, "overwrite_strategy": "always", "co2_tracker": False, "show_progress_bar": False}
    (result,) = mteb.evaluate(mteb.get_model("mteb/baseline-bm25s"), task, **quiet)
    truth = [one["main_score"] for rows in result.scores.values() for one in rows]
    assert 0.05 < truth[0] < 1
    assert score.score / 100 == pytest.approx(sum(truth) / len(truth), abs=0.51e-5)


def test_scores_are_the_formula() -> None:
    """Robertson's and Lucene's: idf log(1 + (N - n + 0.5) / (n + 0.5)), tf / (tf + k1 (1 - b + b length / mean))."""
    corpus = Dataset.from_list(
        [{"id": "a", "text": "tram tram bell"}, {"id": "b", "text": "tram roof"}, {"id": "c", "text": "moss fern owl"}]
    )
    scores = found(searching(k1=1.2, b=0.5), corpus, {"q": "tram bell"})["q"]
    mean = 8 / 3

    def weight(n: int, tf: int, length: int) -> float:
        return np.log(1 + (3 - n + 0.5) / (n + 0.5)) * tf / (tf + 1.2 * (0.5 + 0.5 * length / mean))

    assert scores == pytest.approx({"a": weight(2, 2, 3) + weight(1, 1, 3), "b": weight(2, 1, 2), "c": 0.0}, abs=1e-6)


def test_every_candidate_is_scored_however_many_documents_are_better() -> None:
    """mteb's baseline takes the best of the corpus first, and a candidate beyond them is lost."""
    corpus = Dataset.from_list([{"id": f"d{n}", "text": "tram bell" if n < 9 else "tram roof moss"} for n in range(10)])
    ranked = found(searching(), corpus, {"q": "tram bell"}, top_ranked={"q": ["d9", "d1"]})
    assert list(ranked["q"]) == ["d1", "d9"]
    with pytest.raises(HarnessError, match="query 'q': 1 candidates are not in the corpus, the first 'x'"):
        found(searching(), corpus, {"q": "tram"}, top_ranked={"q": ["x"]})


def test_ties_are_kept_by_id() -> None:
    """At the cut too, in either order of the corpus."""
    for order in (range(6), reversed(range(6))):
        corpus = Dataset.from_list([{"id": f"d{n}", "text": "tram bell"} for n in order])
        assert list(found(searching(), corpus, {"q": "bell"}, top_k=2)["q"]) == ["d5", "d4"]


def test_best_of_is_a_sort_by_score_and_id() -> None:
    """Over scores with many ties, for every number of documents wanted."""
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, 50).astype(np.float32)
    names = [f"{n:02}" for n in rng.permutation(50)]
    truth = sorted(range(50), key=lambda place: (scores[place], names[place]), reverse=True)
    for k in (1, 7, 49, 50, 80):
        assert best_of(scores, ranks_of(pa.array(names)), k).tolist() == truth[:k]


@pytest.mark.parametrize("text", ["", "!?", "zz qq"])
def test_a_query_without_a_known_word_finds_nothing_better_than_0(text: str) -> None:
    """Nor does any query in a corpus without a word."""
    corpus = Dataset.from_list([{"id": "a", "title": None, "text": "tram"}, {"id": "b", "title": "roof", "text": ""}])
    assert found(searching(), corpus, {"q": text, "p": "roof"})["q"] == {"a": 0.0, "b": 0.0}
    empty = Dataset.from_list([{"id": "a", "text": ""}, {"id": "b", "text": "!"}])
    assert found(searching(), empty, {"q": text})["q"] == {"a": 0.0, "b": 0.0}


def test_it_is_n_a_where_nothing_is_ranked(tmp_path: Path) -> None:
    """Of every such type with its reason; and it takes no task from the others' means."""
    with pytest.raises(EncoderOutputError, match="gives no vectors"):
        Bm25Encoder(Bm25Spec(name="b", encoder="bm25")).encode(["a"], role=None, prompt=None)
    names = ["SciFact", "SciDocsRR", "STS12", "EmotionClassification", "TwentyNewsgroupsClustering", "SummEval"]
    suite = {"version": 1, "name": "s", "models": [{"name": "b", "encoder": "bm25"}]}
    suite |= {"tasks": {"embedding": {"names": [*names, "TwitterURLCorpus"]}, "ability": ["gsm8k"]}}
    plan = make_plan(harness.Suite.model_validate(suite), Sources(hub=tmp_path))
    states = {cell.task.name: cell.state for cell in plan.cells}
    assert [name for name, state in states.items() if state != "n/a"] == ["SciFact", "SciDocsRR"]
    assert {cell.reason for cell in plan.cells if cell.task.name == "STS12"} == {
        "it gives no vectors: it ranks documents alone"
    }


CHINESE = ["猫坐在垫子上", "狗在公园里跑", "今天下雨了", "他在厨房做饭", "火车晚点了", "孩子们在踢足球"]


@pytest.mark.parametrize(("language", "score", "says"), [("zho-Hans", 100.0, False), (None, None, True)])
def test_own_texts_are_taken_for_what_their_task_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str | None, score: float | None, says: bool
) -> None:
    """A sentence of Chinese is one English word: each query holds half a sentence, and only `zho` finds it."""
    isolate(monkeypatch, tmp_path / "caches")
    folder = tmp_path / "zh"
    rows = {
        "corpus": [{"_id": str(n), "text": text} for n, text in enumerate(CHINESE)],
        "queries": [{"_id": f"q{n}", "text": text[:3]} for n, text in enumerate(CHINESE)],
        "qrels": [{"query-id": f"q{n}", "corpus-id": str(n), "score": 1} for n in range(len(CHINESE))],
    }
    for name, own in rows.items():
        write(folder / f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in own))
    said = f", language: {language}" if language else ""
    body = f"models: [{{name: m, encoder: bm25}}]\ntasks: {{custom: [{{name: zh, type: Retrieval, path: zh{said}}}]}}\n"
    suite = load_suite(write(tmp_path / "s.yaml", f"version: 1\nname: s\n{body}")).suite
    found = run(suite, RunOptions(results=tmp_path / "results")).results["m/zh"]
    assert isinstance(found, Score), found
    assert (round(found.score, 2) == score) is not says
    assert any("took the words for English" in one for one in facts_of(found).data_remarks) is says
