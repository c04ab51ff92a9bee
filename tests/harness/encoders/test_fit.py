"""Weights that do not fit are refused wherever they are loaded; transformers' own loading info is the truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from candidates_support import chat_model
from cells_support import HIDDEN, located, save_tiny_model, tiny_tokenizer
from weights_support import Tensors, cut, grown, renamed, rewrite, without

from harness.encoders.dense import MeanPoolEncoder
from harness.encoders.dry_load import misfit
from harness.encoders.fit import watched
from harness.encoders.rationale.encoder import RationaleEncoder
from harness.encoders.sentence_transformer import SentenceTransformerEncoder
from harness.errors import EncoderOutputError, WeightsDoNotFitError
from harness.suite.model_entries import MeanPoolSpec, RationaleSpec, SentenceTransformersSpec

TEXTS = ["the cat sat on the mat", "a small dog ran"]


def mean_pool(folder: Path) -> MeanPoolEncoder:
    return MeanPoolEncoder(
        MeanPoolSpec(name="m", encoder="mean-pool", model=str(folder), device="cpu"), located(folder), None
    )


def rationale(folder: Path) -> RationaleEncoder:
    spec = RationaleSpec(name="m", encoder="rationale", model=str(folder), device="cpu")
    return RationaleEncoder(spec, located(folder), None, fingerprint="f", seed=0, cache=None)


def sentences(folder: Path) -> SentenceTransformerEncoder:
    spec = SentenceTransformersSpec(name="m", encoder="sentence-transformers", model=str(folder), device="cpu")
    return SentenceTransformerEncoder(spec, located(folder))


def vectors(encoder: Any) -> np.ndarray:
    return encoder.encode(TEXTS, role=None, prompt=None)


DAMAGES: dict[str, tuple[Callable[[Tensors], Tensors], dict[str, Any], str]] = {
    "a layer": (without("layers.1."), {}, r"9 of 2\d tensors are missing: .*layers\.1\.input_layernorm\.weight"),
    "the last norm": (without("model.norm"), {}, r"1 of 2\d tensors are missing: (model\.)?norm\.weight"),
    "one matrix": (without("layers.0.self_attn.k_proj"), {}, r"layers\.0\.self_attn\.k_proj\.weight"),
    "compiled": (renamed("_orig_mod."), {}, r"take '_orig_mod\.' off the names"),
    "data parallel": (renamed("module."), {}, r"take 'module\.' off the names"),
    "another front": (renamed("student."), {}, r"no place in the model: student\."),
    "more layers than configured": (dict, {"num_hidden_layers": 1}, r"configuration says num_hidden_layers: 1"),
    "fewer layers than configured": (dict, {"num_hidden_layers": 3}, r"9 of \d\d tensors are missing: .*layers\.2\."),
    "a smaller vocabulary": (cut("embed_tokens"), {}, r"1 tensor of another shape: (model\.)?embed_tokens\.weight"),
    "biases of another family": (
        grown("model.layers.0.self_attn.q_proj.bias", "model.layers.1.self_attn.q_proj.bias"),
        {},
        r"2 tensors of the files have no place in the model: (model\.)?layers\.0\.self_attn\.q_proj\.bias",
    ),
}


@pytest.mark.parametrize("load", [mean_pool, rationale, sentences], ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", list(DAMAGES))
def test_weights_that_would_change_vectors_are_refused_by_name(tmp_path: Path, name: str, load: Any) -> None:
    """Every encoder that loads weights, and every way in which they do not fit."""
    change, config, said = DAMAGES[name]
    folder = rewrite(chat_model(tmp_path), change, **config)
    with pytest.raises(WeightsDoNotFitError, match=said) as refused:
        load(folder)
    kind = {mean_pool: "mean-pool", rationale: "rationale", sentences: "sentence-transformers"}[load]
    needs_head = kind == "rationale"
    foreseen = misfit(folder, kind, name="m", trust=False, needs_head=needs_head)
    assert foreseen == str(refused.value)  # the same, from the headers of the files alone


def test_what_is_seen_is_what_transformers_says(tmp_path: Path) -> None:
    """The seam holds: its loading info, asked for in the documented way, has the same names."""
    from transformers import AutoModelForCausalLM

    folder = rewrite(save_tiny_model(tmp_path), lambda one: without("layers.1.mlp")(grown("x.y")(one)))
    with watched() as seen:
        _, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert [(set(one.missing), set(one.unexpected)) for one in seen] == [
        (info["missing_keys"], info["unexpected_keys"])
    ]
    assert len(info["missing_keys"]) == 3
    assert info["unexpected_keys"] == {"x.y"}


def test_a_missing_head_is_of_no_account_to_vectors_and_refused_where_logits_are_wanted(tmp_path: Path) -> None:
    """The mean of states needs none; a rationale and the ability axis do."""
    whole = vectors(mean_pool(chat_model(tmp_path / "whole")))
    folder = rewrite(chat_model(tmp_path / "bare"), without("lm_head"))
    encoder = mean_pool(folder)
    foreseen = [misfit(folder, "mean-pool", name="m", trust=False, needs_head=needs) for needs in (False, True)]
    assert (foreseen[0], "lm_head.weight" in str(foreseen[1])) == (None, True)
    assert np.array_equal(vectors(encoder), whole)
    assert np.array_equal(vectors(sentences(folder)), vectors(sentences(tmp_path / "whole")))
    for refused in (encoder.causal_lm, lambda: rationale(folder)):
        with pytest.raises(WeightsDoNotFitError, match=r"1 of 21 tensors are missing: lm_head\.weight"):
            refused()


def test_a_bias_of_the_head_that_would_be_left_out_counts_with_the_head(tmp_path: Path) -> None:
    """It changes answers, and no vector."""
    folder = rewrite(chat_model(tmp_path), lambda one: one | {"lm_head.bias": one["lm_head.weight"][:, 0].clone()})
    with pytest.raises(WeightsDoNotFitError, match=r"no place in the model: lm_head\.bias"):
        mean_pool(folder).causal_lm()
    assert vectors(mean_pool(folder)).shape == (2, HIDDEN)


def test_a_tied_head_is_not_missing(tmp_path: Path) -> None:
    """Gemma's head is its embedding, which stands in the file once."""
    folder = save_tiny_model(tmp_path, "gemma")
    assert mean_pool(folder).causal_lm().model is not None


