"""What the tests of encoders, backends, run and reports share: records, tiny encoders, tiny models."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from families import tiny

from harness.encoders.base import CausalLM, Counters, Vectors
from harness.results.records import Failure, Score

KEY = "0123456789abcdef0123"


def make_score(**changes: Any) -> Score:
    """Return a Score with plain values, `changes` applied."""
    plain: dict[str, Any] = {
        "key": KEY,
        "model": "base",
        "axis": "embedding",
        "type": "STS",
        "task": "STS12",
        "metric": "cosine_spearman",
        "score": 50.0,
        "stderr": 1.0,
        "ci_low": 48.0,
        "ci_high": 52.0,
        "n": 10,
        "limit": None,
    }
    return Score(**plain | changes)


def make_failure(**changes: Any) -> Failure:
    """Return a Failure with plain values, `changes` applied."""
    plain: dict[str, Any] = {
        "key": KEY,
        "model": "base",
        "axis": "embedding",
        "type": "STS",
        "task": "STS12",
        "error": "ValueError",
        "message": "it broke",
        "traceback": "Traceback ...",
    }
    return Failure(**plain | changes)


class HashEncoder:
    """Vectors that depend on the words of a text alone: texts that share words are alike."""

    def __init__(
        self, dimension: int = 24, *, similarity: str = "cosine", own_prompts: Mapping[str, str] | None = None
    ) -> None:
        """Remember what it is asked in `calls`: (texts, role, prompt)."""
        self.dimension = dimension
        self.similarity = similarity
        self.own_prompts = dict(own_prompts or {})
        self.counters = Counters()
        self.calls: list[tuple[list[str], str | None, str | None]] = []

    def encode(self, texts: Sequence[str], *, role: str | None, prompt: str | None) -> Vectors:
        """Return the sum of a random vector per word, (n, d) float32."""
        self.calls.append((list(texts), role, prompt))
        rows = [hashed(f"{prompt or ''}{text}", self.dimension) for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self.dimension), dtype=np.float32)

    def causal_lm(self) -> CausalLM | None:
        """None."""
        return None

    def describe(self) -> dict[str, Any]:
        """Return the dimension."""
        return {"device": "cpu", "dtype": "float32", "dimension": self.dimension}


def hashed(text: str, dimension: int) -> np.ndarray:
    """Return the vector of one text, not of length one."""
    total = np.zeros(dimension)
    for word in text.lower().split() or [""]:
        seed = int.from_bytes(hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()[:8], "big")
        total += np.random.default_rng(seed).normal(size=dimension)
    return (total + 1e-3).astype(np.float32)


SPECIAL_TOKENS = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
SENTENCES = (
    "the cat sat on the mat and looked at the moon",
    "a small dog ran over the green hill",
    "how do I return a card that was lost",
    "protein folding depends on the shape of the chain",
    "the quick brown fox jumps over the lazy dog",
    "rain fell on the roof all night long",
)
HIDDEN = 32
CONTEXT = 64
SMALL = {
    "hidden_size": HIDDEN,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def tiny_tokenizer(*, adds_bos: bool = False, pad_is_eos: bool = False) -> Any:
    """Return a byte-level BPE tokenizer trained on `SENTENCES`, with `SPECIAL_TOKENS`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    raw.train_from_iterator(SENTENCES * 3, trainer)
    if adds_bos:
        raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="</s>" if pad_is_eos else "<unk>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
    )


def tiny_model(family: str, vocabulary: int) -> Any:
    """Return a random causal language model with two layers, seeded, its own generator state left alone."""
    import torch
    from transformers import AutoModelForCausalLM, GemmaConfig, LlamaConfig, Qwen2Config

    shape = SMALL | {
        "vocab_size": vocabulary,
        "max_position_embeddings": CONTEXT,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    config = {
        "llama": lambda: LlamaConfig(**shape),
        "qwen2": lambda: Qwen2Config(**shape),
        "gemma": lambda: GemmaConfig(**shape, head_dim=8),
    }[family]()
    config.initializer_range = 0.2  # far from uniform attention, so that a wrong mask or position shows
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return AutoModelForCausalLM.from_config(config).eval()


def nested_model(vocabulary: int, *, cap: float, context: int = CONTEXT) -> Any:
    """Return a random Gemma 4, whose text configuration, soft cap of the logits and all, stands inside its own."""
    text = SMALL | {
        "vocab_size": vocabulary,
        "head_dim": 8,
        "global_head_dim": 8,
        "layer_types": ["sliding_attention", "full_attention"],
        "hidden_size_per_layer_input": 0,
        "max_position_embeddings": context,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "initializer_range": 0.2,
        "final_logit_softcapping": cap,
    }
    model = tiny("gemma4", text_config=text, eos_token_id=2)
    assert not hasattr(model.config, "final_logit_softcapping")
    return model


def save_tiny_model(folder: Any, family: str = "llama", *, adds_bos: bool = False, pad_is_eos: bool = False) -> Any:
    """Save model and tokenizer into `folder` and return it."""
    tokenizer = tiny_tokenizer(adds_bos=adds_bos, pad_is_eos=pad_is_eos)
    tiny_model(family, len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_tiny_sentence_transformer(
    folder: Path,
    *,
    similarity: str = "cosine",
    prompts: Mapping[str, str] | None = None,
    adds_bos: bool = False,
) -> Path:
    """Save a SentenceTransformer over a tiny random model: mean pooling, `prompts` in its configuration."""
    from sentence_transformers import SentenceTransformer, models

    save_tiny_model(folder / "plain", adds_bos=adds_bos)
    transformer = models.Transformer(str(folder / "plain"), max_seq_length=CONTEXT)
    pooling = models.Pooling(HIDDEN, "mean")
    model = SentenceTransformer(
        modules=[transformer, pooling], similarity_fn_name=similarity, prompts=dict(prompts or {}), device="cpu"
    )
    model.save_pretrained(str(folder / "whole"))
    return folder / "whole"


def located(folder: Any) -> Any:
    """Return `folder` as weights that were found."""
    from harness.sources.places import Located

    return Located(
        kind="folder",
        load_from=str(folder),
        revision=None,
        identity={"files_sha256": "0" * 64},
        source=f"folder {folder}",
        vouched=None,
    )
