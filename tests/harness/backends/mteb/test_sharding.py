"""Embedding cells made in shards, against the same cells scored whole by a model that never heard of shards."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ability_support import save_tiny_lm
from candidates_support import chat_model
from local_hub import TOPICS, text_of, write_hub, write_repository

from harness.backends.interface import Job, Outcome
from harness.backends.mteb import sharding
from harness.backends.mteb.evaluate import evaluate
from harness.encoders import loading
from harness.encoders.checked import CheckedEncoder
from harness.encoders.language_model import LanguageModelEncoder
from harness.errors import HarnessError
from harness.evaluation.made_by import maker_of
from harness.plan.cells import Plan, dataset_name
from harness.plan.parts import writes_of
from harness.plan.planner import make_plan
from harness.shards.cut import Shard
from harness.shards.files import ShardFiles
from harness.sources.places import Sources
from harness.suite.schema import Suite

CUT = (
    "BIOSSES",
    "SciFact",
    "AskUbuntuDupQuestions",
    "MindSmallReranking",
    "TwitterSemEval2015",
    "Banking77Classification",
    "TwentyNewsgroupsClustering",
    "SummEvalSummarization.v2",
    "CQADupstackRetrieval",
)
"""One or more of each type."""
MOST = 10
LARGER = {"TwentyNewsgroupsClustering": 80}
"""Of those with many texts a shard holds so many."""
WITHIN = 1e-6
RATIONALE = {"encoder": "rationale", "generation": {"max_new_tokens": 4, "temperature": 0}}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model and a hub; what `datasets` derives, and the cache of rationales, stay out of the user's."""
    import datasets

    folder = tmp_path_factory.mktemp("sharding")
    chat_model(folder / "model")
    save_tiny_lm(folder / "writer")
    chat_model(folder / "other", "qwen2")
    write_hub(folder / "hub")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "datasets")
        patch.setenv("HARNESS_CACHE", str(folder / "cache"))
        yield folder


def plan_of(root: Path, *tasks: str, hub: str = "hub", limit: int | None = None, **model: Any) -> Plan:
    """Return the plan of one model."""
    spec = {"name": "m", "encoder": "mean-pool", "model": str(root / "model"), "device": "cpu"} | model
    if spec["encoder"] == "tf-idf":
        spec = {"name": "m", "encoder": "tf-idf"}
    suite = {"version": 1, "name": "s", "models": [spec], "tasks": {"embedding": {"names": list(tasks)}}}
    return make_plan(Suite.model_validate(suite), Sources(hub=root / hub, offline=True), limit=limit)


def job_of(plan: Plan, results: Path, task: str | None = None, *, most: int = MOST) -> Job:
    """Return the cell of a task, with a folder for shards of at most `most` texts."""
    cell = next(one for one in plan.cells if task is None or one.task.name == task)
    assert cell.key is not None, cell.reason
    (candidate,) = plan.candidates
    return Job(
        cell=cell,
        data={info.name: plan.datasets[dataset_name(info)] for info in cell.task.parts},
        seed=plan.suite.seed,
        fingerprint="f" * 64,
        native_folder=results / "native",
        maker=maker_of(candidate, plan.suite.seed),  # type: ignore[arg-type]
        writes=writes_of(candidate),  # type: ignore[arg-type]
        files=ShardFiles(results / "shards"),
        max_texts=most,
    )


def encoder_of(plan: Plan, *, use_cache: bool = False) -> CheckedEncoder:
    """Load the model anew."""
    return loading.load(plan.candidates[0], use_cache=use_cache)  # type: ignore[arg-type]


def made(job: Job, plan: Plan, **options: Any) -> Sequence[Shard]:
    """Cut a cell and make its shards in another order, by two machines in turn."""
    shards = list(sharding.shards(job, sharding.load(job), encoder_of(plan, **options)))
    order = random.Random(0).sample(shards, len(shards))
    machines = [(encoder_of(plan, **options), sharding.load(job)) for _ in range(2)]
    for number, shard in enumerate(order):
        one, loaded = machines[number % 2]
        if not sharding.is_made(job, shard, one):
            sharding.make(job, loaded, shard, one)
        assert sharding.is_made(job, shard, one)
    return shards


