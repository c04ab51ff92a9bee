"""Every part of the ability tasks from a hub in their repositories' forms, item by item against plain lm-eval.

The truth is lm-eval's evaluator and its own model class, one prompt at a time, over the same files. FEVER, which
lm-eval lacks, is asked by our task file through the same. A random model solves no problem: that solutions pass
is in test_humaneval.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ability_support import save_tiny_lm
from small_hub import ability
from small_hub.shown import Tell, tell_cell, tell_engine

from harness import sandbox
from harness.backends.lm_eval.catalogue import task_folder
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.results.records import Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.schema import Suite

LIMIT = 2
ANSWER = 6
"""Tokens, at most."""
CODE = {"allow_code_execution": True, "max_gen_toks": ANSWER, "timeout_seconds": 20.0}
ENTRIES: list[dict[str, Any]] = [
    {"name": "gsm8k", "num_fewshot": 2, "max_gen_toks": ANSWER},
    {"name": "mmlu", "num_fewshot": 1},
    {"name": "bbh", "num_fewshot": 1, "max_gen_toks": ANSWER},
    {"name": "fever", "num_fewshot": 2},
]
PREFIXES = {"mmlu": "mmlu_", "bbh": "bbh_cot_fewshot_"}
PARTS = {"mmlu": ability.parts_of("mmlu/default"), "bbh": ability.parts_of("bbh/cot_fewshot")}
CHOICES = ("mmlu", "fever")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run of all tasks."""

    root: Path
    results: dict[str, Any]
    store: Store

    def score(self, task: str) -> Score:
        """Return the score of a task."""
        found = self.results[f"lm/{task}"]
        assert isinstance(found, Score), found
        return found

    def items(self, task: str) -> dict[tuple[str, int], dict[str, Any]]:
        """Return (part, item) -> row."""
        table = self.store.items_of(self.score(task))
        assert table is not None
        return {(row["part"], row["item"]): row for row in table.to_pylist()}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """A tiny random model over the small hub."""
    import datasets

    root = tmp_path_factory.mktemp("parts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", root / "datasets-cache")
        ability.write_hub(root / "hub")
        save_tiny_lm(root / "lm")
        entries = ENTRIES if sandbox.available() else [*ENTRIES, {"name": "humaneval"} | CODE]
        suite = {
            "version": 1,
            "name": "parts",
            "limit": LIMIT,
            "models": [{"name": "lm", "encoder": "mean-pool", "model": str(root / "lm"), "device": "cpu"}],
            "tasks": {"ability": entries},
        }
        options = RunOptions(results=root / "results", sources=Sources(hub=root / "hub", offline=True))
        outcome = run(Suite.model_validate(suite), options)
        yield Ran(root=root, results=dict(outcome.results), store=Store(root / "results"))


@pytest.fixture(scope="module")
def lm(ran: Ran) -> Any:
    """lm-eval's own model class over the same weights."""
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(ran.root / "lm").eval()
    return HFLM(pretrained=model, tokenizer=AutoTokenizer.from_pretrained(ran.root / "lm"), batch_size=1)


def plain(ran: Ran, lm: Any, entry: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, Any]]]:
    """Return part -> samples of lm-eval's own evaluation of a task; its data paths lead into the working directory."""
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    name = entry["name"]
    native = {f"{PREFIXES[name]}{part}": part for part in PARTS[name]} if name in PARTS else {name: name}
    monkeypatch.chdir(ran.root / "hub/datasets")
    answered = {"max_gen_toks": ANSWER} if "max_gen_toks" in entry else None
    found = simple_evaluate(
        lm,
        tasks=list(native),
        num_fewshot=entry["num_fewshot"],
        limit=entry.get("limit", LIMIT),
        task_manager=TaskManager(include_defaults=False, include_path=[task_folder(name)]),
        bootstrap_iters=0,
        gen_kwargs=answered,
        log_samples=True,
    )
    return {part: found["samples"][task] for task, part in native.items()}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: str(entry["name"]))
