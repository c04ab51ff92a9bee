"""Rotary positions that change with the longest row: each vector is that of the row alone in a fresh model."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from cells_support import located, tiny_tokenizer
from families import tiny
from grace_support import CHAT_TEMPLATE
from rope_support import dynamic_rope, logits_alone, long_rope, states_alone

from harness.encoders.dense import MeanPoolEncoder
from harness.encoders.rationale.encoder import RationaleEncoder
from harness.encoders.rationale.generate import Sampling, generate, with_prompt
from harness.encoders.rationale.template import Template
from harness.encoders.rope import RopeLimit, apart, forget_longer_texts, rope_limit
from harness.encoders.sentence_transformer import SentenceTransformerEncoder
from harness.errors import EncoderOutputError
from harness.suite.model_entries import MeanPoolSpec, RationaleSpec, SentenceTransformersSpec

TOKENIZER = tiny_tokenizer()
MADE = {"longrope": long_rope, "dynamic": dynamic_rope}
BY_LAYER = {
    "full_attention": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
}
WORDS = "the cat sat on the mat and looked at the moon a small dog ran over the green hill".split()  # noqa: SIM905


def text_of(tokens: int) -> str:
    """Return a text of exactly so many tokens, no two of them with the same beginning."""
    start = WORDS[tokens % len(WORDS)]
    text = f"{start} {' '.join(WORDS * 4)}"
    ids = TOKENIZER(text, add_special_tokens=False)["input_ids"][:tokens]
    whole: str = TOKENIZER.decode(ids)
    assert TOKENIZER(whole, add_special_tokens=False)["input_ids"] == ids
    return whole


TEXTS = [text_of(tokens) for tokens in (30, 3, 16, 17, 9, 24, 15, 16, 4)]


def saved(model: Any, folder: Path, template: str | None = None) -> Path:
    """Save a model beside the tokenizer."""
    model.save_pretrained(folder)
    tokenizer = copy.deepcopy(TOKENIZER)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (long_rope(), RopeLimit(16, "longrope", "together")),
        (long_rope(original=20, family="llama"), RopeLimit(20, "longrope", "together")),
        (dynamic_rope(most=24), RopeLimit(24, "dynamic", "alone")),
        (tiny("gemma3_text", rope_parameters=BY_LAYER, max_position_embeddings=32), RopeLimit(32, "dynamic", "alone")),
        (tiny("llama"), None),
        (tiny("llama", rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}), None),
        (tiny("gemma4"), None),
    ],
)
def test_the_length_is_that_of_the_models_own_rotation(model: Any, found: RopeLimit | None) -> None:
    """And from the next token on, states of the first tokens are others: by the model's own forward pass."""
    assert rope_limit(model) == found
    most = found.tokens if found else 30
    row = list(range(5, 5 + most + 1))
    within, shorter, beyond = (states_alone(model, row[:length])[: most - 1] for length in (most, most - 1, most + 1))
    assert torch.allclose(within, shorter, atol=1e-5)
    assert torch.allclose(within, beyond, atol=1e-5) == (found is None)


