"""Every engine of the table faces the same edge cases: small, tied, cut short, failing, empty; through a real run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ability_support import save_tiny_lm

from harness.errors import HarnessError
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.results.records import Failure, Result, Score
from harness.sources.places import Sources
from harness.suite.load import load_suite
from harness.tasks.engines import ENGINES

Rows = list[dict[str, Any]]
CHOICES = """
task: mine
dataset_path: json
dataset_kwargs: {data_files: {test: test.jsonl}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{question}}"
doc_to_target: answer
doc_to_choice: "{{choices}}"
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
metadata: {version: 1.0}
"""


def lines(file: Path, rows: Rows) -> str:
    """Write JSON lines; returns the path."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)


def retrieval(folder: Path, n: int, *, tied: bool = False) -> dict[str, Any]:
    """n queries over four documents, all alike where `tied`."""
    lines(folder / "corpus.jsonl", [{"_id": f"d{i}", "text": "plum" if tied else f"plum {i}"} for i in range(4)])
    lines(folder / "queries.jsonl", [{"_id": f"q{i}", "text": f"query {i}"} for i in range(n)])
    lines(folder / "qrels.jsonl", [{"query-id": f"q{i}", "corpus-id": f"d{i}", "score": 1} for i in range(n)])
    return {"custom": [{"name": "mine", "type": "Retrieval", "path": str(folder)}]}


def reranking(folder: Path, n: int, *, tied: bool = False) -> dict[str, Any]:
    """n queries with two documents each."""
    rows = [
        {"query": f"query {i}", "positive": ["plum"], "negative": ["plum" if tied else f"hill {i}"]} for i in range(n)
    ]
    return {"custom": [{"name": "mine", "type": "Reranking", "path": lines(folder / "test.jsonl", rows)}]}


def classification(folder: Path, n: int, *, tied: bool = False) -> dict[str, Any]:
    """n test texts of one of two labels."""
    train = [{"text": "plum" if tied else f"plum {i}", "label": f"l{i % 2}"} for i in range(4)]
    lines(folder / "train.jsonl", train)
    lines(folder / "test.jsonl", [{"text": "plum" if tied else f"hill {i}", "label": "l0"} for i in range(n)])
    return {"custom": [{"name": "mine", "type": "Classification", "path": str(folder)}]}


def choices(folder: Path, n: int, *, tied: bool = False) -> dict[str, Any]:
    """n questions, whose options are one text twice where `tied`."""
    options = ["plum", "plum"] if tied else ["plum", "hill"]
    lines(folder / "test.jsonl", [{"question": f"q {i}", "choices": options, "answer": i % 2} for i in range(n)])
    (folder / "task.yaml").write_text(CHOICES, encoding="utf-8")
    return {"ability": [{"name": "mine", "file": str(folder / "task.yaml"), "num_fewshot": 0}]}


def likelihood(folder: Path, n: int, *, tied: bool = False) -> dict[str, Any]:
    """n texts."""
    rows = [{"text": "plum" if tied else f"plum {i}"} for i in range(n)]
    return {
        "ability": [
            {"name": "mine", "task": "lm_nll", "file": lines(folder / "texts.jsonl", rows), "column": "text"},
        ]
    }


