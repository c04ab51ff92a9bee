"""Pieces of tokens: joined they are the text, and no character is torn."""

from __future__ import annotations

import pytest
from cells_support import tiny_tokenizer
from hypothesis import given
from hypothesis import strategies as st

from harness.encoders.explain.pieces import token_pieces

TOKENIZER = tiny_tokenizer()


def ids_of(text: str) -> list[int]:
    """Return the ids of `text` as plain text."""
    return TOKENIZER(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def test_words_keep_their_spaces() -> None:
    """Pieces are what a reader sees, the space in front included."""
    pieces = token_pieces(TOKENIZER, ids_of("the cat sat"))
    assert "".join(pieces) == "the cat sat"
    assert " cat" in pieces


def test_emoji_over_several_tokens_is_whole_at_its_last() -> None:
    """Four bytes are four tokens here: three empty pieces, then the character."""
    ids = ids_of("a🙂b")
    assert len(ids) == 6
    assert token_pieces(TOKENIZER, ids) == ["a", "", "", "", "🙂", "b"]


def test_torn_bytes_at_the_end_are_shown_as_such() -> None:
    """A text cut inside a character ends with the replacement character, and nothing is lost before it."""
    ids = ids_of("ab🙂")[:-1]
    pieces = token_pieces(TOKENIZER, ids)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == TOKENIZER.decode(ids)
    assert pieces[:2] == ["a", "b"]


def test_special_tokens_are_spelt_out() -> None:
    """The header of a chat template is visible."""
    ids = [TOKENIZER.convert_tokens_to_ids("<|im_end|>"), *ids_of("the")]
    assert "".join(token_pieces(TOKENIZER, ids)) == "<|im_end|>the"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_pieces_join_to_the_text(text: str) -> None:
    """One piece a token, together the text, whatever is in it."""
    ids = ids_of(text)
    pieces = token_pieces(TOKENIZER, ids)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == text


@pytest.mark.parametrize("text", ["\ufffd\ufffd\ufffd\ufffd\ufffd", "a\ufffdb", ""])
def test_real_replacement_characters_are_kept(text: str) -> None:
    """A text that holds the character which marks torn bytes comes back as it was."""
    assert "".join(token_pieces(TOKENIZER, ids_of(text))) == text
