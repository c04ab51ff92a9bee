"""The modules of a sentence-transformers model that read texts: their length limits, and the texts these cut."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from harness.encoders.positions import usable_positions
from harness.errors import InputError

logger = logging.getLogger(__name__)

NO_LIMIT = 10**9
"""What is above it is how tokenizers write that they have none."""


def input_modules(model: Any) -> list[Any]:
    """Return the first module, and where that is a router the first of each of its routes."""
    found: list[Any] = []
    for module in _behind(model[0]):
        if not any(module is one for one in found):  # routes may share one
            found.append(module)
    return found


def routers(model: Any) -> list[Any]:
    """Return the modules that choose others by the role of a text (sentence-transformers' Router)."""
    from sentence_transformers.base.modules import Router

    return [module for module in model.modules() if isinstance(module, Router)]


def _behind(module: Any) -> Iterator[Any]:
    if module in routers(module):
        for route in module.sub_modules.values():
            yield from _behind(route[0])
    else:
        yield module


def limit_of(module: Any) -> int | None:
    """Return the tokens after which a module cuts; None where it reads texts whole."""
    most = getattr(module, "max_seq_length", None)
    return None if most is None or most > NO_LIMIT else int(most)


def settle_limits(model: Any, wanted: int | None) -> int | None:
    """Set the length limit of every module that reads texts; return the longest of them, None where one has none.

    Args:
        model: a SentenceTransformer.
        wanted: of the suite; None takes the model's own, or the positions that it has where its own limit is longer:
            the library takes `max_position_embeddings`, which is too many for RoBERTa and its kin.

    Raises:
        InputError: the model has fewer positions than `wanted`, or cuts no texts.
    """
    for module in input_modules(model):
        usable = usable_positions(module)
        own = limit_of(module)
        if wanted is not None:
            _set(module, wanted, usable)
        elif usable is not None and (own is None or own > usable):
            module.max_seq_length = usable
            logger.info("%s cuts at %s tokens: it has positions for no more", type(module).__name__, usable)
    limits = [limit_of(module) for module in input_modules(model)]
    known = [limit for limit in limits if limit is not None]
    return max(known) if len(known) == len(limits) else None


def _set(module: Any, wanted: int, usable: int | None) -> None:
    if usable is not None and wanted > usable:
        raise InputError(
            [f"max_text_tokens: {wanted}: the model has positions for {usable} tokens; set `max_text_tokens: {usable}`"]
        )
    if limit_of(module) is None and not hasattr(module, "tokenizer"):
        _refuse(module, wanted)
    try:
        module.max_seq_length = wanted
    except AttributeError:  # a property that only reads: StaticEmbedding
        _refuse(module, wanted)


def _refuse(module: Any, wanted: int) -> None:
    name = type(module).__name__
    raise InputError(
        [f"max_text_tokens: {wanted}: {name} reads every text whole, and has no limit to set: leave it out"]
    )


def lengths_of(features: Mapping[str, Any]) -> list[int]:
    """Return the tokens of each text in a batch of features, padding not counted; empty where they do not say."""
    mask, offsets, ids = (features.get(name) for name in ("attention_mask", "offsets", "input_ids"))
    if mask is not None:
        return [int(count) for count in mask.sum(dim=-1).reshape(-1)]
    if offsets is None or ids is None:
        return []
    ends = [*offsets.tolist()[1:], len(ids)]  # all texts in one row, as StaticEmbedding has them
    return [end - start for start, end in zip(offsets.tolist(), ends, strict=True)]


class Cut(NamedTuple):
    """What of a batch was not read."""

    texts: int
    """That were cut."""
    tokens: int
    """That they lost, special tokens not counted."""


def cut_in(features: Any) -> Cut | None:
    """Return what of a batch was cut; None where the features do not tell.

    Fast tokenizers keep what they cut off, so that asking costs some 3 % of the tokenisation (measured where every
    text was cut).
    """
    encodings = getattr(features, "encodings", None)
    if encodings is None:
        return None
    lost = [one.overflowing for one in encodings if one.overflowing]
    return Cut(len(lost), sum(_own_tokens(part) for parts in lost for part in parts))


def _own_tokens(encoding: Any) -> int:
    """Return the tokens of a piece of a text, without those that the tokenizer puts around it and without padding."""
    special, attended = encoding.special_tokens_mask, encoding.attention_mask
    return sum(not is_special and bool(counts) for is_special, counts in zip(special, attended, strict=True))


def count_cut(model: Any, texts: Sequence[str], lengths: Sequence[int], **how: Any) -> Cut:
    """Return what of `texts` was cut, by reading them once more without a limit.

    Only where the longest of them is as long as a limit: a shorter batch was read whole.

    Args:
        model: a SentenceTransformer whose features do not say what was cut: a tokenizer written in Python, a processor
            of several modalities, words by white space.
        texts: of one batch.
        lengths: their tokens as they were read, in any order.
        how: prompt and task, as the model's `preprocess` takes them.
    """
    limits = [limit for module in input_modules(model) for limit in _limits_of(module) if limit is not None]
    longest = max(lengths, default=0)
    if longest not in limits:
        return Cut(0, 0)
    whole = whole_lengths(model, texts, **how)
    return Cut(sum(length > longest for length in whole), sum(max(0, length - longest) for length in whole))


def whole_lengths(model: Any, texts: Sequence[str], **how: Any) -> list[int]:
    """Return the tokens that each of `texts` would have if nothing were cut; arguments as of `count_cut`."""
    with _without_limits(input_modules(model)):
        return lengths_of(model.preprocess(list(texts), **how))


def count_empty(model: Any, texts: Sequence[str]) -> int:
    """Return how many of `texts` have no token of their own; 0 where the tokenizer is not one of transformers."""
    from transformers import PreTrainedTokenizerBase

    doubtful = [text for text in texts if not any(map(str.isalnum, text))]
    tokenizer = getattr(input_modules(model)[0], "tokenizer", None)
    if not doubtful or not isinstance(tokenizer, PreTrainedTokenizerBase):
        return 0
    return sum(not ids for ids in tokenizer(doubtful, add_special_tokens=False)["input_ids"])


def _limits_of(module: Any) -> tuple[int | None, int | None]:
    """Return a module's limit, and that of a tokenizer that brings one of its own (tokenizer.json)."""
    own = getattr(getattr(module, "tokenizer", None), "truncation", None)
    return limit_of(module), own["max_length"] if isinstance(own, Mapping) else None


@contextmanager
def _without_limits(modules: Sequence[Any]) -> Iterator[None]:
    own = [(module, module.max_seq_length) for module in modules if limit_of(module) is not None]
    cutting = [module.tokenizer for module in modules if _limits_of(module)[1] is not None]
    settings = [tokenizer.truncation for tokenizer in cutting]
    try:
        for module, _ in own:
            module.max_seq_length = 10**30
        for tokenizer in cutting:
            tokenizer.no_truncation()
        yield
    finally:
        for module, limit in own:
            module.max_seq_length = limit
        for tokenizer, setting in zip(cutting, settings, strict=True):
            tokenizer.enable_truncation(**setting)
