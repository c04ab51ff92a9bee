"""A text with its rationale as the page shows them: tokens coloured by what each adds to the similarity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

LEVELS = 9
"""Of colour, either way."""
PARTS = {"t": "text", "h": "assistant header", "r": "rationale", "x": "the rest"}
"""Letter of a token in the side file -> where it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A text with its rationale, and the tokens' shares where they were computed."""

    text: str
    rationale: str
    is_cut: bool
    text_tokens: Markup | None
    """None where no shares are known."""
    rationale_tokens: Markup | None
    sums: tuple[tuple[str, float], ...]
    """(part, what its tokens add to the similarity)."""


def side_of(side: Mapping[str, Any]) -> Side:
    """Return a text of a side file as it is shown."""
    tokens = side.get("tokens")
    # Within a side: a long document has many small shares, and would otherwise look empty beside its query.
    largest = max((abs(share) for _, share, part in tokens or () if part != "x"), default=0.0)
    sums = tuple(
        (said, sum(share for _, share, part in tokens if part == letter))
        for letter, said in PARTS.items()
        if tokens and any(part == letter for _, _, part in tokens)
    )
    return Side(
        text=side["text"] + (" ..." if side["is_text_cut"] else ""),
        rationale=side["rationale"],
        is_cut=side["is_cut"],
        text_tokens=_coloured(tokens, "t", largest) if tokens else None,
        rationale_tokens=_coloured(tokens, "r", largest) if tokens else None,
        sums=sums,
    )


def _coloured(tokens: Sequence[Sequence[Any]], letter: str, largest: float) -> Markup:
    """Return the tokens of one part, those that add something marked by how much."""
    parts = []
    for piece, share, part in tokens:
        if part != letter:
            continue
        # Squared: states of a language model are all alike to some degree, and equal colours would say nothing.
        level = round(LEVELS * (share / largest) ** 2) if largest else 0
        if level == 0:
            parts.append(escape(piece))
        else:
            sign = "p" if share > 0 else "n"
            parts.append(Markup("<i class={}{} title={:+.4f}>{}</i>").format(sign, level, share, piece))
    return Markup("").join(parts)