MAKERS: dict[str, tuple[Callable[..., dict[str, Any]], ...]] = {
    "mteb": (retrieval, reranking, classification),
    "lm-eval": (choices, likelihood),
}
"""Engine -> what writes a task of its."""
EACH = pytest.mark.parametrize(
    ("engine", "make"),
    [pytest.param(engine, make, id=f"{engine}-{make.__name__}") for engine, of in MAKERS.items() for make in of],
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a model that works and one whose table of embeddings is too short; an empty cache of data."""
    import datasets
    from transformers import AutoModelForCausalLM

    root = tmp_path_factory.mktemp("models")
    save_tiny_lm(root / "works")
    save_tiny_lm(root / "fails")
    model = AutoModelForCausalLM.from_pretrained(root / "fails")
    model.resize_token_embeddings(24)
    model.save_pretrained(root / "fails")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))
        yield root


def result_of(models: Path, folder: Path, tasks: dict[str, Any], *, model: str = "works", **options: Any) -> Result:
    """Run the one cell of a suite."""
    entry = {"name": "lm", "encoder": "mean-pool", "model": str(models / model), "device": "cpu"}
    file = folder / "suite.yaml"
    file.write_text(json.dumps({"version": 1, "name": "s", "models": [entry], "tasks": tasks, **options}))
    sources = Sources(hub=folder / "hub", offline=True)
    outcome = run(load_suite(file).suite, RunOptions(results=folder / "results", sources=sources))
    (result,) = outcome.results.values()
    return result


def test_every_engine_of_the_table_is_faced() -> None:
    """A new backend brings its tasks to these tests."""
    assert set(MAKERS) == set(ENGINES)


@EACH
@pytest.mark.parametrize(("n", "options"), [(1, {}), (4, {"limit": 1})], ids=["one", "limit"])
def test_one_item_has_a_score_and_no_interval(
    models: Path, tmp_path: Path, engine: str, make: Callable[..., Any], n: int, options: dict[str, Any]
) -> None:
    """Whether there is one alone, or a limit leaves one of four."""
    result = result_of(models, tmp_path, make(tmp_path / "data", n), **options)
    assert isinstance(result, Score), result
    assert (result.axis, result.n, result.ci_low, result.ci_high) == (ENGINES[engine].axis, 1, None, None)


@EACH
def test_ties_give_the_same_score_twice(models: Path, tmp_path: Path, engine: str, make: Callable[..., Any]) -> None:
    """Where nothing tells the choices apart, the score is still a number that a second run gives again."""
    scores = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        result = result_of(models, tmp_path / name, make(tmp_path / "data", 4, tied=True))
        assert isinstance(result, Score), result
        scores.append((result.axis, result.score, result.n, result.ci_low, result.ci_high))
    assert scores[0] == scores[1]
    assert scores[0][0] == ENGINES[engine].axis
    assert scores[0][1] == scores[0][1], "not a number"


@EACH
def test_an_encoder_that_fails_is_the_cells_failure(
    models: Path, tmp_path: Path, engine: str, make: Callable[..., Any]
) -> None:
    """Its own error and message are kept, with the traceback; the score is not 0."""
    result = result_of(models, tmp_path, make(tmp_path / "data", 4), model="fails")
    assert isinstance(result, Failure), result
    assert (result.error, result.message) == ("IndexError", "index out of range in self")
    assert "embedding" in result.traceback
    assert ENGINES[engine].backend.split(":")[0].replace(".", "/") in result.traceback


@EACH
def test_empty_data_is_refused_with_its_file(
    models: Path, tmp_path: Path, engine: str, make: Callable[..., Any]
) -> None:
    """Before anything runs, or as the cell's failure: the message names a file and says that it has no rows."""
    tasks = make(tmp_path / "data", 0)
    try:
        result = result_of(models, tmp_path, tasks)
    except HarnessError as error:
        said = str(error)
    else:
        assert isinstance(result, Failure), f"{engine} scored nothing: {result}"
        said = result.message
    assert "no rows" in said
    assert ".jsonl" in said


@pytest.mark.parametrize(
    ("kind", "row", "options", "said"),
    [
        ("STS", {"sentence1": "plum", "sentence2": "plum", "score": None}, {}, "all 4 similarities are equal"),
        ("STS", {"sentence1": "plum", "sentence2": "hill", "score": None}, {"limit": 1}, "needs 2 pairs at least"),
        (
            "Summarization",
            {"text": "t", "human_summaries": ["plum"], "machine_summaries": ["plum"] * 3, "relevance": [1, 2, 3]},
            {},
            "nothing can be correlated",
        ),
    ],
)
def test_a_correlation_that_does_not_exist_is_a_failure_that_says_so(
    models: Path, tmp_path: Path, kind: str, row: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    """Equal similarities, or one pair alone, have no rank correlation; that is neither 0 nor an error of scipy's."""
    rows = [row | ({"score": i} if "score" in row else {}) for i in range(4)]
    path = lines(tmp_path / "data" / "test.jsonl", rows)
    result = result_of(models, tmp_path, {"custom": [{"name": "mine", "type": kind, "path": path}]}, **options)
    assert isinstance(result, Failure), result
    assert said in result.message
    assert result.error == "HarnessError"
