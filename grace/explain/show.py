"""An explanation on a terminal: the texts coloured by share, and every token with its number."""

from __future__ import annotations

import unicodedata
from typing import get_args

from rich.columns import Columns
from rich.console import Console, Group
from rich.padding import Padding
from rich.text import Text

from grace.explain.explain import Explanation, Side
from harness.encoders.explain.states import Part

PARTS: tuple[Part, ...] = get_args(Part)
SHADES = 4
"""Steps of colour between no share and the largest."""
GREENS = ("", *(f"black on #{colour}" for colour in ("d9f2d9", "a6dba6", "66bd66", "2e8b2e")))
REDS = ("", *(f"black on #{colour}" for colour in ("fbdede", "f4b0b0", "e47474", "c03a3a")))
GREENS_OF_16 = ("", "green", "green", "black on green", "black on green")
"""For terminals of 16 colours, where the shades above would all become one grey."""
REDS_OF_16 = ("", "red", "red", "black on red", "black on red")
JOINERS = "\u200c\u200d"
"""Invisible characters that belong to emoji and scripts; all other invisible ones are spelt out."""


def show(found: Explanation, console: Console) -> None:
    """Print an explanation; without colours (`NO_COLOR`, no terminal) the numbers say the same."""
    console.print(Text.assemble(("cosine ", "bold"), f"{found.cosine:.4f}   {found.candidate} ({found.kind})"))
    if found.prompt:
        console.print(f"prompt before both texts: {visible(found.prompt)}", markup=False, highlight=False)
    largest = max(abs(share) for side in (found.a, found.b) for _, _, share in side.spans())
    few = console.color_system in ("standard", "windows")
    for name, side in (("a", found.a), ("b", found.b)):
        console.print()
        console.print(_side(name, side, largest, few=few), highlight=False)


def _side(name: str, side: Side, largest: float, *, few: bool) -> Group:
    sums = side.by_part()
    total = " + ".join(f"{part} {share:.4f}" for part, share in sums.items())
    lines: list[Text | Padding] = [Text.assemble((name, "bold"), f"  {sum(sums.values()):.4f} = {total}")]
    for part in PARTS:
        if part in sums:
            lines.append(Padding(_running(part, side, largest, few=few), (0, 0, 0, 2)))
            lines.append(Padding(_numbers(part, side), (0, 0, 0, 4)))
    if side.rationale is not None and "rationale" not in sums:
        why = f"written, but not embedded: {visible(side.rationale)}" if side.rationale else "empty"
        lines.append(Padding(Text(f"rationale: {why}"), (0, 0, 0, 2)))
    if side.is_text_cut:
        lines.append(Padding(Text("the text was cut at the length limit", style="italic"), (0, 0, 0, 2)))
    if side.is_cut:
        lines.append(Padding(Text("the rationale was cut at its length limit", style="italic"), (0, 0, 0, 2)))
    return Group(*lines)


def _running(part: Part, side: Side, largest: float, *, few: bool) -> Text:
    """Return a part as running text, each token in its colour."""
    text = Text(f"{part}: ", style="bold" if part == "text" else "")
    for piece, own, share in side.spans():
        if own == part:
            style = shade(share, largest, few=few)
            text.append(visible(piece), style=style or ("dim" if part in ("header", "suffix") else "not bold"))
    return text


def _numbers(part: Part, side: Side) -> Columns:
    """Return a part's tokens with their shares, in columns."""
    cells = []
    for piece, own, share in side.spans():
        if own == part:
            number = Text(f"{share:+.4f} ", style="green" if share > 0 else "red" if share < 0 else "")
            cells.append(Text.assemble(number, visible(piece.strip(" ")) or "\u2423"))
    return Columns(cells, padding=(0, 2))


def shade(share: float, largest: float, *, few: bool = False) -> str:
    """Return the style of a share: green for, red against, paler the smaller against the largest; may be empty."""
    step = round(SHADES * abs(share) / largest) if largest else 0
    if few:
        return (GREENS_OF_16 if share > 0 else REDS_OF_16)[step]
    return (GREENS if share > 0 else REDS)[step]


def visible(text: str) -> str:
    """Return `text` with control, formatting and unassigned characters spelt out: none may steer a terminal."""
    return "".join(_spelt(character) for character in text)


def _spelt(character: str) -> str:
    if character in JOINERS or unicodedata.category(character)[0] != "C":
        return character if character not in "\u2028\u2029" else f"\\u{ord(character):04x}"
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character)
    code = ord(character)
    return short or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}")
