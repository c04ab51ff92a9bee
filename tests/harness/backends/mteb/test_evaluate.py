"""Cells through the mteb backend: the scores are mteb's own, and the stored items recompute them.

The recomputation here shares no code with the backend: scipy, scikit-learn and pytrec_eval over the parquet's columns.
"""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from cells_support import HashEncoder, hashed
from local_hub import write_hub
from st_support import save_model, transformer

from harness.backends.interface import Job, NotRecomputedError, Outcome
from harness.backends.mteb import readable
from harness.backends.mteb.evaluate import evaluate
from harness.backends.mteb.pools import embedded_rows, pool_scores
from harness.candidates.candidate import Candidate
from harness.candidates.identify import identify
from harness.encoders.checked import CheckedEncoder
from harness.encoders.loading import load
from harness.errors import EncoderOutputError, HarnessError
from harness.plan.cells import Cell, PlannedTask
from harness.plan.tasks import resolve_tasks
from harness.sources.locate import locate_dataset
from harness.sources.places import Located, Sources
from harness.statistics.items import STATISTICS, of_scores
from harness.suite.load import model_of
from harness.suite.schema import Suite
from harness.tasks.catalogue import catalogue
from harness.tasks.prompts import resolve, roles_of
from harness.tasks.types import NO_ROLE

TASKS = (
    "BIOSSES",
    "SciFact",
    "AskUbuntuDupQuestions",
    "MindSmallReranking",
    "TwitterSemEval2015",
    "Banking77Classification",
    "TwentyNewsgroupsClustering",
    "TwentyNewsgroupsClustering.v2",
    "StackExchangeClustering.v2",
    "SummEval",
    "SummEvalSummarization.v2",
    "CQADupstackRetrieval",
)
RANKED = ("SciFact", "AskUbuntuDupQuestions", "CQADupstackRetrieval")
"""Tasks whose per-query rows can be compared with pytrec_eval over the task's own rankings."""
FASTER = {"StackExchangeClustering.v2": 500, "TwentyNewsgroupsClustering.v2": 356}
"""Clustering over drawn texts, and how many there are to draw from; of the second mteb embeds 4 %, 14."""
SEED = 5
FINGERPRINT = "f" * 64


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The invented hub; what `datasets` derives from it stays out of the user's cache."""
    import datasets

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets-cache"))
        yield write_hub(tmp_path_factory.mktemp("hub"))


def planned_task(name: str, limit: int | None = None) -> PlannedTask:
    """Return the task as a suite that only names it plans it."""
    suite = Suite.model_validate({"version": 1, "name": "s", "tasks": {"embedding": {"names": [name]}}})
    (task,) = resolve_tasks(suite, limit)
    return task


def make_job(
    hub: Path,
    folder: Path,
    name: str,
    *,
    prompts: dict[str, str] | None = None,
    instruction: str | None = None,
    limit: int | None = None,
) -> Job:
    """Return the job of one cell over the hub."""
    task = planned_task(name, limit)
    resolved = {role or NO_ROLE: resolve(task.info, role, prompts or {}, instruction) for role in roles_of(task.type)}
    cell = Cell(model="hash", task=task, state="to run", key="k" * 20, prompts=resolved)
    data: dict[str, Located] = {}
    for info in task.parts:
        place = locate_dataset(
            Sources(hub=hub, offline=True), str(info.dataset), info.revision, subsets=task.subsets, splits=task.splits
        )
        assert isinstance(place, Located), str(place)
        data[info.name] = place
    return Job(cell=cell, data=data, seed=SEED, fingerprint=FINGERPRINT, native_folder=folder)


class PlainModel:
    """The same vectors spoken straight to mteb, without a line of the harness's backend."""

    def __init__(self, dimension: int = 24) -> None:
        from mteb.models import ModelMeta

        self.dimension = dimension
        self.mteb_model_meta = ModelMeta.create_empty(overwrites={"name": "plain/hash", "revision": "1"})

    def encode(self, inputs: Any, **_: Any) -> np.ndarray:
        """Batch by batch, as mteb's own wrappers do."""
        return np.stack([hashed(text, self.dimension) for batch in inputs for text in batch["text"]])

    def similarity(self, left: Any, right: Any) -> Any:
        """Cosine."""
        from mteb.similarity_functions import cos_sim

        return cos_sim(left, right)

    def similarity_pairwise(self, left: Any, right: Any) -> Any:
        """Cosine of rows with like index."""
        from mteb.similarity_functions import pairwise_cos_sim

        return pairwise_cos_sim(left, right)


def official_tasks(hub: Path, name: str) -> list[Any]:
    """Return mteb's own task, or the parts of an aggregate, reading the hub."""
    import mteb

    planned = planned_task(name)
    tasks = []
    for info in planned.parts:
        task = mteb.get_task(info.name, eval_splits=list(planned.splits))
        path = str(hub / "datasets" / str(info.dataset))
        task.metadata = task.metadata.model_copy(update={"dataset": {**task.metadata.dataset, "path": path}})
        tasks.append(task)
    return tasks


class Official:
    """What plain mteb makes of the same vectors."""

    def __init__(self, hub: Path, name: str, folder: Path) -> None:
        import mteb

        tasks = official_tasks(hub, name)
        self.results = [
            mteb.evaluate(
                PlainModel(),
                task,
                cache=None,
                overwrite_strategy="always",
                co2_tracker=False,
                show_progress_bar=False,
                prediction_folder=folder,
            )[0]
            for task in tasks
        ]
        self.score = float(np.mean([rows[0]["main_score"] for one in self.results for rows in one.scores.values()]))
        self.predictions = folder


class Case:
    """One task scored both ways."""

    _rows: list[dict[str, Any]] | None = None

    def __init__(self, hub: Path, root: Path, name: str) -> None:
        self.name = name
        self.inner = HashEncoder()
        self.job = make_job(hub, root / "native", name)
        self.outcome: Outcome = evaluate(self.job, CheckedEncoder(self.inner, name="hash"))
        self.official = Official(hub, name, root / "predictions")
        self.file = root / "items.parquet"
        if self.outcome.items is not None:
            pq.write_table(self.outcome.items, self.file)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The per-item rows, read back from parquet."""
        if self._rows is None:
            self._rows = pq.read_table(self.file).to_pylist()
        return self._rows


@pytest.fixture(scope="session")
def case_of(hub: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    """Return a function from a task's name to its case, each computed once."""
    cases: dict[str, Case] = {}

    def case(name: str) -> Case:
        if name not in cases:
            cases[name] = Case(hub, tmp_path_factory.mktemp(name), name)
        return cases[name]

    return case


