"""Tiny random sentence-transformers models of several families, each with a tokenizer of whole words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

TEXT = (
    "find what this is about : the cat sat on mat and looked at moon a small dog ran over green hill rain fell all "
    "night long river stone bridge red blue letter who wrote it ? , ."
)
WORDS = tuple(dict.fromkeys(TEXT.split()))
HIDDEN = 32
SHAPE = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "initializer_range": 0.3,
    "max_position_embeddings": 66,
    "pad_token_id": 0,
}
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("[CLS] $A [SEP]", SHAPE),
    "roberta": ("[CLS] $A [SEP]", SHAPE | {"pad_token_id": 1}),
    "mpnet": ("[CLS] $A [SEP]", SHAPE | {"pad_token_id": 1}),
    "modernbert": ("[CLS] $A [SEP]", SHAPE | {"cls_token_id": 2, "sep_token_id": 3, "global_attn_every_n_layers": 2}),
    "t5": ("$A [SEP]", {"d_model": HIDDEN, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "pad_token_id": 0}),
    "llama": ("[CLS] $A", SHAPE | {"num_key_value_heads": 2}),
}
"""Family -> the tokenizer's template, and its configuration."""


def words_tokenizer(template: str, *, pad: int = 0, most: int | None = None) -> Any:
    """Return a tokenizer of whole words; [PAD] has the id that is asked for, so that paddings differ as in life."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[CLS]", "[SEP]", "[UNK]"]
    names = [*special[:pad], "[PAD]", *special[pad:], *WORDS]
    core = Tokenizer(models.WordLevel({name: number for number, name in enumerate(names)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    around = [(part, names.index(part)) for part in template.split() if part != "$A"]
    core.post_processor = processors.TemplateProcessing(single=template, special_tokens=around)
    limit = {} if most is None else {"model_max_length": most}
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", **limit
    )


def save_body(folder: Path, family: str = "bert", *, seed: int = 0, most: int | None = None, **config: Any) -> Path:
    """Save a random model of `family` and its tokenizer; return the folder.

    Args:
        folder: to be made.
        family: a name of `BODIES`.
        seed: of the weights.
        most: the tokenizer's own limit; None leaves it without one.
        config: over the family's own.
    """
    import torch
    from transformers import AutoConfig, AutoModel, T5EncoderModel

    template, options = BODIES[family]
    options = options | config
    tokenizer = words_tokenizer(template, pad=options["pad_token_id"], most=most)
    made = AutoConfig.for_model(family, **{"vocab_size": len(tokenizer)} | options)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = T5EncoderModel(made) if family == "t5" else AutoModel.from_config(made)
        if family == "t5":  # whose own initialisation gives nearly the same state everywhere
            for parameter in model.parameters():
                torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def transformer(folder: Path, family: str = "bert", **options: Any) -> Any:
    """Return the library's module over a body that is saved into `folder`."""
    from sentence_transformers.base.modules import Transformer

    return Transformer(str(save_body(folder, family, **options)))


def save_model(folder: Path, modules: Callable[[Path], list[Any]], **options: Any) -> Path:
    """Save a SentenceTransformer of `modules(folder)` with `options` (prompts, default_prompt_name); return where."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(modules=modules(folder / "bodies"), device="cpu", **options)
    model.save_pretrained(str(folder / "whole"), create_model_card=False)
    return folder / "whole"
