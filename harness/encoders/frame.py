"""What a tokenizer puts around a text by itself: found by its own ids with special tokens and without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from harness.errors import HarnessError

PROBES = ("red", "the moon is up", "Was 1984 first?", "水", "x = [y]")
"""Enough that a tokenizer of nearly any script, or of code, has ids of its own for one of them."""
ENOUGH_WORDS = 100
"""Of the vocabulary, where it has none."""


class Frame(NamedTuple):
    """The special tokens around every text."""

    front: tuple[int, ...]
    """Ids before the text's own: beginning-of-text, [CLS]; also where that token is the end-of-text token as well."""
    behind: tuple[int, ...]
    """Ids after them: end-of-text, [SEP], or any other closing token."""


def frame_ids(tokenizer: Any) -> Frame:
    """Return the ids that `tokenizer` puts in front of a text and behind it.

    The empty text's ids cannot tell the two sides apart, and neither can the names of special tokens (a closing token
    need not be the end-of-text token, a beginning may be). So the ids of a text alone are looked up in those of the
    text with special tokens.

    Raises:
        HarnessError: the text's own ids are not found there, or what stands around them differs from text to text.
    """
    for probes in (PROBES, _words(tokenizer)):
        found = [_around(*pair) for pair in _pairs(tokenizer, probes)]
        common = set.intersection(*found) if found else set()
        if len(common) == 1:
            return common.pop()
    raise HarnessError(
        f"the tokenizer ({type(tokenizer).__name__}) does not put the same special tokens around every text, so that "
        f"a text's own tokens cannot be told from them; `encoder: sentence-transformers` takes the tokenizer as it is"
    )


def stand_in_id(tokenizer: Any) -> int:
    """Return the token that an empty text is read as: end-of-text, or what closes or begins a text in its place.

    Raises:
        HarnessError: the tokenizer has none of them.
    """
    front, behind = frame_ids(tokenizer)
    named = (tokenizer.eos_token_id, tokenizer.sep_token_id, *behind[-1:], *front[-1:], tokenizer.pad_token_id)
    for token in named:
        if token is not None:
            return int(token)
    raise HarnessError(
        f"a text has no tokens, and the tokenizer ({type(tokenizer).__name__}) has no end-of-text token that could "
        f"stand for it: name one (`eos_token` in tokenizer_config.json), or leave empty texts out"
    )


def _words(tokenizer: Any) -> list[str]:
    """Return ordinary words of the vocabulary, for a tokenizer that knows none of `PROBES`: it is small."""
    special = set(tokenizer.all_special_ids)
    tokens = [token for token, number in tokenizer.get_vocab().items() if number not in special]
    words = {tokenizer.convert_tokens_to_string([token]).strip() for token in sorted(tokens)[:ENOUGH_WORDS]}
    return sorted(words - {""})


def _pairs(tokenizer: Any, texts: Sequence[str]) -> list[tuple[list[int], list[int]]]:
    """Return the ids of each text alone and with special tokens; texts without ids are left out."""
    if not texts:
        return []
    alone, whole = (tokenizer(list(texts), add_special_tokens=adds)["input_ids"] for adds in (False, True))
    return [(list(one), list(both)) for one, both in zip(alone, whole, strict=True) if one]


def _around(alone: list[int], whole: list[int]) -> set[Frame]:
    """Return what may stand around a text: more than one where its ids are among the special ones too."""
    return {
        Frame(tuple(whole[:start]), tuple(whole[start + len(alone) :]))
        for start in range(len(whole) - len(alone) + 1)
        if whole[start : start + len(alone)] == alone
    }
