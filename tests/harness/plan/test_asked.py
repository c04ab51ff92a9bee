"""How ability tasks are asked, as plain data: what goes into keys, for each of the four kinds of task."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from suites_support import isolate, loaded, planned, weights, write

from harness.plan.cells import PlannedTask
from harness.plan.tasks import resolve_tasks

CODE = {"repeats": 1, "pass_at": [1], "timeout_seconds": 3.0, "memory_mib": 1024}
PYTHON = {"python": f"{sys.version_info.major}.{sys.version_info.minor}", "code_version": 1}
FORMAT = {"chat_template": False, "fewshot_as_multiturn": True, "system_instruction": None}
SAMPLED = {"do_sample": True, "temperature": 0.5}


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """A working directory with weights, an lm-eval task file and texts."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    weights(tmp_path / "weights")
    write(tmp_path / "texts.jsonl", '{"text": "a cat sat on the mat"}\n')
    task = {"task": "mine", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": "texts.jsonl"}},
            "output_type": "generate_until", "metric_list": [{"metric": "exact_match"}]}  # fmt: skip
    write(tmp_path / "own.yaml", json.dumps(task))


def task_of(entry: dict[str, Any] | str) -> PlannedTask:
    """Return the one ability task of a suite."""
    (task,) = resolve_tasks(loaded(Path.cwd(), f"tasks: {{ability: [{json.dumps(entry)}]}}\n").suite)
    return task


@pytest.mark.parametrize(
    ("entry", "plain"),
    [
        (
            {"name": "mmlu", "num_fewshot": 2},
            {"output_type": "multiple_choice", "filters": ["none"], "version": 1.0, **FORMAT, "num_fewshot": 2,
             "filter": "none"},
        ),
        (
            {"name": "humaneval", "repeats": 4, "pass_at": [4, 2], "generation": SAMPLED},
            {"output_type": "generate_until", "filters": ["create_test"], "version": 1.0, **FORMAT, "num_fewshot": 0,
             "filter": "create_test", "until": ["\nclass", "\ndef", "\n#", "\nif", "\nprint"], "max_gen_toks": 1024,
             "generation": SAMPLED, **CODE, "repeats": 4, "pass_at": [1, 2, 4], **PYTHON, "sampling_version": 1},
        ),
        (
            {"name": "own", "file": "own.yaml", "until": ["."]},
            {"kind": "file", "task": "mine", "output_type": "generate_until", "filters": ["none"], "version": None,
             **FORMAT, "num_fewshot": 0, "filter": "none", "until": ["."], "max_gen_toks": 256,
             "generation": {"do_sample": False, "temperature": 0.0}},
        ),
        (
            {"name": "own-texts", "task": "lm_nll", "file": "texts.jsonl", "column": "text"},
            {"kind": "lm_nll", "column": "text", "max_text_tokens": 1024},
        ),
        ({"name": "gone", "file": "gone.yaml"}, {}),
    ],
    ids=["catalogue", "code", "file", "nll", "missing file"],
)  # fmt: skip
def test_settings_are_plain_in_the_key(entry, plain):
    """Every value by name, in this order; a change here moves the keys of stored results."""
    found = task_of(entry).plain_settings()
    assert list(found.items()) == list(plain.items())


def test_a_models_own_settings_win(tmp_path):
    """Over the task's own, and they leave texts that are read alone."""
    model = "{name: m, encoder: mean-pool, model: weights, ability: {gsm8k: {num_fewshot: 1, until: [x]}}}"
    entries = "gsm8k, {name: lm_nll, file: texts.jsonl, column: text}"
    plan = planned(tmp_path, f"models: [{model}]\ntasks: {{ability: [{entries}]}}\n")
    asked, read = (cell.task for cell in plan.cells)
    assert (asked.asked.num_fewshot, asked.asked.until) == (1, ["x"])
    assert read.plain_settings() == {"kind": "lm_nll", "column": "text", "max_text_tokens": 1024}
    with pytest.raises(TypeError, match="'lm_nll' asks no questions"):
        _ = read.asked
