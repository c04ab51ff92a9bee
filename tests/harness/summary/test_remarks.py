"""What is said of cut texts, by hand."""

from __future__ import annotations

from harness.summary.remarks import cut_shares


def test_shares_are_of_texts_and_of_tokens_read_and_lost() -> None:
    """3 of 20 texts; 100 tokens lost of 400 read and lost; nothing where nobody counted."""
    counts = {"truncated_texts": 3, "unique_texts": 20, "tokens": 300, "cut_tokens": 100}
    assert cut_shares(counts) == " (15.0% of the texts, 25.0% of the tokens)"
    assert cut_shares(counts | {"cut_tokens": 0}) == " (15.0% of the texts)"
    assert cut_shares({"truncated_texts": 3}) == ""
