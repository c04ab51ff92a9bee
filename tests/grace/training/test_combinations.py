"""Whatever a configuration may say together takes a step: what cannot is refused by its checks (test_load.py)."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from grace_support import Quiet, chat_model, jsonl, plain_config, triplets
from safetensors.torch import load_file
from suites_support import write

from grace.config.schema import Algorithm, Credit
from grace.run.directory import RunDir
from grace.training.train import train
from harness.candidates.named import named_candidate
from harness.encoders.loading import load
from harness.sources.places import Sources

CONTRASTIVE = list(
    product(("infonce", "simcse", "infonce-rationale"), ("lora", "full"), (0.0, 0.5), ("packed", "plain"))
)
READING: dict[str, dict[str, Any]] = {
    "pool": {"objective": "infonce-rationale", "max_new_tokens": 2, "rationale": {"pool": 2}},
    "fixed": {"objective": "infonce-rationale", "rationale": {"fixed": " or so"}},
    "anew": {
        "objective": "infonce-rationale",
        "max_new_tokens": 2,
        "rationale": {"pool": 1, "writer": "self", "refresh_steps": 1},
    },
    "best": {"objective": "best-of-n", "max_new_tokens": 2, "best_of_n": {"n": 2}},
    "random": {"objective": "best-of-n", "max_new_tokens": 2, "best_of_n": {"n": 2, "select": "random"}},
    "distil": {"objective": "distil", "distil": {"max_new_tokens": 2, "infonce_weight": 0.5}},
}
"""Objectives that write rationales before a step, choose among them, read a teacher's, or one text in their place."""
SETTINGS = list(product(("lora", "full"), (0.0, 0.1), ("staged", "plain")))
POLICY = [
    (algorithm, credit, *SETTINGS[(3 * n + 5 * m) % len(SETTINGS)], (0.0, 0.1)[(n + m) % 2])
    for n, algorithm in enumerate(get_args(Algorithm))
    for m, credit in enumerate(get_args(Credit))
]
"""Every algorithm with every credit, and over them every setting of adapter, KL and forward pass."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chat model, triplets, single texts."""
    path = tmp_path_factory.mktemp("combinations")
    chat_model(path / "model")
    jsonl(path / "triplets.jsonl", triplets(4))
    write(path / "texts.txt", "".join(f"{one['query']}\n" for one in triplets(4)))
    return path


def takes_a_step(folder: Path, out: Path, **changes: Any) -> None:
    """Train one step and expect finite numbers and a candidate."""
    train(plain_config(folder, steps=1, batch_size=2, max_text_tokens=12, **changes), out, progress=Quiet())
    (row,) = RunDir(out).metrics()
    assert math.isfinite(row["loss"])
    assert math.isfinite(row["grad_norm"])
    assert (out / "candidate.yaml").exists()


@pytest.mark.parametrize(("objective", "adapter", "retain", "forward"), CONTRASTIVE)
def test_contrastive(objective: str, adapter: str, retain: float, forward: str, folder: Path, tmp_path: Path) -> None:
    """Objective, weights, KL, forward pass."""
    data = "texts.txt" if objective == "simcse" else "triplets.jsonl"
    changes: dict[str, Any] = {"objective": objective, "retain_weight": retain, "forward": forward}
    changes |= {"max_new_tokens": 2} if objective == "infonce-rationale" else {}
    takes_a_step(
        folder,
        tmp_path / "out",
        adapter={"kind": "full"} if adapter == "full" else {"r": 2},
        data={"path": str(folder / data)},
        **changes,
    )


@pytest.mark.parametrize(("adapter", "retain", "forward"), product(("lora", "full"), (0.0, 0.5), ("packed", "plain")))
@pytest.mark.parametrize("name", READING)
def test_reading(name: str, adapter: str, retain: float, forward: str, folder: Path, tmp_path: Path) -> None:
    """Objective, weights, KL, forward pass."""
    own = {"adapter": {"kind": "full"} if adapter == "full" else {"r": 2}}
    takes_a_step(folder, tmp_path / "out", retain_weight=retain, forward=forward, **own, **READING[name])