def by(rows: list[dict[str, Any]], *names: str) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """Return the rows grouped by columns, in order."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups


def column(rows: list[dict[str, Any]], name: str) -> list[Any]:
    """Return one column."""
    return [row[name] for row in rows]


def _spearman(rows: list[dict[str, Any]]) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(column(rows, "gold"), column(rows, "cosine"))[0])


def _mean_of_parts(rows: list[dict[str, Any]]) -> float:
    parts = by(rows, "part", "split", "subset").values()
    return float(np.mean([np.mean(column(part, "score")) for part in parts]))


def _max_ap(rows: list[dict[str, Any]]) -> float:
    from sklearn.metrics import average_precision_score

    names = ("similarity", "cosine", "dot", "manhattan", "euclidean")
    return float(max(average_precision_score(column(rows, "label"), column(rows, name)) for name in names))


def _accuracy(rows: list[dict[str, Any]]) -> float:
    from sklearn.metrics import accuracy_score

    names = [name for name in rows[0] if name.startswith("prediction_")]
    assert len(names) == 10
    return float(np.mean([accuracy_score(column(rows, "label"), column(rows, name)) for name in names]))


def _v_measure(rows: list[dict[str, Any]], groups: tuple[str, ...]) -> float:
    from sklearn.metrics import v_measure_score

    values = [v_measure_score(column(one, "label"), column(one, "cluster")) for one in by(rows, *groups).values()]
    return float(np.mean(values))


def _summaries(rows: list[dict[str, Any]], *, with_p_value: bool) -> float:
    from scipy.stats import spearmanr

    found = [spearmanr(row["human"], row["cosine"]) for row in rows]
    return float(np.mean([[one.statistic, one.pvalue] if with_p_value else [one.statistic] for one in found]))


RECOMPUTE: dict[str, Callable[[list[dict[str, Any]]], float]] = {
    "BIOSSES": _spearman,
    "SciFact": _mean_of_parts,
    "AskUbuntuDupQuestions": _mean_of_parts,
    "MindSmallReranking": _mean_of_parts,
    "TwitterSemEval2015": _max_ap,
    "Banking77Classification": _accuracy,
    "TwentyNewsgroupsClustering": partial(_v_measure, groups=("set",)),
    "TwentyNewsgroupsClustering.v2": partial(_v_measure, groups=("level", "experiment")),
    "StackExchangeClustering.v2": partial(_v_measure, groups=("level", "experiment")),
    "SummEval": partial(_summaries, with_p_value=True),
    "SummEvalSummarization.v2": partial(_summaries, with_p_value=False),
    "CQADupstackRetrieval": _mean_of_parts,
}


@pytest.mark.parametrize("name", TASKS)
def test_the_score_is_mtebs_own(case_of: Callable[[str], Case], name: str) -> None:
    """The cell's score equals what plain mteb gives for the same vectors, and is no trivial 0 or 1."""
    case = case_of(name)
    tolerance = 6e-6 if case.job.cell.task.type in ("Retrieval", "Reranking") else 1e-6
    assert case.outcome.score / 100 == pytest.approx(case.official.score, abs=tolerance)
    assert 0.02 < case.official.score < 0.999
    assert case.outcome.metric == case.job.cell.task.info.main_score


@pytest.mark.parametrize("name", TASKS)
def test_the_stored_items_recompute_the_score(case_of: Callable[[str], Case], name: str) -> None:
    """Independent code over the parquet gives the cell's score to 1e-6."""
    case = case_of(name)
    assert case.outcome.items_missing is None
    assert RECOMPUTE[name](case.rows) == pytest.approx(case.outcome.score / 100, abs=1e-6)


@pytest.mark.parametrize("name", TASKS)
def test_every_row_names_part_split_and_subset(case_of: Callable[[str], Case], name: str) -> None:
    """The rows say what they belong to: the parts of an aggregate, or the task itself."""
    case = case_of(name)
    info = case.job.cell.task.info
    assert {row["part"] for row in case.rows} == set(info.parts or (name,))
    assert {(row["split"], row["subset"]) for row in case.rows} == {("test", "default")}


@pytest.mark.parametrize("name", TASKS)
def test_every_number_of_mteb_is_kept_as_a_metric(case_of: Callable[[str], Case], name: str) -> None:
    """Each scalar of mteb's result is a metric in points, with its split, subset and part."""
    case = case_of(name)
    found = {(one.part, one.split, one.subset, one.name): one.value for one in case.outcome.metrics}
    aggregate = bool(case.job.cell.task.info.parts)
    for result in case.official.results:
        for split, rows in result.scores.items():
            for scores in rows:
                for metric, value in scores.items():
                    if isinstance(value, float):
                        part = result.task_name if aggregate else None
                        assert found[part, split, "default", metric] == pytest.approx(
                            value * 100, abs=1e-3, nan_ok=True
                        )


ITEMS = {
    "BIOSSES": (40, "pair"),
    "SciFact": (15, "query"),
    "AskUbuntuDupQuestions": (12, "query"),
    "MindSmallReranking": (9, "query"),
    "TwitterSemEval2015": (36, "pair"),
    "Banking77Classification": (44, "test text"),
    "TwentyNewsgroupsClustering": (3, "set of texts"),
    "TwentyNewsgroupsClustering.v2": (14, "text to cluster"),
    "StackExchangeClustering.v2": (500, "text to cluster"),
    "SummEval": (7, "document"),
    "SummEvalSummarization.v2": (7, "document"),
    "CQADupstackRetrieval": (36, "query"),
}


@pytest.mark.parametrize("name", TASKS)
def test_items_are_counted_in_the_tasks_own_unit(case_of: Callable[[str], Case], name: str) -> None:
    """n and the unit are those of the data that was written."""
    case = case_of(name)
    assert (case.outcome.n, case.outcome.unit) == ITEMS[name]


@pytest.mark.parametrize("name", [name for name in TASKS if name not in FASTER])
def test_the_interval_holds_the_score(case_of: Callable[[str], Case], name: str) -> None:
    """The bootstrap interval is in points, around the score, and not empty."""
    case = case_of(name)
    interval = case.outcome.interval
    assert interval is not None
    assert interval.low <= case.outcome.score <= interval.high
    assert interval.stderr > 0.1


