"""Token ids as pieces of text that people can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

UNFINISHED = "\ufffd"
"""What a decoder puts where bytes are no whole character."""
LONGEST_CHARACTER = 4
"""Bytes of UTF-8, so a character is split over so many byte-level tokens at most."""


def token_pieces(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """Return what each token adds to the decoded text; the pieces joined are `tokenizer.decode(ids)`.

    Byte-level tokens may hold a part of a character (an emoji is four bytes): such a token's piece is empty, and the
    token that completes the character has it whole. Special tokens keep their spelling.
    """
    pieces: list[str] = []
    before = start = 0  # ids[before:start] are decoded already and give the decoder its context (leading spaces)
    for end in range(1, len(ids) + 1):
        known = _decode(tokenizer, ids[before:start])
        text = _decode(tokenizer, ids[before:end])
        if text.endswith(UNFINISHED) and end - start < LONGEST_CHARACTER and end < len(ids):
            pieces.append("")
            continue
        pieces.append(text[len(known) :])
        before, start = start, end
    return pieces


def _decode(tokenizer: Any, ids: Sequence[int]) -> str:
    if not ids:
        return ""
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))