def asked(encoder: CheckedEncoder, name: str = "encode") -> list[str]:
    """Return a list that will hold every text that the model is given from now on, by this function of the encoder."""
    inner, texts = encoder.inner, []
    real = getattr(inner, name)

    def encode(given: Any, *rest: Any, **more: Any) -> Any:
        texts.extend(given)
        return real(given, *rest, **more)

    setattr(inner, name, encode)
    return texts


def looked_up(job: Job, plan: Plan, shards: Sequence[Shard]) -> tuple[Outcome, list[str]]:
    """Score a cell from its shards; returns also what the model was asked all the same."""
    encoder = encoder_of(plan)
    texts = asked(encoder)
    with sharding.using(job, shards, encoder) as facts:
        found = evaluate(job, encoder)
    assert (facts["count"], facts["remade"], facts["damaged"]) == (len(shards), [], [])
    return found, texts


def assert_same(found: Outcome, whole: Outcome) -> None:
    """The score, its interval and every item."""
    assert found.score == pytest.approx(whole.score, abs=WITHIN)
    assert (found.metric, found.n, found.unit) == (whole.metric, whole.n, whole.unit)
    assert found.facts["prompts"] == whole.facts["prompts"]
    assert (found.items is None) == (whole.items is None)
    if found.items is None or whole.items is None:
        return
    for name in whole.items.column_names:
        one, other = found.items[name].to_pylist(), whole.items[name].to_pylist()
        if isinstance(other[0], float):
            assert np.allclose(one, other, rtol=WITHIN, atol=WITHIN, equal_nan=True), name
        elif isinstance(other[0], list) and other[0] and isinstance(other[0][0], float):
            for row, wanted in zip(one, other, strict=True):
                assert np.allclose(row, wanted, rtol=WITHIN, atol=WITHIN), name
        else:
            assert one == other, name


@pytest.mark.parametrize("task", CUT)
def test_a_cell_made_in_shards_is_the_cell_scored_whole(root: Path, tmp_path: Path, task: str) -> None:
    """Any order, any machine; of what is encoded in bulk nothing is encoded again."""
    plan = plan_of(root, task, prompts={"query": "q: "} if task in ("SciFact", "AskUbuntuDupQuestions") else {})
    job = job_of(plan, tmp_path, most=LARGER.get(task, MOST))
    whole = evaluate(job, encoder_of(plan))
    shards = made(job, plan)
    assert max(one.stop - one.start for one in shards) <= job.max_texts
    assert len(shards) > 1
    found, texts = looked_up(job, plan, shards)
    assert_same(found, whole)
    if task == "Banking77Classification":
        training = {row["text"] for row in sharding.load(job)[task].dataset["train"]}
        assert set(texts) <= training
    else:
        assert texts == []


def test_vectors_are_equal_bit_for_bit_where_batches_are(root: Path, tmp_path: Path) -> None:
    """One text a batch: the model is given the same numbers, so the whole outcome is the same to the last bit."""
    plan = plan_of(root, "SciFact", batch_tokens=1)
    job = job_of(plan, tmp_path)
    whole = evaluate(job, encoder_of(plan))
    found, _ = looked_up(job, plan, made(job, plan))
    assert found.items is not None
    assert found.items.equals(whole.items)
    assert (found.score, found.interval) == (whole.score, whole.interval)


def test_what_it_took_is_what_the_shards_took(root: Path, tmp_path: Path) -> None:
    """Tokens and texts of a cell in shards are those of the cell in one piece."""
    plan = plan_of(root, "SciFact")
    job = job_of(plan, tmp_path)
    encoder = encoder_of(plan)
    evaluate(job, encoder)
    whole = encoder.take_counters()
    shards, encoder = made(job, plan), encoder_of(plan)
    with sharding.using(job, shards, encoder):
        evaluate(job, encoder)
        found = encoder.take_counters()
    for name in ("texts", "unique_texts", "truncated_texts", "empty_texts"):
        assert found[name] == whole[name], name
    assert found["tokens"] >= whole["tokens"] > 0  # a text that is in two shards is read twice


