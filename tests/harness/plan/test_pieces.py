"""Into how many shards a cell is cut, by hand: number and length of texts, what is written, parts, questions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from suites_support import loaded

from harness.cost.calibrate import stated
from harness.cost.estimate import cost_of
from harness.plan.cells import PlannedTask
from harness.plan.pieces import Cutting, cuttings_of, question_shards, text_shards
from harness.plan.planner import make_plan
from harness.plan.tasks import resolve_tasks
from harness.sources.places import Sources
from harness.tasks.catalogue import Counts

USUAL = Cutting()


def task_of(folder: Path, tasks: str) -> PlannedTask:
    """Return the one task of a suite."""
    (task,) = resolve_tasks(loaded(folder, f"models: []\ntasks: {tasks}\n").suite)
    return task


def with_counts(task: PlannedTask, *texts: int, items: int = 10, characters: int = 400) -> PlannedTask:
    """Return a task with a part for each of `texts`, of texts with so many characters each."""
    (split,), (subset,) = task.splits, task.subsets
    each = [
        Counts(items=items, texts=one, unique_texts=one, characters=one * characters, training_texts=0) for one in texts
    ]
    return replace(task, parts=tuple(replace(task.info, counts={split: {subset: one}}) for one in each))


@pytest.fixture
def retrieval(tmp_path: Path) -> PlannedTask:
    """A task with queries and documents."""
    return task_of(tmp_path, "{embedding: {names: [SciFact]}}")


@pytest.mark.parametrize(
    ("characters", "writes", "shards"),
    [
        (400, 0, 1 + 5),  # 100,000 documents fill 3.05 shards of 32,768, and a shard is 62 % full
        (2000, 0, 1 + 10),  # of 500 tokens each: 50 million, by 8 million 6.25
        (400, 64, 1 + 28),  # 100 read and 64 written, which weigh 1,280: 138 million, or 17.25
    ],
)
def test_documents_are_cut_by_number_and_by_work_and_queries_apart(retrieval, characters, writes, shards):
    """Ten queries are a shard of their own."""
    task = with_counts(retrieval, 100_010, characters=characters)
    assert text_shards(task, USUAL, writes) == shards


def test_queries_are_cut_as_well_where_they_are_many(retrieval):
    """40,000 of them are two shards beside five of documents."""
    assert text_shards(with_counts(retrieval, 140_000, items=40_000), USUAL, 0) == 2 + 5


def test_a_cell_without_a_long_list_is_one_unit(retrieval):
    """Two parts of 30,000 documents are not cut, though they are 60,000 together; one longer part cuts the cell."""
    assert text_shards(with_counts(retrieval, 30_010, 30_010), USUAL, 0) == 0
    assert text_shards(with_counts(retrieval, 30_010, 40_010), USUAL, 0) == (1 + 1) + (1 + 2)
    assert text_shards(with_counts(retrieval, 30_010), replace(USUAL, max_texts=1000), 0) == 1 + 48


def test_repeats_are_cut_and_training_texts_are_not(retrieval):
    """A list is cut as it stands in the data; what is drawn is not in it."""
    task = with_counts(retrieval, 40_010)
    (part,) = task.parts
    ((split, of_subset),) = part.counts.items()
    ((subset, counts),) = of_subset.items()
    few = replace(counts, unique_texts=20, training_texts=100_000)
    assert text_shards(replace(task, parts=(replace(part, counts={split: {subset: few}}),)), USUAL, 0) == 1 + 2


def test_texts_without_roles_are_one_list(tmp_path):
    """Pairs: 40,000 distinct sentences."""
    task = task_of(tmp_path, "{embedding: {names: [STSBenchmark]}}")
    assert text_shards(with_counts(task, 40_000), USUAL, 0) == 2


def test_what_is_not_known_is_none(retrieval):
    """A candidate that is not trained yet; a task whose texts nobody counted."""
    assert text_shards(with_counts(retrieval, 100_010), USUAL, None) is None
    assert text_shards(replace(retrieval, parts=(replace(retrieval.info, counts={}),)), USUAL, 0) is None


@pytest.mark.parametrize(("questions", "shards"), [(256, 0), (257, 2), (1319, 6)])
def test_questions_are_cut_by_number(tmp_path, questions, shards):
    """256 a shard."""
    assert question_shards(task_of(tmp_path, "{ability: [gsm8k]}"), USUAL, questions) == shards


def test_likelihood_of_texts_is_never_cut(tmp_path):
    """However many they are."""
    (tmp_path / "texts.jsonl").write_text('{"text": "a"}\n', encoding="utf-8")
    task = task_of(tmp_path, "{ability: [{name: lm_nll, file: texts.jsonl, column: text}]}")
    assert question_shards(task, USUAL, 100_000) == 0


MODELS = """
- {name: plain, encoder: mean-pool, model: some-org/some-model}
- {name: floor, encoder: tf-idf}
- {name: writer, encoder: rationale, model: some-org/some-model}
- {name: shuffled, encoder: rationale, model: some-org/some-model, ablation: shuffled-rationale}
- {name: later, candidate: runs/later}
"""


def test_models_that_must_see_a_whole_task_are_not_cut(tmp_path):
    """Those that are fitted on it; rationales are written in shards also where they are shuffled afterwards."""
    plan = make_plan(
        loaded(tmp_path, f"models:{MODELS}tasks: {{embedding: {{names: [NQ]}}}}\n").suite, Sources(offline=True)
    )
    cuttings = cuttings_of(plan)
    assert {name for name, cutting in cuttings.items() if not cutting.is_cut} == {"floor"}
    shards = {cell.model: cost_of(cell, None, cutting=cuttings[cell.model]).shards for cell in plan.cells}
    assert shards["floor"] == 0
    assert shards["shuffled"] == shards["plain"]
    assert shards["plain"] == 1 + 132  # 3,452 queries, and 2.67 million documents


def test_a_suite_says_how_large_shards_are_and_a_model_how_vectors_are_kept(tmp_path):
    """Half the disk in float16; a thousand texts or ten questions a shard."""
    body = (
        "models: [{name: base, encoder: mean-pool, model: a/b}, "
        "{name: half, encoder: mean-pool, model: a/b, store_dtype: float16}]\n"
        "shards: {max_texts: 1000, max_questions: 10}\n"
        "tasks: {embedding: {names: [STSBenchmark]}, ability: [{name: gsm8k, limit: 25}]}\n"
    )
    plan = make_plan(loaded(tmp_path, body).suite, Sources(offline=True))
    cuttings = cuttings_of(plan)
    pace = stated(100, 10, dimension=50)
    costs = {str(cell): cost_of(cell, pace, cutting=cuttings[cell.model]) for cell in plan.cells}
    assert {name: cost.shards for name, cost in costs.items() if name.startswith("base")} == {
        "base/STSBenchmark": 4,
        "base/gsm8k": 3,
    }
    assert costs["base/STSBenchmark"].vector_bytes == 2593 * 50 * 4
    assert costs["half/STSBenchmark"].vector_bytes == 2593 * 50 * 2
