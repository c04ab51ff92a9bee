"""Token states: their mean is the encoder's vector, and every token says where it belongs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from candidates_support import CHATML
from cells_support import HashEncoder, located, save_tiny_model, tiny_tokenizer

from harness.encoders.dense import MeanPoolEncoder
from harness.encoders.explain.states import token_states
from harness.encoders.rationale.encoder import RationaleEncoder
from harness.encoders.rationale.template import tokenise
from harness.errors import HarnessError
from harness.suite.model_entries import MeanPoolSpec, RationaleSpec

TEXTS = ["a cat sat on the mat", "two men play chess", "rain", "", "x y z 🙂"]


@pytest.fixture(scope="module", params=["llama", "qwen2", "gemma"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny model whose tokenizer has a chat template."""
    path = tmp_path_factory.mktemp(request.param)
    save_tiny_model(path, request.param)
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(path)
    return path


def writer(folder: Path, **options: Any) -> RationaleEncoder:
    """Return a rationale encoder over the tiny model."""
    given: dict[str, Any] = {"name": "r", "encoder": "rationale", "model": str(folder), "device": "cpu"}
    given |= {"generation": {"max_new_tokens": 6, "temperature": 1.0}, "max_text_tokens": 12}
    spec = RationaleSpec.model_validate(given | options)
    return RationaleEncoder(spec, located(folder), None, fingerprint="f", seed=0, cache=None)


@pytest.mark.parametrize("ablation", ["none", "text-only", "shuffled-rationale", "fixed-rationale"])
def test_mean_of_the_states_is_the_vector(folder: Path, ablation: str) -> None:
    """For each kind of vector, with a prompt, the states average to what `encode` returns."""
    encoder = writer(folder, ablation=ablation)
    vectors = encoder.encode(TEXTS, role=None, prompt="on: ")
    for vector, found in zip(vectors, token_states(encoder, TEXTS, prompt="on: "), strict=True):
        assert np.abs(found.vector - vector).max() < 1e-5
        assert len(found.ids) == len(found.parts) == len(found.states)


def test_rationale_only_leaves_text_and_header_out(folder: Path) -> None:
    """The vector of that ablation is the mean over the rationale's tokens, and those alone are listed."""
    encoder = writer(folder, ablation="rationale-only")
    texts = [
        text for text, one in zip(TEXTS, writer(folder).write(TEXTS, prompt=None), strict=True) if one.about["ids"]
    ]
    assert texts
    vectors = encoder.encode(texts, role=None, prompt=None)
    for vector, found in zip(vectors, token_states(encoder, texts), strict=True):
        assert np.abs(found.vector - vector).max() < 1e-5
        assert set(found.parts) == {"rationale"}


def test_tokens_are_text_header_and_rationale_in_order(folder: Path) -> None:
    """The ids are those of the text (cut at the limit), the template's suffix and what was written."""
    encoder = writer(folder)
    text = "the cat sat on the mat and looked at the moon all night long"
    (found,) = token_states(encoder, [text])
    (written,) = encoder.write([text], prompt=None)
    own = tokenise(encoder.tokenizer, [text])[0]
    assert len(own) > 12
    assert found.ids == (*own[:12], *encoder.template.suffix, *written.about["ids"])
    expected = ["text"] * 12 + ["header"] * len(encoder.template.suffix) + ["rationale"] * len(written.about["ids"])
    assert list(found.parts) == expected
    assert found.is_cut == written.about["cut"]


def test_plain_mean_pool_has_states_of_the_text_alone(folder: Path) -> None:
    """Without a rationale the prompt is left out and an empty text is its one end-of-text token."""
    spec = MeanPoolSpec.model_validate({"name": "m", "encoder": "mean-pool", "model": str(folder), "device": "cpu"})
    encoder = MeanPoolEncoder(spec, located(folder), None)
    vectors = encoder.encode(TEXTS, role=None, prompt="on: ")
    for vector, found in zip(vectors, token_states(encoder, TEXTS, prompt="on: "), strict=True):
        assert np.abs(found.vector - vector).max() < 1e-5
        assert set(found.parts) == {"text"}


def test_other_encoders_are_refused_with_the_reason() -> None:
    """A vector that is no mean of states cannot be shared out."""
    with pytest.raises(HarnessError, match="HashEncoder does not take the mean"):
        token_states(HashEncoder(), ["a"])