def test_a_short_cell_is_one_piece(root: Path, tmp_path: Path) -> None:
    """Also with a limit that makes it short."""
    plan = plan_of(root, "BIOSSES")
    job = job_of(plan, tmp_path, most=80)
    assert sharding.shards(job, sharding.load(job), encoder_of(plan)) == ()
    assert sharding.shards(replace(job, max_texts=79), sharding.load(job), encoder_of(plan)) != ()
    limited = plan_of(root, "BIOSSES", limit=4)
    assert sharding.shards(job_of(limited, tmp_path), sharding.load(job_of(limited, tmp_path)), encoder_of(plan)) == ()


def test_a_fitted_encoder_is_never_cut(root: Path, tmp_path: Path) -> None:
    """Its vectors hang on all texts of the task."""
    plan = plan_of(root, "SciFact", encoder="tf-idf")
    job = job_of(plan, tmp_path)
    assert sharding.shards(job, sharding.load(job), encoder_of(plan)) == ()


def test_a_pool_that_some_are_drawn_from_is_not_encoded_in_bulk(root: Path, tmp_path: Path) -> None:
    """Newer clustering draws a few thousand texts when it is scored."""
    plan = plan_of(root, "TwentyNewsgroupsClustering.v2")
    job = job_of(plan, tmp_path)
    assert sharding.shards(job, sharding.load(job), encoder_of(plan)) == ()


def test_training_texts_are_in_no_shard(root: Path, tmp_path: Path) -> None:
    """Of them a few are drawn; the shards hold the test texts and nothing else."""
    plan = plan_of(root, "Banking77Classification")
    job = job_of(plan, tmp_path)
    loaded = sharding.load(job)
    shards = sharding.shards(job, loaded, encoder_of(plan))
    task = loaded["Banking77Classification"]
    assert shards[-1].stop == sum(one.stop - one.start for one in shards) == len(task.dataset["test"])


def twins(root: Path) -> str:
    """Write a hub where two retrieval tasks have the same corpus and other queries; returns its name."""
    rng, topics = random.Random(3), list(TOPICS)
    corpus = [{"_id": f"d{n}", "title": "", "text": text_of(topics[n % 5], rng)} for n in range(40)]
    for repository in ("mteb/scifact", "mteb/nfcorpus"):
        queries = [{"_id": f"q{n}", "text": text_of(topics[n], rng, 4)} for n in range(5)]
        qrels = [{"query-id": f"q{n}", "corpus-id": f"d{n}", "score": 1} for n in range(5)]
        files = {"default/test": qrels, "corpus/corpus": corpus, "queries/queries": queries}
        write_repository(root / "twins", repository, {name: (".parquet", rows) for name, rows in files.items()})
    return "twins"


def test_two_tasks_over_one_corpus_share_its_shards(root: Path, tmp_path: Path) -> None:
    """Those of documents are made once for both; queries are each task's own."""
    plan = plan_of(root, "SciFact", "NFCorpus", hub=twins(root))
    first, second = (job_of(plan, tmp_path, task) for task in ("SciFact", "NFCorpus"))
    whole = evaluate(second, encoder_of(plan))
    made(first, plan)
    encoder = encoder_of(plan)
    shards = sharding.shards(second, sharding.load(second), encoder)
    there = [one.role for one in shards if sharding.is_made(second, one, encoder)]
    assert there == [one.role for one in shards if one.role == "document"]
    assert len(there) > 1
    found, texts = looked_up(second, plan, made(second, plan))
    assert texts == []
    assert_same(found, whole)


