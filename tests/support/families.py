"""Tiny random models of the causal families of transformers: each own configuration class, shrunk by field names."""

from __future__ import annotations

from typing import Any

VOCABULARY = 400
"""Token ids of every tiny model, if not said otherwise."""
CONTEXT = 256
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "d_model": 32,
    "n_embd": 32,
    "n_embed": 32,
    "dim": 32,
    "emb_dim": 32,
    "word_embed_proj_dim": 32,
    "embedding_size": 32,
    "attention_hidden_size": 32,
    "lru_width": 32,
    "intermediate_size": 64,
    "ffn_hidden_size": 64,
    "ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "encoder_ffn_dim": 64,
    "n_inner": 64,
    "dff": 64,
    "dim_ff": 64,
    "d_inner": 64,
    "d_ff": 64,
    "feed_forward_size": 64,
    "moe_intermediate_size": 16,
    "expert_ffn_hidden_size": 16,
    "moe_shared_expert_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
    "shared_intermediate_size": 32,
    "num_hidden_layers": 2,
    "n_layer": 2,
    "n_layers": 2,
    "num_layers": 2,
    "decoder_layers": 2,
    "encoder_layers": 2,
    "num_decoder_layers": 2,
    "num_encoder_layers": 2,
    "num_blocks": 2,
    "num_attention_heads": 4,
    "swa_num_attention_heads": 4,
    "n_head": 4,
    "n_heads": 4,
    "num_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_attention_heads": 4,
    "num_decoder_attention_heads": 4,
    "num_encoder_attention_heads": 4,
    "num_key_value_heads": 2,
    "swa_num_key_value_heads": 2,
    "num_kv_heads": 2,
    "n_kv_heads": 2,
    "attention_head_size": 8,
    "head_dim": 8,
    "global_head_dim": 8,
    "swa_head_dim": 8,
    "v_head_dim": 8,
    "rotary_dim": 4,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "qk_head_dim": 12,
    "kv_lora_rank": 8,
    "q_lora_rank": 16,
    "o_lora_rank": 8,
    "index_head_dim": 8,
    "index_n_heads": 2,
    "index_topk": 64,
    "max_position_embeddings": CONTEXT,
    "n_positions": CONTEXT,
    "n_ctx": CONTEXT,
    "max_seq_len": CONTEXT,
    "max_sequence_length": CONTEXT,
    "seq_length": CONTEXT,
    "context_length": CONTEXT,
    "sliding_window": 6,
    "sliding_window_size": 6,
    "attention_window_size": 6,
    "local_attention": 6,
    "window_size": 6,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "moe_num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_topk": 2,
    "moe_k": 2,
    "top_k_experts": 2,
    "n_shared_experts": 1,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "mamba_d_state": 8,
    "ssm_state_size": 8,
    "state_size": 8,
    "mamba_n_heads": 8,
    "mamba_num_heads": 8,
    "n_mamba_heads": 2,
    "mamba_d_head": 8,
    "mamba_head_dim": 8,
    "mamba_headdim": 8,
    "mamba_ngroups": 1,
    "n_groups": 1,
    "mamba_n_groups": 1,
    "mamba_d_ssm": 64,
    "mamba_dt_rank": 4,
    "time_step_rank": 4,
    "mamba_chunk_size": 8,
    "chunk_size": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "block_multiple_of": 8,
    "vocab_size_per_layer_input": VOCABULARY,
    "hidden_size_per_layer_input": 8,
    "num_kv_shared_layers": 0,
    "initializer_range": 0.2,
    "init_std": 0.2,
}
"""Field -> its small value, wherever a configuration has the field; far from uniform attention, so that errors show."""


def tiny_config(model_type: str, **changes: Any) -> Any:
    """Return a small configuration of a family of transformers; `changes` are its fields, over the small ones."""
    from transformers import CONFIG_MAPPING

    kind = CONFIG_MAPPING[model_type]
    usual = kind().to_dict()
    return kind(**_shrunk(usual) | FIXES.get(model_type, {}) | changes)


def _shrunk(usual: dict[str, Any]) -> dict[str, Any]:
    """Return the fields to change."""
    small = {name: SIZES[name] for name in usual if name in SIZES and usual[name] is not None}
    layers = next((small[name] for name in ("num_hidden_layers", "num_layers", "n_layer") if name in small), 2)
    for name in ("layer_types", "mlp_layer_types", "layers_block_type"):
        if isinstance(usual.get(name), list) and usual[name]:
            small[name] = _kinds(usual[name], layers)
    if isinstance(usual.get("text_config"), dict):
        small["text_config"] = _shrunk(usual["text_config"])
    return small


def _kinds(usual: list[str], layers: int) -> list[str]:
    """Return a layer of each kind, as far as `layers` go: the last ones that the family alternates between."""
    kinds = list(dict.fromkeys(usual))
    return [kinds[place % len(kinds)] for place in range(layers)]


LATENT: dict[str, Any] = {"num_key_value_heads": 4, "qk_head_dim": 12, "head_dim": 4}
"""Attention over a compressed key has a value head for each query head."""
FIXES: dict[str, dict[str, Any]] = {
    "axk1": LATENT,
    "axk2": LATENT,
    "bailing_hybrid": LATENT | {"head_dim": 8},
    "bamba": {"attn_layer_indices": [1]},
    "deepseek_v2": LATENT | {"num_experts_per_tok": 2, "n_group": 1, "topk_group": 1},
    "deepseek_v3": LATENT,
    "deepseek_v32": LATENT,
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "glm4_moe_lite": LATENT,
    "glm_moe_dsa": LATENT,
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 6},
    "granitemoehybrid": {"layers_block_type": ["mamba", "attention"]},
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2},
    "kimi_linear": LATENT | {"num_expert_group": 1, "topk_group": 1},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "longcat_flash": LATENT,
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "minicpm3": LATENT,
    "ministral": {"head_dim": 8},
    "nemotron": {"head_dim": 8, "num_key_value_heads": 2},
    "nemotron_h": {"layers_block_type": ["mamba", "attention"]},
    "recurrent_gemma": {"num_hidden_layers": 3},
    "youtu": LATENT,
    "zaya": {"num_experts_per_tok": 1},
}
"""What a family needs beside small sizes, or to have layers of each of its kinds."""


def tiny(model_type: str, **changes: Any) -> Any:
    """Return a random model of a family in eval mode, float32, seeded; the global generator is left alone."""
    import torch
    from transformers import AutoModelForCausalLM

    config = tiny_config(model_type, **changes)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return AutoModelForCausalLM.from_config(config).eval()


def forgetful(model: Any) -> Any:
    """Return `model` with the first layer's keys wiped from its cache after every pass: what it writes is wrong."""
    import torch

    forward = model.forward

    def wiping(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        if output.past_key_values is not None:
            output.past_key_values.layers[0].keys = torch.zeros_like(output.past_key_values.layers[0].keys)
        return output

    model.forward = wiping
    return model


def without_memory(model: Any, error: Exception) -> Any:
    """Return `model`, whose passes over several rows, or with a cache, raise `error`."""
    body = model.base_model
    forward = body.forward

    def raising(input_ids: Any, **kwargs: Any) -> Any:
        if len(input_ids) > 1 or kwargs.get("use_cache"):
            raise error
        return forward(input_ids=input_ids, **kwargs)

    body.forward = raising
    return model
