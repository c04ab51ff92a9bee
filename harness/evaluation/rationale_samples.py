"""What a model wrote about a sample of a cell's items, kept beside the cell so that a report can show it without torch.

`<key>.rationales.json.gz`: for every example both texts, both rationales and what each token adds to the similarity
(`harness.encoders.explain.shares`: the shares of either side sum to it). Bounded: so many items, characters and tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from harness.backends.interface import Example
from harness.encoders.explain.pieces import token_pieces
from harness.encoders.explain.shares import token_shares
from harness.encoders.explain.states import TokenStates, token_states
from harness.encoders.rationale.encoder import RationaleEncoder
from harness.results.rationale_file import pack

TEXT_CHARACTERS, SHORT_CHARACTERS = 2000, 300
"""Longest text shown: of an example, and of an item whose texts alone are kept."""
MOST_TOKENS = 400
"""Of a text; the shares of the rest are summed into one entry."""
SHARE_DIGITS = 5


def samples(encoder: Any, examples: Sequence[Example]) -> bytes | None:
    """Return the side file's content; None where the encoder writes no rationales about its texts.

    Args:
        encoder: of the cell, without the central checks; its rationales come from the cache or are written again.
        examples: of the cell.

    An ablation has no file: what it shows is how scores move, and its rationales are those of `ablation: none`.
    """
    if not isinstance(encoder, RationaleEncoder) or encoder.spec.ablation != "none" or not examples:
        return None
    record = {
        "examples": [_example(encoder, one) for one in examples if one.why != "text only" and one.texts],
        "texts": [_texts(one) for one in examples if one.texts],
    }
    return pack(record)


def _example(encoder: RationaleEncoder, one: Example) -> dict[str, Any]:
    known = _place(one) | {"why": one.why, "error": one.error, "gold": one.gold, "predicted": one.predicted}
    if not one.documents:
        return known | {"texts": _explained(encoder, one.texts, one.prompts), "documents": []}
    query, best = _explained(encoder, (one.texts[0], one.documents[0].text), one.prompts)
    sides = [best, *(_written(encoder, other.text, one.prompts[1]) for other in one.documents[1:])]
    return known | {
        "texts": [query],
        "documents": [
            {"id": document.id, "score": document.score, "relevance": document.relevance, **side}
            for document, side in zip(one.documents, sides, strict=True)
        ],
    }


def _written(encoder: RationaleEncoder, text: str, prompt: str | None) -> dict[str, Any]:
    about = encoder.write([text], prompt=prompt)[0].about
    return _side(encoder, text, about["ids"], is_cut=bool(about["cut"]))


def _texts(one: Example) -> dict[str, Any]:
    return _place(one) | {"texts": [text[:SHORT_CHARACTERS] for text in one.texts]}


def _place(one: Example) -> dict[str, Any]:
    return {name: value for name, value in asdict(one).items() if name in ("part", "split", "subset", "item")}


def _explained(
    encoder: RationaleEncoder, texts: Sequence[str], prompts: tuple[str | None, str | None]
) -> list[dict[str, Any]]:
    """Return both sides of a comparison with the share of every token."""
    states = [token_states(encoder, [text], prompt=prompt)[0] for text, prompt in zip(texts, prompts, strict=True)]
    shares = token_shares(states[0].states, states[1].states)
    return [
        _side(encoder, text, one.rationale_ids or (), is_cut=one.is_cut)
        | {"tokens": _tokens(encoder, one, share), "cosine": float(share.sum())}
        for text, one, share in zip(texts, states, shares, strict=True)
    ]


def _side(encoder: RationaleEncoder, text: str, ids: Sequence[int], *, is_cut: bool) -> dict[str, Any]:
    return {
        "text": text[:TEXT_CHARACTERS],
        "is_text_cut": len(text) > TEXT_CHARACTERS,
        "rationale": encoder.tokenizer.decode(list(ids)),
        "is_cut": is_cut,
    }


def _tokens(encoder: RationaleEncoder, one: TokenStates, shares: Iterable[float]) -> list[list[Any]]:
    """Return [piece, share, part] of every token; of those beyond `MOST_TOKENS` one entry that holds their sum."""
    pieces = token_pieces(encoder.tokenizer, one.ids)
    rows: list[list[Any]] = [
        [piece, round(float(share), SHARE_DIGITS), part[0]]
        for piece, share, part in zip(pieces, shares, one.parts, strict=True)
    ]
    if len(rows) <= MOST_TOKENS:
        return rows
    rest = float(sum(row[1] for row in rows[MOST_TOKENS:]))
    return [*rows[:MOST_TOKENS], [f"... {len(rows) - MOST_TOKENS} more", round(rest, SHARE_DIGITS), "x"]]
