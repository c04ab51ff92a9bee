"""A model without its adapter beside the one with it: the base's own answers, over the same memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from candidates_support import chat_model, tiny_adapter
from cells_support import located
from transformers import AutoModelForCausalLM

from harness.encoders import bare, language_model
from harness.encoders.dense import MeanPoolEncoder
from harness.encoders.rationale.encoder import RationaleEncoder
from harness.errors import WeightsDoNotFitError
from harness.suite.model_entries import MeanPoolSpec, RationaleSpec

IDS = torch.tensor([[20, 21, 22, 23, 24]])
TEXTS = ["rain fell on the roof", "a small dog"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_adapter(base, tmp_path_factory.mktemp("adapter"))


def loaded(kind: str, base: Path, adapter: Path, **changes: Any) -> Any:
    """Return an encoder with the adapter."""
    given = {"name": "m", "encoder": kind, "model": str(base), "adapter": str(adapter), "device": "cpu"} | changes
    if kind == "mean-pool":
        return MeanPoolEncoder(MeanPoolSpec(**given), located(base), located(adapter))
    spec = RationaleSpec(**given, generation={"max_new_tokens": 4}, max_text_tokens=64)
    return RationaleEncoder(spec, located(base), located(adapter), fingerprint="f", seed=0, cache=None)


def logits(encoder: Any) -> torch.Tensor:
    with torch.inference_mode():
        return encoder.causal_lm().model(input_ids=IDS).logits


@pytest.mark.parametrize("kind", ["mean-pool", "rationale"])
def test_switched_answers_are_the_bases_to_the_last_bit_and_vectors_are_the_adapters(
    kind: str, base: Path, adapter: Path
) -> None:
    """In any order, again and again."""
    with torch.inference_mode():
        own = AutoModelForCausalLM.from_pretrained(base).eval()(input_ids=IDS).logits
    merged, switched = (loaded(kind, base, adapter, serving=rule) for rule in ("merged", "switched"))
    vectors = merged.encode(TEXTS, role=None, prompt=None)
    for _ in range(2):
        assert torch.equal(logits(switched), own)
        assert np.array_equal(switched.encode(TEXTS, role=None, prompt=None), vectors)
    assert not torch.allclose(logits(merged), own, atol=1e-3)


def test_both_share_every_weight(base: Path, adapter: Path) -> None:
    """The second model takes no memory beside its layers."""
    switched = loaded("mean-pool", base, adapter, serving="switched")
    mine = {one.data_ptr() for one in switched.model.parameters()}
    assert {one.data_ptr() for one in switched.causal_lm().model.parameters()} < mine


def test_an_adapter_that_changes_its_base_has_none_without_it(
    base: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As PiSSA does: it moves a part of each weight into the adapter."""
    whole = language_model.with_peft

    def moving(model: Any, *arguments: Any, **options: Any) -> Any:
        with torch.no_grad():
            next(one for name, one in model.named_parameters() if "q_proj" in name).mul_(0.5)
        return whole(model, *arguments, **options)

    monkeypatch.setattr(language_model, "with_peft", moving)
    with pytest.raises(WeightsDoNotFitError, match="changes the weights of its base"):
        loaded("mean-pool", base, adapter, serving="switched")
    assert loaded("mean-pool", base, adapter).dimension


def test_a_twin_goes_where_the_model_goes(base: Path, adapter: Path) -> None:
    """Its buffers too, which `to` replaces in the one model alone."""
    switched = loaded("mean-pool", base, adapter, serving="switched")
    switched.model.to("meta")
    switched.follow("meta")
    twin = switched.causal_lm().model
    assert {one.device.type for one in (*twin.parameters(), *twin.buffers())} == {"meta"}
    assert bare.twin_of(twin) is not twin