@pytest.mark.parametrize("name", list(FASTER))
def test_newer_clustering_has_its_interval_from_halves_of_the_pool(case_of: Callable[[str], Case], name: str) -> None:
    """Around the score, with the spread of the ten halves as its error and Student's t of 9 degrees of freedom."""
    case = case_of(name)
    halves = [100 * case.rows[0][f"v_measure_pool_{number}"] for number in range(1, 11)]
    interval = case.outcome.interval
    assert interval is not None
    assert interval.stderr == pytest.approx(np.std(halves, ddof=1))
    assert interval.high == pytest.approx(case.outcome.score + 2.2622 * interval.stderr, rel=1e-4)
    assert len({row["v_measure_pool_3"] for row in case.rows}) == 1


def test_a_half_of_the_pool_is_evaluated_as_mteb_does(hub: Path, case_of: Callable[[str], Case]) -> None:
    """The third half by mteb's own function, with its draws fed by the same generator."""
    from mteb.abstasks.clustering import _evaluate_clustering_bootstrapped

    name = next(iter(FASTER))
    (task,) = official_tasks(hub, name)
    task.load_data()
    rows = case_of(name).rows
    pool = embedded_rows(task, len(task.dataset["test"]), task.rng_state)
    vectors = np.stack([hashed(task.dataset["test"]["sentences"][row], HashEncoder().dimension) for row in pool])
    labels = [task.dataset["test"]["labels"][row] for row in pool]
    nested = [label if isinstance(label, list) else [label] for label in labels]
    generator = np.random.default_rng([task.seed, 3])
    half = generator.permutation(len(pool))[: len(pool) // 2]
    drawn = sum(row["experiment"] == 0 for row in rows)

    class Draws:
        """Draws as `pool_scores` does, under the name that mteb calls."""

        @staticmethod
        def choices(places: range, k: int) -> Any:
            return generator.integers(0, len(places), k)

    scores, _ = _evaluate_clustering_bootstrapped(
        vectors[half], [nested[place] for place in half], n_clusters=10, cluster_size=drawn, kmean_batch_size=512,
        max_depth=None, rng_state=Draws(), seed=task.seed,
    )  # fmt: skip
    assert rows[0]["v_measure_pool_3"] == pytest.approx(np.mean(scores["v_measure"]["Level 0"]))


def test_a_half_without_a_text_at_a_level_gives_no_score() -> None:
    """One text in sixty has a second level: no made-up score, so no interval."""
    task = SimpleNamespace(seed=42, k_mean_batch_size=512)
    labels = [["a" if text % 2 else "b"] for text in range(60)]
    vectors = np.random.default_rng(0).normal(size=(60, 4))
    drawn = {"Level 0": [[0] * 100] * 2}
    assert len(pool_scores(task, vectors, labels, drawn)) == 10
    labels[0].append("deep")
    assert pool_scores(task, vectors, labels, drawn | {"Level 1": [[0] * 100] * 2}) == {}
    assert pool_scores(task, vectors[:1], labels[:1], drawn) == {}


def judgements(hub: Path, dataset: str) -> dict[str, dict[str, int]]:
    """Read the judgements of a repository without mteb."""
    (file,) = (hub / "datasets" / dataset / "default").glob("test-*")
    rows = (
        pq.read_table(file).to_pylist()
        if file.suffix == ".parquet"
        else [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["query-id"], {})[row["corpus-id"]] = row["score"]
    return found


@pytest.mark.parametrize("name", RANKED)
def test_query_scores_and_top_documents_equal_pytrec_eval(hub: Path, case_of: Callable[[str], Case], name: str) -> None:
    """Per query: the main metric by pytrec_eval over mteb's own dumped ranking, and its ten best documents, sorted."""
    import pytrec_eval

    case = case_of(name)
    measure = {"ndcg_at_10": "ndcg_cut_10", "map_at_1000": "map_cut_1000"}[case.outcome.metric]
    for (part,), rows in by(case.rows, "part").items():
        file = next(case.official.predictions.rglob(f"{part}_predictions.json"))
        run = json.loads(file.read_text(encoding="utf-8"))["default"]["test"]
        qrels = judgements(hub, str(catalogue().tasks[part].dataset))
        name_of = measure.rpartition("_")
        expected = pytrec_eval.RelevanceEvaluator(qrels, {f"{name_of[0]}.{name_of[2]}"}).evaluate(run)
        assert [row["query"] for row in rows] == sorted(expected)
        for row in rows:
            assert row["score"] == pytest.approx(expected[row["query"]][measure], abs=1e-6)
            best = sorted(run[row["query"]].items(), key=lambda pair: (pair[1], pair[0]), reverse=True)[:10]
            assert row["top_documents"] == [document for document, _ in best]
            assert row["top_scores"] == pytest.approx([value for _, value in best], abs=1e-6)
            assert row["top_scores"] == sorted(row["top_scores"], reverse=True)


def test_rankings_have_ten_documents_and_no_more(case_of: Callable[[str], Case]) -> None:
    """Of 60 documents the ten best are kept; of eight candidates all."""
    assert {len(row["top_documents"]) for row in case_of("SciFact").rows} == {10}
    assert {len(row["top_documents"]) for row in case_of("AskUbuntuDupQuestions").rows} == {8}


def test_a_query_without_positives_scores_0_as_mteb_has_it(case_of: Callable[[str], Case]) -> None:
    """It is in n and in the mean, with 0."""
    rows = {row["query"]: row["score"] for row in case_of("SciFact").rows}
    assert rows["q14"] == 0.0


def test_mind_scores_impressions_by_the_best_subquery(hub: Path, case_of: Callable[[str], Case]) -> None:
    """An impression's documents take the best score over its subqueries; map_cut over those is the row."""
    import pytrec_eval

    case = case_of("MindSmallReranking")
    file = next(case.official.predictions.rglob("MindSmallReranking_predictions.json"))
    run = json.loads(file.read_text(encoding="utf-8"))["default"]["test"]
    qrels = judgements(hub, "mteb/MindSmallReranking")
    merged: dict[str, dict[str, float]] = {}
    judged: dict[str, dict[str, int]] = {}
    for query, documents in run.items():
        impression = query.split("_")[0]
        judged[impression] = qrels[query]
        for document, value in documents.items():
            best = merged.setdefault(impression, {})
            best[document] = max(value, best.get(document, -math.inf))
    expected = pytrec_eval.RelevanceEvaluator(judged, {"map_cut.1000"}).evaluate(merged)
    found = {row["query"]: row["score"] for row in case.rows}
    assert found == pytest.approx({name: values["map_cut_1000"] for name, values in expected.items()})


def test_clustering_rows_name_set_and_item(hub: Path, case_of: Callable[[str], Case]) -> None:
    """Set index, place in the set and true label are those of the data, the set with one label included."""
    sets = pq.read_table(
        next((hub / "datasets/mteb/twentynewsgroups-clustering/default").glob("*.parquet"))
    ).to_pylist()
    rows = case_of("TwentyNewsgroupsClustering").rows
    found = [(row["set"], row["item"], row["label"]) for row in rows]
    assert found == [(i, j, label) for i, one in enumerate(sets) for j, label in enumerate(one["labels"])]
    assert {row["cluster"] for row in rows if row["set"] == 1} == {0}
    assert len({row["cluster"] for row in rows if row["set"] == 0}) == 5
    assert len({row["cluster"] for row in rows if row["set"] == 2}) == 3


def test_clustering_keeps_nine_further_seeds(hub: Path, case_of: Callable[[str], Case]) -> None:
    """The third of them is k-means on the same vectors with mteb's settings and seed 45; a set of one label has 1."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.metrics import v_measure_score

    sets = pq.read_table(
        next((hub / "datasets/mteb/twentynewsgroups-clustering/default").glob("*.parquet"))
    ).to_pylist()
    rows = case_of("TwentyNewsgroupsClustering").rows
    for index, one in enumerate(sets):
        found = {row["v_measure_seed_3"] for row in rows if row["set"] == index}
        expected = 1.0
        if len(set(one["labels"])) > 1:
            vectors = np.stack([hashed(text, HashEncoder().dimension) for text in one["sentences"]])
            clusters = len(set(one["labels"]))
            model = MiniBatchKMeans(n_clusters=clusters, batch_size=500, n_init="auto", random_state=45).fit(vectors)
            expected = v_measure_score(one["labels"], model.labels_)
        assert list(found) == [pytest.approx(expected)]
    assert sum(name.startswith("v_measure_seed_") for name in rows[0]) == 9


@pytest.mark.parametrize("name", list(FASTER))
def test_faster_clustering_rows_name_the_text_that_was_drawn(
    hub: Path, case_of: Callable[[str], Case], name: str
) -> None:
    """The item is the row of the task's own data: its label is the label there, and equal texts share a cluster."""
    (task,) = official_tasks(hub, name)
    task.load_data()
    data = task.dataset["test"]
    rows = case_of(name).rows
    texts, labels = list(data["sentences"]), list(data["labels"])
    assert len(data) == FASTER[name]
    assert {row["experiment"] for row in rows} == set(range(10))
    assert len({row["item"] for row in rows}) == ITEMS[name][0]
    encoded = {text for call, _, _ in case_of(name).inner.calls for text in call}
    assert {texts[row["item"]] for row in rows} == encoded
    clusters: dict[tuple[int, str], set[int]] = {}
    for row in rows:
        label = labels[row["item"]]
        assert row["label"] == str(label[0] if isinstance(label, list) else label)
        clusters.setdefault((row["experiment"], texts[row["item"]]), set()).add(row["cluster"])
    assert {len(found) for found in clusters.values()} == {1}


def test_pair_rows_are_those_of_the_single_row_layout(hub: Path, case_of: Callable[[str], Case]) -> None:
    """The labels of the one stored row come out as 36 rows, in order."""
    row = pq.read_table(
        next((hub / "datasets/mteb/twittersemeval2015-pairclassification/default").glob("*.parquet"))
    ).to_pylist()[0]
    rows = case_of("TwitterSemEval2015").rows
    assert column(rows, "label") == row["labels"]
    assert column(rows, "item") == list(range(36))


@pytest.mark.parametrize("name", ["SummEval", "SummEvalSummarization.v2"])
def test_a_document_with_constant_ratings_is_left_out_by_its_number(case_of: Callable[[str], Case], name: str) -> None:
    """The rows are documents 0 to 7 without the fourth, whose ratings rank nothing."""
    assert column(case_of(name).rows, "item") == [0, 1, 2, 4, 5, 6, 7]


def native_files(case: Case) -> dict[str, Path]:
    """Return the JSON files in mteb's own format by task."""
    return {path.stem: path for path in case.job.native_folder.rglob("*.json")}


@pytest.mark.parametrize("name", TASKS)
def test_mtebs_own_json_is_readable_by_mteb(case_of: Callable[[str], Case], name: str) -> None:
    """TaskResult.from_disk reads what was written, and its score is the cell's."""
    from mteb.results import TaskResult

    case = case_of(name)
    result = TaskResult.from_disk(native_files(case)[name])
    assert result.task_name == name
    assert result.get_score() == pytest.approx(case.outcome.score / 100, abs=1e-5)


def test_cqadupstack_has_its_twelve_parts_and_mtebs_aggregate(case_of: Callable[[str], Case]) -> None:
    """Twelve parts with native JSON each, and one whole whose score is what mteb's own aggregation gives."""
    import mteb
    from mteb.results import TaskResult

    case = case_of("CQADupstackRetrieval")
    parts = catalogue().tasks["CQADupstackRetrieval"].parts
    files = native_files(case)
    assert len(parts) == 12
    assert set(files) == {*parts, "CQADupstackRetrieval"}
    whole = mteb.get_task("CQADupstackRetrieval").combine_task_results(case.official.results)
    found = TaskResult.from_disk(files["CQADupstackRetrieval"])
    assert found.get_score() == pytest.approx(whole.get_score(), abs=6e-6)
    assert len({row["part"] for row in case.rows}) == 12


def test_limited_results_go_to_a_folder_of_their_own(hub: Path, tmp_path: Path) -> None:
    """mteb's JSON of a limited cell is not taken for a full one: `limit-9`, not `full`."""
    job = make_job(hub, tmp_path, "BIOSSES", limit=9)
    outcome = evaluate(job, CheckedEncoder(HashEncoder(), name="hash"))
    assert outcome.n == 9
    assert outcome.facts["limited_to"] == {"BIOSSES": {"test/default": {"of": 40, "kept": 9}}}
    (file,) = tmp_path.rglob("*.json")
    assert file.relative_to(tmp_path).parts[0] == "limit-9"


@pytest.mark.parametrize("name", RANKED)
def test_how_documents_were_ranked_is_recorded(case_of: Callable[[str], Case], name: str) -> None:
    """The policy of ties with the rest, and the seconds of each step."""
    facts = case_of(name).outcome.facts
    assert facts["search"] == {
        "ties": "by falling document id, as trec_eval ranks them",
        "precision": "float32",
        "k": 1000,
        "block": 32768,
    }
    assert {"Encoding queries", "Encoding corpus", "Searching corpus", "Scoring"} <= set(facts["phases"])
    assert case_of("BIOSSES").outcome.facts["search"] == {}


@pytest.mark.parametrize("precision", ["int8", "binary"])
def test_a_cell_is_searched_with_the_precision_that_it_says(hub: Path, tmp_path: Path, precision: str) -> None:
    """By pytrec_eval over sentence-transformers' own integers; mteb's JSON goes to a folder of its own."""
    import pytrec_eval
    from sentence_transformers.util import quantize_embeddings

    (task,) = official_tasks(hub, "SciFact")
    task.load_data()
    task.convert_v1_dataset_format_to_v2(num_proc=None)
    data = task.dataset["default"]["test"]
    texts = [f"{row.get('title') or ''} {row['text']}".strip() for row in data["corpus"]]
    queries, documents = (np.stack([hashed(text, 24) for text in some]) for some in (data["queries"]["text"], texts))
    if precision == "int8":
        one, two = (
            quantize_embeddings(side, "int8", calibration_embeddings=documents).astype(np.float64)
            for side in (queries, documents)
        )
        scores = one @ two.T / np.linalg.norm(one, axis=1)[:, None] / np.linalg.norm(two, axis=1)
    else:
        scores = np.where(queries > 0, 1, -1) @ np.where(documents > 0, 1, -1).T
    run = {
        query: dict(zip(data["corpus"]["id"], map(float, row), strict=True))
        for query, row in zip(data["queries"]["id"], scores, strict=True)
    }
    judged = {query: data["relevant_docs"][query] for query in run}
    expected = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut.10"}).evaluate(run)

    job = make_job(hub, tmp_path, "SciFact")
    job = replace(job, cell=replace(job.cell, search_precision=precision))
    outcome = evaluate(job, CheckedEncoder(HashEncoder(), name="hash"))
    assert outcome.facts["search"]["precision"] == precision
    rows = dict(zip(outcome.items["query"].to_pylist(), outcome.items["score"].to_pylist(), strict=True))
    assert rows == {query: pytest.approx(value["ndcg_cut_10"]) for query, value in expected.items()}
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*.json")} == {f"full-{precision}"}


def test_what_bits_have_found_is_ranked_again_with_the_query_as_floats(hub: Path, tmp_path: Path) -> None:
    """Twenty a query, by sentence-transformers' own bits; nothing beyond them is found."""
    import pytrec_eval
    from sentence_transformers.util import quantize_embeddings

    (task,) = official_tasks(hub, "SciFact")
    task.load_data()
    task.convert_v1_dataset_format_to_v2(num_proc=None)
    data = task.dataset["default"]["test"]
    texts = [f"{row.get('title') or ''} {row['text']}".strip() for row in data["corpus"]]
    ids = list(data["corpus"]["id"])
    queries, documents = (np.stack([hashed(text, 24) for text in some]) for some in (data["queries"]["text"], texts))
    bits, asked = (np.unpackbits(quantize_embeddings(one, "ubinary"), axis=1) for one in (documents, queries))
    run = {}
    for name, query, own in zip(data["queries"]["id"], queries, asked, strict=True):
        apart = (bits != own).sum(axis=1)
        by_id = sorted(range(len(ids)), key=lambda row: ids[row].encode(), reverse=True)
        nearest = sorted(by_id, key=lambda row: apart[row])[:20]  # of equal distances the greater id
        run[name] = {ids[row]: float(query @ bits[row]) for row in nearest}
    judged = {query: data["relevant_docs"][query] for query in run}
    expected = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut.10"}).evaluate(run)

    job = make_job(hub, tmp_path, "SciFact")
    job = replace(job, cell=replace(job.cell, search_precision="binary", rescore=20))
    outcome = evaluate(job, CheckedEncoder(HashEncoder(), name="hash"))
    assert outcome.facts["search"]["rescored"] == 20
    rows = dict(zip(outcome.items["query"].to_pylist(), outcome.items["score"].to_pylist(), strict=True))
    assert rows == {query: pytest.approx(value["ndcg_cut_10"]) for query, value in expected.items()}
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*.json")} == {"full-binary-rescored-20"}


def test_prompts_are_resolved_per_role_and_recorded(hub: Path, tmp_path: Path) -> None:
    """Queries and documents of a retrieval task get their own prefix, and provenance says which."""
    inner = HashEncoder()
    job = make_job(hub, tmp_path, "SciFact", prompts={"query": "q: ", "SciFact-document": "passage: "})
    outcome = evaluate(job, CheckedEncoder(inner, name="hash"))
    assert outcome.facts["prompts"] == {"query": "q: ", "document": "passage: "}
    by_role = {role: prompt for _, role, prompt in inner.calls}
    assert by_role == {"query": "q: ", "document": "passage: "}
    queries = [text for texts, role, _ in inner.calls if role == "query" for text in texts]
    assert len(queries) == 15


def test_titles_are_joined_to_documents(hub: Path, tmp_path: Path, case_of: Callable[[str], Case]) -> None:
    """What is encoded for a document with a title is title, space, text; without one the text alone."""
    rows = pq.read_table(next((hub / "datasets/mteb/scifact/corpus").glob("*.parquet"))).to_pylist()
    encoded = {text for texts, role, _ in case_of("SciFact").inner.calls if role == "document" for text in texts}
    assert encoded == {f"{row['title']} {row['text']}".strip() for row in rows}


def test_an_instruction_reaches_queries_alone(hub: Path, tmp_path: Path) -> None:
    """The template is filled with mteb's instruction of the task; documents get none."""
    job = make_job(hub, tmp_path, "SciFact", instruction="Instruct: {instruction}\nQuery: ")
    outcome = evaluate(job, CheckedEncoder(HashEncoder(), name="hash"))
    expected = "Given a scientific claim, retrieve documents that support or refute the claim"
    assert outcome.facts["prompts"] == {"query": f"Instruct: {expected}\nQuery: ", "document": None}


def test_a_task_without_roles_records_one_prompt(hub: Path, tmp_path: Path) -> None:
    """STS has no roles: one prompt, under `text`."""
    inner = HashEncoder()
    job = make_job(hub, tmp_path, "BIOSSES", prompts={"STS": "same: "})
    outcome = evaluate(job, CheckedEncoder(inner, name="hash"))
    assert outcome.facts["prompts"] == {"text": "same: "}
    assert {(role, prompt) for _, role, prompt in inner.calls} == {(None, "same: ")}


def test_the_models_own_prompts_are_used_where_the_suite_is_silent(hub: Path, tmp_path: Path) -> None:
    """A model that brings a query prompt has it used, and recorded, when the suite sets none."""
    inner = HashEncoder(own_prompts={"query": "own: "})
    outcome = evaluate(make_job(hub, tmp_path, "SciFact"), CheckedEncoder(inner, name="hash"))
    assert outcome.facts["prompts"] == {"query": "own: ", "document": None}
    assert {role: prompt for _, role, prompt in inner.calls} == {"query": "own: ", "document": None}


def test_the_suites_prompts_replace_the_models_own_altogether(hub: Path, tmp_path: Path) -> None:
    """Once the suite sets one role's prompt, the model's own is used for neither."""
    inner = HashEncoder(own_prompts={"query": "own: ", "document": "own doc: "})
    job = make_job(hub, tmp_path, "SciFact", prompts={"query": "suite: "})
    outcome = evaluate(job, CheckedEncoder(inner, name="hash"))
    assert outcome.facts["prompts"] == {"query": "suite: ", "document": None}


class OwnWay(HashEncoder):
    """Vectors of a model with a prompt of its own for each role, which cannot read every role."""

    def __init__(self, own: dict[str | None, str], *, named: dict[str, str] | None = None) -> None:
        """Take the model's prompts: by role, and by selector."""
        super().__init__(own_prompts=named)
        self.own = own

    def own_prompt(self, role: str | None) -> str:
        """Return the prompt of a role."""
        return self.own[role]

    def check_role(self, role: str | None) -> None:
        """Refuse a role without a prompt."""
        if role not in self.own:
            raise EncoderOutputError(f"no way for {role}")


def used(inner: HashEncoder) -> dict[str | None, str | None]:
    """Return the prompt that each role's texts were encoded with."""
    return {role: prompt for _, role, prompt in inner.calls}


def test_what_a_model_puts_in_front_by_itself_is_used_and_recorded(hub: Path, tmp_path: Path) -> None:
    """Its default prompt where a task has no roles; its query's, and explicitly none before documents."""
    inner = OwnWay({None: "all: ", "query": "find: ", "document": ""})
    outcome = evaluate(make_job(hub, tmp_path, "BIOSSES"), CheckedEncoder(inner, name="own"))
    assert outcome.facts["prompts"] == {"text": "all: "}
    assert used(inner) == {None: "all: "}
    inner.calls.clear()
    outcome = evaluate(make_job(hub, tmp_path, "SciFact"), CheckedEncoder(inner, name="own"))
    assert outcome.facts["prompts"] == {"query": "find: ", "document": None}
    assert used(inner) == {"query": "find: ", "document": ""}


@pytest.mark.parametrize("named", ["", "pairs: "])
def test_a_prompt_that_the_model_names_for_the_task_wins_over_its_default(
    hub: Path, tmp_path: Path, named: str
) -> None:
    """Also an empty one, as in mteb's own wrapper: there is none for such tasks."""
    inner = OwnWay({None: "all: "}, named={"STS": named})
    outcome = evaluate(make_job(hub, tmp_path, "BIOSSES"), CheckedEncoder(inner, name="own"))
    assert outcome.facts["prompts"] == {"text": named or None}
    assert used(inner) == {None: named}


@pytest.mark.parametrize("said", ["", "suite: "])
def test_the_suites_prompt_wins_over_the_models_default(hub: Path, tmp_path: Path, said: str) -> None:
    """And an empty one means none."""
    inner = OwnWay({None: "all: ", "query": "find: ", "document": "read: "})
    outcome = evaluate(make_job(hub, tmp_path, "BIOSSES", prompts={"STS": said}), CheckedEncoder(inner, name="own"))
    assert outcome.facts["prompts"] == {"text": said or None}
    assert used(inner) == {None: said}
    inner.calls.clear()
    evaluate(make_job(hub, tmp_path, "SciFact", prompts={"query": said}), CheckedEncoder(inner, name="own"))
    assert used(inner) == {"query": said, "document": ""}


@pytest.mark.parametrize(("name", "own"), [("BIOSSES", {"query": ""}), ("SciFact", {None: "", "query": ""})])
def test_a_model_that_cannot_read_a_role_of_the_task_is_refused_before_its_texts_are(
    hub: Path, tmp_path: Path, name: str, own: dict[str | None, str]
) -> None:
    """A router without a default route and a task without roles; one without a route for documents."""
    inner = OwnWay(own)
    with pytest.raises(EncoderOutputError, match="no way for"):
        evaluate(make_job(hub, tmp_path, name), CheckedEncoder(inner, name="own"))
    assert inner.calls == []


def test_queries_and_documents_go_through_the_models_own_methods(hub: Path, tmp_path: Path) -> None:
    """Of a model with two towers the similarities are those of encode_query against encode_document."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router
    from sentence_transformers.sentence_transformer.modules import Pooling

    def modules(bodies: Path) -> list[Any]:
        towers = ([transformer(bodies / str(seed), seed=seed), Pooling(32, "mean")] for seed in (1, 2))
        return [Router.for_query_document(*towers)]

    folder = save_model(tmp_path / "model", modules, prompts={"query": "find : "})
    candidate = identify(
        model_of({"encoder": "sentence-transformers", "device": "cpu", "model": str(folder)}), Sources()
    )
    assert isinstance(candidate, Candidate)
    outcome = evaluate(make_job(hub, tmp_path, "SciFact"), load(candidate))
    assert outcome.facts["prompts"] == {"query": "find : ", "document": None}
    corpus = pq.read_table(next((hub / "datasets/mteb/scifact/corpus").glob("*.parquet"))).to_pylist()
    queries = pq.read_table(next((hub / "datasets/mteb/scifact/queries").glob("*.parquet"))).to_pylist()
    query = next(row["text"] for row in queries if row["_id"] == "q0")
    library = SentenceTransformer(str(folder), device="cpu")
    documents = library.encode_document([f"{row['title']} {row['text']}".strip() for row in corpus])
    expected = library.similarity(library.encode_query([query]), documents)[0].tolist()
    row = next(row for row in outcome.items.to_pylist() if row["query"] == "q0")
    assert row["top_scores"] == pytest.approx(sorted(expected, reverse=True)[:10], abs=1e-5)


def test_dot_product_is_used_where_the_encoder_says_so(
    hub: Path, tmp_path: Path, case_of: Callable[[str], Case]
) -> None:
    """Vectors that are not of length one rank otherwise by dot product: the scores are the raw products."""
    outcome = evaluate(make_job(hub, tmp_path, "SciFact"), CheckedEncoder(HashEncoder(similarity="dot"), name="hash"))
    corpus = pq.read_table(next((hub / "datasets/mteb/scifact/corpus").glob("*.parquet"))).to_pylist()
    texts = {row["_id"]: f"{row['title']} {row['text']}".strip() for row in corpus}
    queries = pq.read_table(next((hub / "datasets/mteb/scifact/queries").glob("*.parquet"))).to_pylist()
    query = next(row for row in queries if row["_id"] == "q0")
    row = next(row for row in outcome.items.to_pylist() if row["query"] == "q0")
    products = {name: float(hashed(query["text"], 24) @ hashed(text, 24)) for name, text in texts.items()}
    assert row["top_scores"] == pytest.approx(sorted(products.values(), reverse=True)[:10], rel=1e-4)
    assert outcome.score != pytest.approx(case_of("SciFact").outcome.score, abs=1e-6)


class Alike(HashEncoder):
    """Vectors that are all one, or that but for the last digits; every text was cut."""

    def __init__(self, noise: float) -> None:
        """Take how far entries lie from 1."""
        super().__init__()
        self.noise = noise

    def encode(self, texts: Any, *, role: Any, prompt: Any) -> Any:
        """Return ones with noise."""
        self.counters.truncated_texts += len(texts)
        return (1 + self.noise * np.sign(super().encode(texts, role=role, prompt=prompt))).astype(np.float32)

    def describe(self) -> dict[str, Any]:
        """Return the limit too."""
        return super().describe() | {"max_text_tokens": 7}


@pytest.mark.parametrize(("noise", "said"), [(0.0, "are equal"), (1e-7, "are equal"), (3e-4, "equal but for rounding")])
def test_similarities_that_are_all_equal_are_no_score(hub: Path, tmp_path: Path, noise: float, said: str) -> None:
    """Neither exactly nor but for the last digits, whose order would be a score about nothing; cut texts are named."""
    with pytest.raises(HarnessError, match="so that no rank correlation exists") as caught:
        evaluate(make_job(hub, tmp_path, "BIOSSES"), CheckedEncoder(Alike(noise), name="alike"))
    assert said in str(caught.value)
    assert re.search(r"all (\d+) similarities .* of (\d+) texts were cut at 7 tokens", str(caught.value))


def test_similarities_that_differ_a_little_are_a_score(hub: Path, tmp_path: Path) -> None:
    """A model whose cosines all lie near 1 is scored."""
    assert evaluate(make_job(hub, tmp_path, "BIOSSES"), CheckedEncoder(Alike(3e-3), name="alike")).n > 2


@pytest.mark.parametrize("name", ["SciFact", "BIOSSES", "TwentyNewsgroupsClustering"])
def test_an_encoder_that_returns_nan_fails_the_cell(hub: Path, tmp_path: Path, name: str) -> None:
    """mteb would score it; here it is an error, and no native JSON is written."""

    class Nan(HashEncoder):
        def encode(self, texts: Any, *, role: Any, prompt: Any) -> Any:
            """Return NaN in the right shape."""
            return super().encode(texts, role=role, prompt=prompt) * np.float32(np.nan)

    with pytest.raises(EncoderOutputError, match="NaN or infinity"):
        evaluate(make_job(hub, tmp_path, name), CheckedEncoder(Nan(), name="nan"))
    assert list(tmp_path.rglob("*.json")) == []


def test_scores_that_the_items_do_not_recompute_are_refused(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If mteb's main score and the items part, the cell fails: neither is published."""
    from mteb.abstasks import AbsTaskSTS

    real = AbsTaskSTS._add_main_score

    def off_by_a_little(self: Any, scores: dict[str, Any]) -> None:
        real(self, scores)
        scores["main_score"] += 1e-5

    monkeypatch.setattr(AbsTaskSTS, "_add_main_score", off_by_a_little)
    with pytest.raises(NotRecomputedError, match=r"the per-item results give .* mteb says"):
        evaluate(make_job(hub, tmp_path, "BIOSSES"), CheckedEncoder(HashEncoder(), name="hash"))


def test_an_interval_of_another_metric_than_the_score_is_refused(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statistic that is not the score when each item is drawn once, such as a mean where there is a correlation."""

    def mean_of_cosines(columns: Any) -> Any:
        return of_scores(columns["item"], np.asarray(columns["cosine"]))

    monkeypatch.setitem(STATISTICS, "STS", mean_of_cosines)
    with pytest.raises(NotRecomputedError, match=r"an interval would be that of another metric"):
        evaluate(make_job(hub, tmp_path, "BIOSSES"), CheckedEncoder(HashEncoder(), name="hash"))


def test_a_second_evaluation_gives_the_same_cell(hub: Path, tmp_path: Path, case_of: Callable[[str], Case]) -> None:
    """Twice in one process, with the global random generators moved in between: the same score and items."""
    import random

    for name in ("StackExchangeClustering.v2", "Banking77Classification"):
        random.seed(99)
        np.random.seed(99)
        again = evaluate(make_job(hub, tmp_path, name), CheckedEncoder(HashEncoder(), name="hash"))
        assert again.score == case_of(name).outcome.score
        assert again.items.equals(case_of(name).outcome.items)


def test_seam_save_task_predictions() -> None:
    """mteb still hands predictions to `_save_task_predictions(predictions, model, folder, hf_split=, hf_subset=)`."""
    from mteb.abstasks.abstask import AbsTask

    parameters = inspect.signature(AbsTask._save_task_predictions).parameters
    assert list(parameters)[:4] == ["self", "predictions", "model", "prediction_folder"]
    assert {"hf_split", "hf_subset"} <= set(parameters)


def test_seam_task_specific_scores() -> None:
    """mteb still hands per-query metrics to `task_specific_scores(scores, qrels, results, hf_split=, hf_subset=)`."""
    from mteb.abstasks import AbsTaskRetrieval

    parameters = list(inspect.signature(AbsTaskRetrieval.task_specific_scores).parameters)
    assert parameters == ["self", "scores", "qrels", "results", "hf_split", "hf_subset"]


@pytest.mark.parametrize("name", [name for name in TASKS if name != "CQADupstackRetrieval"])
def test_mteb_calls_the_seams_as_they_are_hooked(hub: Path, name: str) -> None:
    """During an evaluation the hooks are called with exactly the arguments that `Capture` takes."""
    import mteb

    (task,) = official_tasks(hub, name)
    calls: list[str] = []

    def take_predictions(predictions: Any, model: Any, folder: Any, *, hf_split: str, hf_subset: str) -> None:
        assert (hf_split, hf_subset) == ("test", "default")
        calls.append("predictions")

    task._save_task_predictions = take_predictions
    if name in ("SciFact", "AskUbuntuDupQuestions", "MindSmallReranking"):
        real = task.task_specific_scores

        def take_queries(scores: Any, qrels: Any, results: Any, *, hf_split: str, hf_subset: str) -> Any:
            assert (hf_split, hf_subset) == ("test", "default")
            assert set(scores) == set(qrels) == set(results)
            calls.append("queries")
            return real(scores, qrels, results, hf_split=hf_split, hf_subset=hf_subset)

        task.task_specific_scores = take_queries
    mteb.evaluate(
        PlainModel(),
        task,
        cache=None,
        overwrite_strategy="always",
        co2_tracker=False,
        show_progress_bar=False,
        prediction_folder=Path("captured"),
    )
    assert calls == (["predictions", "queries"] if "task_specific_scores" in vars(task) else ["predictions"])
    assert not Path("captured").exists()


def data_of(hub: Path, name: str) -> Any:
    """Return split `test` of a task's data as mteb itself loads them."""
    (task,) = official_tasks(hub, name)
    task.load_data()
    if hasattr(task, "convert_v1_dataset_format_to_v2"):
        task.convert_v1_dataset_format_to_v2(num_proc=None)
    return task, task.dataset.get("default", task.dataset)["test"]


def test_a_pair_is_kept_with_its_texts(case_of: Callable[[str], Case], hub: Path) -> None:
    """Each row has the texts that mteb reads in that place."""
    for name, columns in (("BIOSSES", ("sentence1", "sentence2")), ("TwitterSemEval2015", ("sentence1", "sentence2"))):
        _, data = data_of(hub, name)
        sides = [data[column] for column in columns]
        sides = [side[0] if len(side) == 1 else side for side in sides]  # version 1 kept a split in one row
        for row in case_of(name).rows:
            assert (row["text_1"], row["text_2"]) == tuple(side[row["item"]][:300] for side in sides), name
            assert row["is_kept"]


def test_a_query_is_kept_with_its_documents_and_what_is_relevant(case_of: Callable[[str], Case], hub: Path) -> None:
    """Texts and judgements are those of mteb's own data, documents in the order in which they were found."""
    _, data = data_of(hub, "SciFact")
    corpus = {one["id"]: f"{one.get('title') or ''} {one['text']}".strip()[:200] for one in data["corpus"]}
    queries = {one["id"]: one["text"][:300] for one in data["queries"]}
    found_relevant = 0
    for row in case_of("SciFact").rows:
        judged = data["relevant_docs"][row["query"]]
        assert row["query_text"] == queries[row["query"]]
        assert row["top_texts"] == [corpus[name] for name in row["top_documents"]]
        assert row["top_relevance"] == [judged.get(name) for name in row["top_documents"]]
        gold = [name for name, relevance in judged.items() if relevance > 0]
        assert row["relevant"] == len(gold)
        assert set(row["relevant_documents"]) <= set(gold)
        assert len(row["relevant_documents"]) == min(5, len(gold))
        assert row["relevant_texts"] == [corpus[name] for name in row["relevant_documents"]]
        found_relevant += any(row["top_relevance"])
    assert found_relevant


def test_merged_subqueries_have_judgements_and_no_text(case_of: Callable[[str], Case], hub: Path) -> None:
    """An impression is judged as its subqueries are."""
    _, data = data_of(hub, "MindSmallReranking")
    for row in case_of("MindSmallReranking").rows:
        judged = next(of for name, of in data["relevant_docs"].items() if name.rpartition("_")[0] == row["query"])
        assert row["query_text"] == ""
        assert row["top_relevance"] == [judged.get(name) for name in row["top_documents"]]


def test_classified_and_clustered_texts_are_kept(case_of: Callable[[str], Case], hub: Path) -> None:
    """A set's text in its place; of a text that is drawn several times, once."""
    _, data = data_of(hub, "Banking77Classification")
    for row in case_of("Banking77Classification").rows:
        assert row["text"] == data["text"][row["item"]][:300]
    _, data = data_of(hub, "TwentyNewsgroupsClustering")
    for row in case_of("TwentyNewsgroupsClustering").rows:
        assert row["text"] == data[row["set"]]["sentences"][row["item"]][:300]
    _, data = data_of(hub, "StackExchangeClustering.v2")
    rows = [row for row in case_of("StackExchangeClustering.v2").rows if row["is_kept"]]
    assert len(rows) == len({(row["level"], row["item"]) for row in rows})
    assert {row["item"] for row in rows} == {row["item"] for row in case_of("StackExchangeClustering.v2").rows}
    for row in rows:
        assert row["text"] == data["sentences"][row["item"]][:300]


def test_a_document_is_kept_with_its_summaries(case_of: Callable[[str], Case], hub: Path) -> None:
    """In the order of the ratings, and of the similarities."""
    _, data = data_of(hub, "SummEval")
    for row in case_of("SummEval").rows:
        document = data[row["item"]]
        assert row["human_summary"] == document["human_summaries"][0][:300]
        assert row["summaries"] == [text[:300] for text in document["machine_summaries"]]
        assert len(row["summaries"]) == len(row["cosine"]) == len(row["human"])


def test_a_suite_that_keeps_no_texts_has_none(hub: Path, tmp_path: Path) -> None:
    """And the score and all other columns are the same."""
    job = make_job(hub, tmp_path / "native", "BIOSSES")
    whole, bare = (
        evaluate(replace(job, keeps_texts=keeps), CheckedEncoder(HashEncoder(), name="hash")) for keeps in (True, False)
    )
    assert bare.score == whole.score
    assert set(whole.items.column_names) - set(bare.items.column_names) == {"text_1", "text_2", "is_kept"}
    assert bare.items.equals(whole.items.select(bare.items.column_names))


def test_texts_beyond_the_bound_are_left_out_alike(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which items keep theirs does not hang on the model."""
    monkeypatch.setattr(readable, "MOST_ITEMS", 5)
    kept = []
    for dimension in (8, 24):
        job = make_job(hub, tmp_path / str(dimension), "SciFact")
        rows = evaluate(job, CheckedEncoder(HashEncoder(dimension), name="hash")).items.to_pylist()
        kept.append([row["query"] for row in rows if row["is_kept"]])
        assert all((row["query_text"] is None) == (not row["is_kept"]) == (row["top_texts"] is None) for row in rows)
    assert len(kept[0]) == 5
    assert kept[0] == kept[1]