@pytest.mark.parametrize("forward", ["packed", "plain"])
@pytest.mark.parametrize("objective", ["infonce", "simcse", "distil"])
def test_what_stands_around_a_text(objective: str, forward: str, folder: Path, tmp_path: Path) -> None:
    """Soft tokens and a suffix: every objective that takes them, both forward passes; the candidate is read with them.

    Its vector is the mean over text and suffix of a pass by hand, which the trained soft tokens stand in front of.
    """
    changes = READING["distil"] if objective == "distil" else {"objective": objective}
    data = "texts.txt" if objective == "simcse" else "triplets.jsonl"
    own = {"adapter": {"kind": "soft-tokens", "tokens": 4}, "data": {"path": str(folder / data)}, "suffix": " or so"}
    takes_a_step(folder, tmp_path / "out", forward=forward, **own, **changes)
    encoder = load(named_candidate(str(tmp_path / "out"), Sources()))
    found: Any = encoder.encode(["a cat"])[0]
    inner: Any = encoder.inner
    soft = load_file(tmp_path / "out" / "soft_tokens" / "soft_tokens.safetensors")["soft_tokens"]
    ids = [inner.tokenizer(one, add_special_tokens=False)["input_ids"] for one in ("a cat", " or so")]
    with torch.no_grad():
        rows = inner.model.get_input_embeddings()(torch.tensor([*ids[0], *ids[1]]))
        states = inner.model.base_model(inputs_embeds=torch.cat([soft, rows])[None]).last_hidden_state[0]
    assert torch.allclose(torch.from_numpy(found), states[len(soft) :].mean(dim=0), atol=1e-5)


def test_one_text_in_the_place_of_rationales(folder: Path, tmp_path: Path) -> None:
    """The candidate reads what it was trained on: the mean over text, header and fixed text of a pass by hand."""
    takes_a_step(folder, tmp_path / "out", **READING["fixed"])
    named = named_candidate(str(tmp_path / "out"), Sources())
    said: Any = named.spec
    assert (said.fixed_rationale, said.writes) == (" or so", 0)
    encoder = load(named, use_cache=False)
    found: Any = encoder.encode(["a cat"])[0]
    inner: Any = encoder.inner
    prefix, header = inner.template.prefix, inner.template.suffix
    ids = [inner.tokenizer(one, add_special_tokens=False)["input_ids"] for one in ("a cat", " or so")]
    with torch.no_grad():
        row = torch.tensor([[*prefix, *ids[0], *header, *ids[1]]])
        states = inner.model.base_model(input_ids=row).last_hidden_state[0]
    assert torch.allclose(torch.from_numpy(found), states[len(prefix) :].mean(dim=0), atol=1e-5)


@pytest.mark.parametrize(("algorithm", "credit", "adapter", "beta", "forward", "infonce"), POLICY)
def test_policy(
    algorithm: str,
    credit: str,
    adapter: str,
    beta: float,
    forward: str,
    infonce: float,
    folder: Path,
    tmp_path: Path,
) -> None:
    """Algorithm, credit, weights, KL, forward pass, hybrid term."""
    takes_a_step(
        folder,
        tmp_path / "out",
        objective="grace",
        max_new_tokens=2,
        adapter={"kind": "full"} if adapter == "full" else {"r": 2},
        grace={
            "algorithm": algorithm,
            "credit": credit,
            "beta": beta,
            "forward": forward,
            "infonce_weight": infonce,
            "rollouts": 2,
            "steps_per_generation": 1,
            "gradient_checkpointing": beta > 0 and infonce > 0,
        },
    )


def test_every_setting_of_the_policy_is_met() -> None:
    """By some algorithm."""
    assert {one[2:5] for one in POLICY} == set(SETTINGS)
