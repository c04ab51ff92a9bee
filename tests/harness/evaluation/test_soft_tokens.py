"""`harness run` with soft tokens: vectors of their own, and the base's own record where it answers."""

from __future__ import annotations

import hashlib
import json
from itertools import combinations
from pathlib import Path

import pytest
import torch
from candidates_support import candidate_directory, chat_model
from safetensors.torch import save_file

from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.results.facts import facts_of
from harness.results.records import Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.schema import Suite

TEXTS = ["the cat sat on the mat", "a dog ran over the hill", "rain fell all night", "two men play chess"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, a candidate with soft tokens over it, and texts for both axes."""
    folder = tmp_path_factory.mktemp("place")
    chat_model(folder / "base")
    run_folder = candidate_directory(folder / "run", folder / "base", kind="mean-pool")
    file = run_folder / "s.safetensors"
    save_file({"soft_tokens": torch.randn(4, 32, generator=torch.Generator().manual_seed(0))}, file)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    about = (run_folder / "candidate.yaml").read_text()
    soft = f"encoder: {{soft_tokens: {{file: s.safetensors, sha256: {sha256}}}}}"
    (run_folder / "candidate.yaml").write_text(about.replace("encoder: {}", soft))
    rows = [{"sentence1": one, "sentence2": two, "score": n} for n, (one, two) in enumerate(combinations(TEXTS, 2))]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": one}) + "\n" for one in TEXTS))
    return folder


@pytest.mark.parametrize("order", [("base", "soft"), ("soft", "base")])
def test_soft_tokens_have_the_bases_record_and_vectors_of_their_own(order, place, tmp_path):
    """Whoever comes first: one record of the ability axis, which says nothing of a training."""
    models = {
        "base": {"name": "base", "encoder": "mean-pool", "model": str(place / "base"), "device": "cpu"},
        "soft": {"name": "soft", "candidate": str(place / "run"), "device": "cpu"},
    }
    tasks = {
        "custom": [{"name": "own", "type": "STS", "path": str(place / "pairs.jsonl")}],
        "ability": [{"name": "lm_nll", "file": str(place / "texts.jsonl"), "column": "text"}],
    }
    suite = Suite.model_validate({"version": 1, "name": "s", "models": [models[one] for one in order], "tasks": tasks})
    found = run(suite, RunOptions(results=tmp_path, sources=Sources(offline=True)))
    assert found.exit_code == 0
    key = {str(cell): cell.key for cell in found.plan.cells}
    assert key["soft/lm_nll"] == key["base/lm_nll"]
    assert key["soft/own"] != key["base/own"]
    assert len(list(Store(tmp_path).all_results())) == 3
    scores = {name: one for name, one in found.results.items() if isinstance(one, Score)}
    assert scores["soft/lm_nll"].score == scores["base/lm_nll"].score
    assert facts_of(scores["soft/lm_nll"]).training == {}
    stored = next(one for one in Store(tmp_path).all_results() if one.key == key["base/lm_nll"])
    assert stored.provenance["spec"]["soft_tokens"] is None
