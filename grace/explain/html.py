"""An explanation as one HTML file: no script, no other file, everything of the user's escaped."""

from __future__ import annotations

from html import escape
from typing import get_args

from grace.explain.explain import Explanation, Side
from grace.explain.show import visible
from harness.encoders.explain.states import Part

PARTS: tuple[Part, ...] = get_args(Part)
FOR, AGAINST = "46,139,46", "192,58,58"
STYLE = """
body{font:16px/1.6 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}
.cosine{font-size:1.4rem}.meta,.sums{color:#444}
.part{margin:.6rem 0;padding-left:.8rem;border-left:.25rem solid #bbb;white-space:pre-wrap;overflow-wrap:anywhere}
.rationale{border-color:#4a6fa5}.header,.suffix{border-color:#ddd;color:#555;font-size:.85em}.part b{font-weight:600}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.1rem .8rem;text-align:left}
td:last-child{text-align:right}code{white-space:pre-wrap}
@media(max-width:40rem){body{margin:1rem auto}}
"""


def to_html(found: Explanation) -> str:
    """Return the page: both texts and rationales coloured by share, and a table of every token's share."""
    largest = max(abs(share) for side in (found.a, found.b) for _, _, share in side.spans())
    prompt = f"<p class=meta>Prompt before both texts: <code>{_safe(found.prompt)}</code></p>" if found.prompt else ""
    sides = "".join(_side(name, side, largest) for name, side in (("a", found.a), ("b", found.b)))
    return (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        f"<title>cosine {found.cosine:.4f}</title><style>{STYLE}</style></head><body>\n"
        f"<h1 class=cosine>cosine {found.cosine:.4f}</h1>\n"
        f"<p class=meta>{_safe(found.candidate)} ({_safe(found.kind)}, {_safe(found.fingerprint[:12])}, seed "
        f"{found.seed}). Each token&rsquo;s share is what it adds to the cosine; a side&rsquo;s shares add up to it. "
        f"Green adds, red takes away.</p>\n{prompt}{sides}</body></html>\n"
    )


def _side(name: str, side: Side, largest: float) -> str:
    sums = side.by_part()
    total = " + ".join(f"{part} {share:.4f}" for part, share in sums.items())
    parts = "".join(_part(part, side, largest) for part in PARTS if part in sums)
    rest = ""
    if side.rationale is not None and "rationale" not in sums:
        rest = f"<p class=meta>Rationale, not embedded: {_safe(side.rationale) or 'empty'}</p>\n"
    cut = "<p class=meta>The text was cut at the length limit.</p>\n" if side.is_text_cut else ""
    cut += "<p class=meta>The rationale was cut at its length limit.</p>\n" if side.is_cut else ""
    return (
        f"<h2>{name}</h2>\n<p class=sums>{sum(sums.values()):.4f} = {total}</p>\n{parts}{rest}{cut}"
        f"<details><summary>Every token</summary><table><tr><th>part</th><th>token</th><th>share</th></tr>\n"
        f"{_rows(side)}</table></details>\n"
    )


def _part(part: Part, side: Side, largest: float) -> str:
    spans = []
    for piece, own, share in side.spans():
        if own == part:
            strength = round(0.75 * abs(share) / largest, 3) if largest else 0
            colour = FOR if share > 0 else AGAINST
            style = f"background:rgba({colour},{strength})"
            spans.append(f'<span style="{style}" title="{share:+.6f}">{_safe(piece, lines=True)}</span>')
    return f"<div class='part {part}' dir=auto><b>{part}</b> {''.join(spans)}</div>\n"


def _rows(side: Side) -> str:
    rows = (
        f"<tr><td>{token.part}</td><td><code>{_safe(token.piece) or f'(part of a character, id {token.id})'}</code>"
        f"</td><td>{token.share:+.6f}</td></tr>\n"
        for token in side.tokens
    )
    return "".join(rows)


def _safe(text: str, *, lines: bool = False) -> str:
    """Return `text` for HTML, its invisible characters spelt out; line ends stay where `lines` says so."""
    spelt = "\n".join(visible(line) for line in text.split("\n")) if lines else visible(text)
    return escape(spelt, quote=True)