@pytest.mark.parametrize(
    "change",
    [
        {"prompts": {"document": "d: "}},
        {"model": "other"},
        {"dtype": "bfloat16"},
        {"max_text_tokens": 8},
        {"store_dtype": "float16"},
    ],
    ids=lambda one: next(iter(one)),
)
def test_another_model_prompt_or_precision_has_shards_of_its_own(
    root: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    """Of the same texts."""
    plan = plan_of(root, "SciFact")
    shards = [one for one in made(job_of(plan, tmp_path), plan) if one.role == "document"]
    changed = {"model": str(root / "other")} if "model" in change else change
    other = plan_of(root, "SciFact", **changed)
    job, encoder = job_of(other, tmp_path), encoder_of(other)
    again = [one for one in sharding.shards(job, sharding.load(job), encoder) if one.role == "document"]
    assert [one.ids for one in again] == [one.ids for one in shards]
    assert not any(sharding.is_made(job, one, encoder) for one in again)


def test_a_role_of_another_prompt_has_shards_of_its_own(root: Path, tmp_path: Path) -> None:
    """The same texts as queries and as documents are two things."""
    plan = plan_of(root, "SciFact", prompts={"query": "q: ", "document": "d: "})
    job, encoder = job_of(plan, tmp_path), encoder_of(plan)
    shard = next(one for one in made(job, plan) if one.role == "document")
    assert sharding.is_made(job, shard, encoder)
    assert not sharding.is_made(job, replace(shard, role="query"), encoder)


def test_texts_that_differ_on_this_machine_are_refused(root: Path, tmp_path: Path) -> None:
    """The message says of which shard, and what to do; no file is left."""
    plan = plan_of(root, "SciFact")
    job, encoder = job_of(plan, tmp_path), encoder_of(plan)
    loaded = sharding.load(job)
    shard = sharding.shards(job, loaded, encoder)[0]
    with pytest.raises(HarnessError, match="the texts on this machine are not those that it was cut from") as caught:
        sharding.make(job, loaded, replace(shard, ids="0" * 64), encoder)
    assert shard.name in str(caught.value)
    assert "harness fetch" in str(caught.value)
    assert not (tmp_path / "shards").exists()


@pytest.mark.parametrize("task", ["SciFact", "BIOSSES"])
def test_half_precision_is_the_same_in_shards_and_whole(root: Path, tmp_path: Path, task: str) -> None:
    """Vectors made while scoring are rounded like those of the files."""
    plan = plan_of(root, task, store_dtype="float16", batch_tokens=1)
    job = job_of(plan, tmp_path)
    whole = evaluate(job, encoder_of(plan))
    shards = made(job, plan)
    stored = next((tmp_path / "shards").glob("*/*.vectors.npy"))
    assert np.load(stored).dtype == np.float16
    found, _ = looked_up(job, plan, shards)
    assert found.items is not None
    assert found.items.equals(whole.items)
    lost = shards[: len(shards) // 2]
    encoder = encoder_of(plan)
    with sharding.using(job, lost, encoder):
        half = evaluate(job, encoder)
    assert half.items is not None
    assert half.items.equals(whole.items)


@pytest.mark.parametrize("use_cache", [False, True])
@pytest.mark.parametrize("ablation", ["none", "text-only", "rationale-only", "shuffled-rationale", "fixed-rationale"])
def test_rationales_are_the_same_in_shards_and_whole(
    root: Path, tmp_path: Path, ablation: str, use_cache: bool
) -> None:
    """Every cut of them, with the cache and without; nothing is written a second time when the cell is scored."""
    plan = plan_of(root, "BIOSSES", **RATIONALE, model=str(root / "writer"), ablation=ablation, limit=12)
    job = job_of(plan, tmp_path)
    whole = evaluate(job, encoder_of(plan))
    shards = made(job, plan, use_cache=use_cache)
    assert len(shards) > 1
    encoder = encoder_of(plan)
    texts = asked(encoder, "_generate")
    with sharding.using(job, shards, encoder) as facts:
        found = evaluate(job, encoder)
    assert (facts["remade"], texts) == ([], [])
    assert_same(found, whole)
    evaluate(job, encoder)
    assert texts != []


def test_only_what_is_in_no_shard_is_encoded_at_scoring(root: Path, tmp_path: Path) -> None:
    """No hole is scored, and nothing else is made again."""
    plan = plan_of(root, "SciFact")
    job = job_of(plan, tmp_path)
    whole = evaluate(job, encoder_of(plan))
    shards = made(job, plan)
    lost = next(one for one in shards if one.role == "document")
    job.files.place(sharding._maker(job, lost, encoder_of(plan)), lost.ids).unlink()  # type: ignore[union-attr]
    encoder = encoder_of(plan)
    texts = asked(encoder)
    with sharding.using(job, shards, encoder) as facts:
        found = evaluate(job, encoder)
    assert facts["remade"] == [lost.name]
    assert 0 < len(texts) <= lost.stop - lost.start
    assert_same(found, whole)
    assert isinstance(encoder.inner, LanguageModelEncoder)
