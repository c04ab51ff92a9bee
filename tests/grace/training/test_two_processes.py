"""Objectives that write or read rationales train the same in one process and in two, which find each other by gloo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from grace_support import Quiet, chat_model, in_two_processes, jsonl, plain_config, triplets
from safetensors.torch import load_file

from grace.run.directory import RunDir
from grace.training.train import train

VARIANTS: dict[str, dict[str, Any]] = {
    "pool": {
        "objective": "infonce-rationale",
        "max_new_tokens": 4,
        "rationale": {"pool": 2, "writer": "self", "refresh_steps": 2},
        "retain_weight": 0.1,
        "steps": 3,
    },
    "fixed": {"objective": "infonce-rationale", "rationale": {"fixed": " or so"}, "retain_weight": 0.1},
    "distil": {
        "objective": "distil",
        "distil": {"max_new_tokens": 4, "infonce_weight": 0.5},
        "adapter": {"kind": "soft-tokens", "tokens": 4},
    },
    "best-of-n": {"objective": "best-of-n", "max_new_tokens": 4, "best_of_n": {"n": 2}, "retain_weight": 0.1},
}
COMPARED = (
    "loss",
    "info_nce",
    "kl",
    "cosine_loss",
    "similarity_loss",
    "cross_entropy",
    "accuracy",
    "grad_norm",
    "generated_tokens",
    "tokens_per_text",
    "tokens_per_rationale",
    "truncated",
    "margin",
    "margin_mean",
    "margin_best",
)
OF_THE_MACHINE = {"tokens", "step_seconds", "tokens_per_second", "seconds", "cpu_seconds"}
"""What each process adds to: its time, and the prefix that it runs itself."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What both trained: a pair of processes for all variants, for starting one costs more than they do."""
    root = tmp_path_factory.mktemp("processes")
    chat_model(root / "model")
    rows: list[dict[str, Any]] = [*triplets(48)]
    for place in range(0, 48, 5):  # so that the processes have different numbers of texts
        rows[place] |= {"negative": [rows[place]["negative"], f"{rows[place]['negative']} and more " * 3]}
    jsonl(root / "triplets.jsonl", rows)  # 154 texts: three parts
    in_two_processes({root / name: configured(root, changes) for name, changes in VARIANTS.items()})
    return root


def configured(root: Path, changes: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration whose steps visit more texts than a part holds."""
    return plain_config(root, batch_size=24) | changes


@pytest.mark.parametrize("name", VARIANTS)
def test_two_processes_train_as_one(name: str, folder: Path, tmp_path: Path) -> None:
    """The loss of each step, and the weights at the end."""
    train(configured(folder, VARIANTS[name]), tmp_path / "one", progress=Quiet())
    one, two = (RunDir(path).metrics() for path in (tmp_path / "one", folder / name))
    for ours, theirs in zip(one, two, strict=True):
        assert ours.keys() - {*COMPARED} - OF_THE_MACHINE <= {"step", "epoch", "lr"}
        for metric in {*COMPARED} & ours.keys():
            assert ours[metric] == pytest.approx(theirs[metric], rel=1e-3, abs=1e-5), metric
    (file,) = (tmp_path / "one").glob("*/*.safetensors")
    ours, theirs = load_file(file), load_file(folder / name / file.relative_to(tmp_path / "one"))
    assert ours.keys() == theirs.keys()
    for tensor in ours:
        torch.testing.assert_close(ours[tensor], theirs[tensor], atol=2e-4, rtol=1e-2)