def bert(folder: Path, kind: str = "BertModel") -> Path:
    """Save a tiny BERT under the name of one of its classes, and its tokenizer."""
    import torch
    import transformers

    tokenizer = tiny_tokenizer()
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        getattr(transformers, kind)(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_pooler_that_no_pooling_reads_may_be_missing(tmp_path: Path) -> None:
    """Half the BERT checkpoints in use have none; the vectors are those of the checkpoint that has one."""
    whole = vectors(sentences(bert(tmp_path / "whole")))
    assert np.array_equal(vectors(sentences(rewrite(bert(tmp_path / "bare"), without("pooler")))), whole)


def test_a_missing_pooler_that_is_read_gives_no_number(tmp_path: Path) -> None:
    """It is NaN, and so is every vector made with it."""
    from sentence_transformers import SentenceTransformer, models

    folder = rewrite(bert(tmp_path / "bert"), without("pooler"))
    said = {"text": {"method": "forward", "method_output_name": "pooler_output"}}
    transformer = models.Transformer(
        str(folder), max_seq_length=32, modality_config=said, module_output_name="sentence_embedding"
    )
    SentenceTransformer(modules=[transformer], device="cpu").save_pretrained(str(tmp_path / "st"))
    rewrite(tmp_path / "st", without("pooler"))
    from harness.encoders.checked import CheckedEncoder

    with pytest.raises(EncoderOutputError, match="NaN"):
        CheckedEncoder(sentences(tmp_path / "st"), name="m").encode(TEXTS)


@pytest.mark.parametrize("kind", ["BertForMaskedLM", "BertForPreTraining", "BertForSequenceClassification"])
def test_heads_of_other_tasks_are_left_out(tmp_path: Path, kind: str) -> None:
    """They have no place in the body and no part in it."""
    assert misfit(bert(tmp_path, kind), "sentence-transformers", name="m", trust=False, needs_head=False) is None
    assert vectors(sentences(bert(tmp_path, kind))).shape == (2, HIDDEN)


def test_a_bert_without_a_layer_is_refused(tmp_path: Path) -> None:
    """A body with other names than a language model's."""
    with pytest.raises(WeightsDoNotFitError, match=r"16 of \d+ tensors are missing: encoder\.layer\.1\."):
        sentences(rewrite(bert(tmp_path), without("layer.1.")))


def test_a_tower_beside_the_body_may_lie_in_the_files(tmp_path: Path) -> None:
    """All that the model needs is there; what a model of pictures has besides is not asked for."""
    folder = rewrite(save_tiny_model(tmp_path), grown("vision_tower.layers.0.mlp.up_proj.weight"))
    assert vectors(mean_pool(folder)).shape == (2, HIDDEN)


@pytest.mark.parametrize("kind", ["mean-pool", "sentence-transformers"])
def test_an_encoder_family_is_foreseen_as_it_is_loaded(tmp_path: Path, kind: str) -> None:
    """T5's encoder without its decoder, which neither encoder loads: whole, and without a layer."""
    import torch
    import transformers

    tokenizer = tiny_tokenizer()
    shape = {"d_model": HIDDEN, "d_ff": 64, "d_kv": 8, "num_layers": 2, "num_heads": 4}
    with torch.random.fork_rng():
        torch.manual_seed(7)
        transformers.T5EncoderModel(transformers.T5Config(vocab_size=len(tokenizer), **shape)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    load = {"mean-pool": mean_pool, "sentence-transformers": sentences}[kind]
    assert misfit(tmp_path, kind, name="m", trust=False, needs_head=False) is None
    assert vectors(load(tmp_path)).shape == (2, HIDDEN)
    rewrite(tmp_path, without("block.1.layer.1"))
    with pytest.raises(
        WeightsDoNotFitError, match=r"3 of \d+ tensors are missing: encoder\.block\.1\.layer\.1"
    ) as error:
        load(tmp_path)
    assert misfit(tmp_path, kind, name="m", trust=False, needs_head=False) == str(error.value)
