"""The number of usable positions, against each family's own forward pass."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel

from harness.encoders.positions import usable_positions

SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 40,
}
BART_LIKE = {
    "vocab_size": 50, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_position_embeddings": 40,
}  # fmt: skip
LIMITED: dict[str, tuple[dict[str, Any], int]] = {
    "bert": (SMALL, 40),
    "roberta": (SMALL | {"pad_token_id": 1}, 38),
    "xlm-roberta": (SMALL | {"pad_token_id": 0}, 39),
    "camembert": (SMALL | {"pad_token_id": 5}, 34),
    "mpnet": (SMALL | {"pad_token_id": 1}, 38),
    "data2vec-text": (SMALL | {"pad_token_id": 1}, 38),
    "esm": (SMALL | {"pad_token_id": 1, "position_embedding_type": "absolute"}, 38),
    "electra": (SMALL | {"embedding_size": 16}, 40),
    "albert": (SMALL | {"embedding_size": 16}, 40),
    "distilbert": ({"vocab_size": 50, "dim": 16, "n_layers": 1, "n_heads": 2, "max_position_embeddings": 40}, 40),
    "gpt2": ({"vocab_size": 50, "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 40}, 40),
    "gpt_neo": (
        {"vocab_size": 50, "hidden_size": 16, "num_layers": 1, "num_heads": 2, "attention_types": [[["global"], 1]]}
        | {"max_position_embeddings": 40},
        40,
    ),
    "nystromformer": (SMALL | {"num_landmarks": 40, "segment_means_seq_len": 40}, 40),
    "opt": (SMALL | {"ffn_dim": 16, "word_embed_proj_dim": 16}, 40),
    "bart": (BART_LIKE, 40),
}
UNLIMITED: dict[str, dict[str, Any]] = {
    "llama": SMALL,
    "modernbert": SMALL | {f"{name}_token_id": 1 for name in ("pad", "cls", "sep", "bos", "eos")},
    "t5": {"vocab_size": 50, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2},
    "bloom": {"vocab_size": 50, "hidden_size": 16, "n_layer": 1, "n_head": 2},
    "deberta-v2": SMALL | {"relative_attention": True, "position_biased_input": False, "pos_att_type": ["p2c", "c2p"]},
}  # fmt: skip


def made(family: str, options: dict[str, Any]) -> Any:
    """Return a random model of a family."""
    torch.manual_seed(0)
    return AutoModel.from_config(AutoConfig.for_model(family, **options)).eval()


def run(model: Any, length: int) -> None:
    """Read one text of so many tokens."""
    ids = torch.full((1, length), 7)
    both = {"decoder_input_ids": ids[:, :2]} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        model(input_ids=ids, attention_mask=torch.ones_like(ids), **both)


@pytest.mark.parametrize("family", list(LIMITED))
def test_the_last_usable_position_is_read_and_the_next_is_not(family: str) -> None:
    """At the number that is returned the model's own pass runs; one token more is an error in it."""
    options, expected = LIMITED[family]
    model = made(family, options)
    assert usable_positions(model) == expected
    run(model, expected)
    with pytest.raises((IndexError, RuntimeError)):
        run(model, expected + 1)


@pytest.mark.parametrize("family", list(UNLIMITED))
def test_models_without_a_table_have_no_such_limit(family: str) -> None:
    """Rotary, relative and ALiBi positions go on beyond the configuration's number."""
    model = made(family, UNLIMITED[family])
    assert usable_positions(model) is None
    run(model, 48)


def test_positions_of_pictures_are_not_those_of_text() -> None:
    """A model of both is limited by its text part alone."""
    text = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text |= {"intermediate_size": 16, "max_position_embeddings": 40}
    vision = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    vision |= {"image_size": 8, "patch_size": 4}
    model = AutoModel.from_config(AutoConfig.for_model("clip", text_config=text, vision_config=vision))
    assert usable_positions(model) == 40