def test_a_text_as_long_as_the_limit_is_read_as_if_nothing_had_come_before() -> None:
    """transformers forgets a longer text only when one below the limit follows; gemma 3 has a state for each type."""
    for fresh in (dynamic_rope(), tiny("gemma3_text", rope_parameters=BY_LAYER, max_position_embeddings=16)):
        model = copy.deepcopy(fresh)
        forget_longer_texts(model)
        for length in (40, 16, 20, 12, 40):
            row = list(range(5, 5 + length))
            with torch.no_grad():
                found = model.base_model(input_ids=torch.tensor([row]), use_cache=False).last_hidden_state[0]
            assert torch.allclose(found, states_alone(fresh, row), atol=1e-5)


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("batch_tokens", [40, 4096])
def test_mean_pool_reads_every_text_as_if_alone(tmp_path: Path, kind: str, batch_tokens: int) -> None:
    """Whatever stands beside it, and whatever came before."""
    fresh = MADE[kind]()
    folder = saved(fresh, tmp_path)
    options: dict[str, Any] = {"device": "cpu", "batch_tokens": batch_tokens, "max_text_tokens": 40}
    spec = MeanPoolSpec(name="t", encoder="mean-pool", model=str(folder), **options)
    encoder = MeanPoolEncoder(spec, located(folder), None)
    assert encoder.reading == "padded"
    rows = [TOKENIZER(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
    truth = np.stack([states_alone(fresh, row).mean(dim=0).numpy() for row in rows])
    for _ in range(2):
        assert np.abs(encoder.encode(TEXTS, role=None, prompt=None) - truth).max() < 1e-5


@pytest.mark.parametrize("kind", MADE)
def test_sentence_transformers_reads_every_text_as_if_alone(tmp_path: Path, kind: str) -> None:
    """The truth is the library's own vector of one text, each by a model that was just loaded."""
    from sentence_transformers import SentenceTransformer, models

    plain = saved(MADE[kind](), tmp_path / "plain")
    modules = [models.Transformer(str(plain)), models.Pooling(32, "mean")]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(tmp_path / "whole"))
    spec = SentenceTransformersSpec(
        name="t", encoder="sentence-transformers", model=str(tmp_path / "whole"), device="cpu", max_text_tokens=40
    )
    encoder = SentenceTransformerEncoder(spec, located(tmp_path / "whole"))
    library = SentenceTransformer(str(tmp_path / "whole"), device="cpu")
    library.max_seq_length = 40
    truth = np.concatenate([copy.deepcopy(library).encode([text], show_progress_bar=False) for text in TEXTS])
    for _ in range(2):
        assert np.abs(encoder.encode(TEXTS, role=None, prompt=None) - truth).max() < 1e-5
    assert encoder.counters.tokens == 2 * sum(len(TOKENIZER(text)["input_ids"]) for text in TEXTS)


def test_a_models_own_code_is_not_read_beyond_the_limit() -> None:
    """It may keep anything of a longer text; the configuration alone says that there is a limit."""

    class Own(torch.nn.Module):
        config = SimpleNamespace(
            rope_scaling={"type": "dynamic", "factor": 2.0}, rope_parameters=None, max_position_embeddings=20
        )

    limit = rope_limit(Own())
    assert limit == RopeLimit(20, "dynamic", "refused")
    assert apart(limit, [20, 3]) == [[0, 1]]
    with pytest.raises(EncoderOutputError, match=r"21 tokens, and beyond 20 .*`max_text_tokens: 20`"):
        apart(limit, [3, 21])


@pytest.mark.parametrize("family", ["longrope", "dynamic", "phi3"])
def test_a_plain_rationale_that_crosses_the_limit_is_written_without_the_cache(family: str) -> None:
    """Greedy tokens and the vector are those of whole passes, each by a fresh model; rows within the limit too."""
    fresh = {"longrope": lambda: long_rope(family="llama"), "dynamic": dynamic_rope, "phi3": long_rope}[family]()
    model = copy.deepcopy(fresh)
    forget_longer_texts(model)
    template = Template(prefix=(7, 8), suffix=(9,), sha256="", has_system_role=True, opens_thinking=False)
    prompted = with_prompt(model, template, frozenset(), forward="plain")
    rows = [("a", list(range(20, 20 + length))) for length in (11, 3, 20, 12, 13)]
    found = generate(prompted, rows, Sampling(max_new_tokens=6))
    for (_, ids), one in zip(rows, found, strict=True):
        whole = [7, 8, *ids, 9]
        for token in one.ids:
            assert token == int(logits_alone(fresh, whole)[-1].argmax())
            whole.append(token)
        assert np.abs(one.vector - states_alone(fresh, whole)[2:].mean(dim=0).numpy()).max() < 1e-5


def test_a_rationale_behind_a_shared_prefix_is_refused_where_it_would_cross_the_limit(tmp_path: Path) -> None:
    """With the length that fits, which is then right; `forward: plain` takes the long text as it is."""
    fresh = long_rope(original=512, longest=1024)
    folder = saved(fresh, tmp_path, CHAT_TEMPLATE)

    def load(**options: Any) -> RationaleEncoder:
        spec = RationaleSpec(
            name="t", encoder="rationale", model=str(folder), device="cpu", generation={"max_new_tokens": 4}, **options
        )
        return RationaleEncoder(spec, located(folder), None, fingerprint="f", seed=0, cache=None)

    encoder = load()
    around = len(encoder.template.prefix) + len(encoder.template.suffix) + 4
    fits = 512 - around
    long, short = text_of(16), "the cat"
    long = " ".join([long] * (fits // 10))
    with pytest.raises(EncoderOutputError, match=rf"beyond 512 .*longrope.*_tokens: {fits}`.*forward: plain"):
        encoder.encode([long, short], role=None, prompt=None)
    kept = load(max_text_tokens=fits)
    (entry, _), prefix = kept.write([long, short], prompt=None), list(kept.template.prefix)
    ids = TOKENIZER(long, add_special_tokens=False)["input_ids"][:fits]
    row = [*prefix, *ids, *kept.template.suffix, *entry.about["ids"]]
    assert np.abs(entry.vector - states_alone(fresh, row)[len(prefix) :].mean(dim=0).numpy()).max() < 1e-4
    plain = load(forward="plain")
    assert np.isfinite(plain.encode([long], role=None, prompt=None)).all()