def test_every_item_is_lm_evals(
    ran: Ran, lm: Any, entry: dict[str, Any], monkeypatch: pytest.MonkeyPatch, record_property: Tell
) -> None:
    """Prompts, answers or likelihoods, what a filter made of them, and each metric; the mean is the task's."""
    name = entry["name"]
    items = ran.items(name)
    parts = plain(ran, lm, entry, monkeypatch)
    expected = {(part, one["doc_id"]) for part, samples in parts.items() for one in samples}
    assert items.keys() == expected
    assert len(items) == len(parts) * entry.get("limit", LIMIT)
    for part, samples in parts.items():
        for sample in samples:
            row, of = items[part, sample["doc_id"]], sample["filter"]
            assert row["prompt_hash"] == sample["prompt_hash"]
            if name in CHOICES:
                likelihoods = [answer[0][0] for answer in sample["resps"]]
                assert row["choice_logprobs"] == pytest.approx(likelihoods, abs=1e-4)
            else:
                assert row["answers"] == sample["resps"][0]
                assert row[f"filtered,{of}"] == sample["filtered_resps"][0]
            for metric in sample["metrics"]:
                assert row[f"{metric},{of}"] == sample[metric]
    score = ran.score(name)
    column = next(f"{one['metrics'][0]},{one['filter']}" for one in reversed(parts[next(iter(parts))]))
    assert score.score == pytest.approx(100 * sum(row[column] for row in items.values()) / len(items), abs=1e-9)
    assert score.n == len(items)
    assert score.ci_low is not None
    told = [
        sample[sample["metrics"][0]]
        for part in parts.values()
        for sample in part
        if column.endswith(f",{sample['filter']}")
    ]
    tell_engine(record_property, name, "lm", 100 * sum(told) / len(told))
    tell_cell(record_property, score)


def test_the_parts_are_all_of_them(ran: Ran) -> None:
    """57 subjects and 27 subtasks, as the group files of lm-eval name them."""
    assert {name: len(parts) for name, parts in PARTS.items()} == {"mmlu": 57, "bbh": 27}
    for name, parts in PARTS.items():
        assert {part for part, _ in ran.items(name)} == set(parts)


def test_prompts_and_answers_of_humaneval_are_lm_evals(
    ran: Ran, lm: Any, monkeypatch: pytest.MonkeyPatch, record_property: Tell
) -> None:
    """Item by item; what a random model writes is no solution."""
    if missing := sandbox.available():
        pytest.skip(missing)
    import evaluate
    import lm_eval
    from lm_eval.evaluator import evaluate as evaluate_tasks
    from lm_eval.tasks import TaskManager

    monkeypatch.setattr(evaluate, "load", lambda _: Verdicts())
    folder = Path(lm_eval.__file__).parent / "tasks/humaneval"
    manager = TaskManager(include_defaults=False, include_path=str(folder))
    monkeypatch.chdir(ran.root / "hub/datasets")
    task = manager.load([{"group": "plain", "task": [{"task": "humaneval"}]}])["tasks"]["humaneval"]
    task.set_config("generation_kwargs", {**task.config.generation_kwargs, "max_gen_toks": ANSWER})
    found = evaluate_tasks(
        lm, {"tasks": {"humaneval": task}, "groups": {}}, limit=LIMIT, bootstrap_iters=0, confirm_run_unsafe_code=True
    )
    items = ran.items("humaneval")
    assert len(items) == LIMIT
    for sample in found["samples"]["humaneval"]:
        row = items["humaneval", sample["doc_id"]]
        assert (row["prompt_hash"], row["answers"]) == (sample["prompt_hash"], sample["resps"][0])
        assert row["pass@1,create_test"] == float(row["passed"][0])
        assert row["passed"] == [False]
    tell_engine(record_property, "humaneval", "lm", None)
    tell_cell(record_property, ran.score("humaneval"))


class Verdicts:
    """In the place of the metric that lm-eval would download."""

    def compute(self, **_: Any) -> list[dict[str, float]]:
        """Return a verdict."""
        return [{"pass@1": 0.0}]
