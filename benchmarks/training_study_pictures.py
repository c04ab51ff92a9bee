"""The training study's two pictures: what training did step by step, and what embedding score cost which loss."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.report.pictures.data import Whisker
from harness.report.pictures.files import BASELINE, INK, LINE, MARKERS, PALETTE, SOFT, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
SMOOTHED_STEPS = 5
CURVES_DPI = 100
FIRST = ("reward",)
LAST = ("info_nce", "kl", "entropy", "tokens_per_rationale", "truncated", "grad_norm")
TITLES = {
    "loss: grace": "loss, policy gradient (and its InfoNCE)",
    "loss": "loss, contrastive objectives",
    "info_nce": "InfoNCE, nats",
    "kl": "KL to the base, nats a token",
    "entropy": "entropy of a sampled token, nats",
    "tokens_per_rationale": "tokens a rationale",
    "truncated": "share of rationales cut",
    "grad_norm": "gradient norm",
}
BASE = "base"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One run, with or without rationale."""

    name: str
    x: Whisker
    """Loss in nats a token, to the base's."""
    y: Whisker
    """Embedding score in points."""
    has_rationale: bool


def draw(curves: Mapping[str, Sequence[Mapping[str, Any]]], points: Sequence[Point]) -> dict[str, bytes]:
    """Return file name -> content: `curves` and `trade-off`, each as svg and png; none where there is nothing to draw.

    Args:
        curves: run -> its rows of metrics.jsonl; the order gives colours and markers.
        points: runs between the two axes.
    """
    order = [name for name in (*curves, *(one.name for one in points)) if name != BASE]
    looks = {name: place for place, name in enumerate(dict.fromkeys(order))}
    made: dict[str, bytes] = {}
    if curves:
        made |= render("curves", lambda: _curves(curves, looks), dpi=CURVES_DPI)
        made["curves.png"] = _fewer_colours(made["curves.png"])
    if any(one.name != BASE for one in points):
        made |= render("trade-off", lambda: _trade_off(points, looks))
    return made


def _fewer_colours(png: bytes) -> bytes:
    """Return the picture with a palette: many thin lines would make a large file."""
    from PIL import Image  # matplotlib brings it

    buffer = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


# ---- curves


def _curves(curves: Mapping[str, Sequence[Mapping[str, Any]]], looks: Mapping[str, int]) -> Figure:
    from matplotlib.figure import Figure

    series = _series(curves)
    rows = -(-len(series) // COLUMNS)
    figure = Figure(figsize=(10.0, 0.9 + 2.0 * rows), layout="constrained")
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    for axes, (title, lines) in zip(grid.flat, series.items(), strict=False):
        for name, (steps, values) in lines.items():
            _line(axes, steps, values, looks[name])
        axes.set_title(title, fontsize=9, loc="left")
        axes.grid(visible=True, color=LINE, linewidth=0.6)
        axes.tick_params(labelsize=7, color=LINE)
    for axes in list(grid.flat)[len(series) :]:
        axes.set_visible(False)
    handles = [_handle(place) for place in looks.values()]
    figure.legend(handles, list(looks), frameon=False, loc="outside lower center", ncols=5, fontsize=8)
    note = f"against the optimiser step; thin: each step, thick: mean of the last {SMOOTHED_STEPS}"
    figure.suptitle(note, fontsize=8, color=SOFT, x=0.01, ha="left")
    return figure


def _series(
    curves: Mapping[str, Sequence[Mapping[str, Any]]],
) -> dict[str, dict[str, tuple[list[int], list[float]]]]:
    """Return title -> run -> (steps, values), panels in a fixed order."""
    keys = {key for rows in curves.values() for row in rows for key in row}
    terms = sorted(key for key in keys if key.startswith("reward_terms/") and not key.endswith("_std_in_group"))
    wanted = [*FIRST, *terms, "loss: grace", "loss", *LAST]
    found: dict[str, dict[str, tuple[list[int], list[float]]]] = {}
    for key in wanted:
        for name, rows in curves.items():
            is_policy = any("reward" in row for row in rows)
            if key.startswith("loss") and is_policy != key.endswith("grace"):
                continue
            own = [(row["step"], row[key.partition(":")[0]]) for row in rows if key.partition(":")[0] in row]
            if own:
                steps, values = zip(*own, strict=True)
                title = TITLES.get(key, key.replace("reward_terms/", "reward: ").replace("_", " ").replace("/", ", "))
                found.setdefault(title, {})[name] = list(steps), list(values)
    return found


def _line(axes: Axes, steps: list[int], values: list[float], place: int) -> None:
    colour, dashes = _look(place)
    axes.plot(steps, values, color=colour, linewidth=0.5, alpha=0.45)
    width = min(SMOOTHED_STEPS, len(values))
    mean = np.convolve(values, np.ones(width) / width, mode="valid")
    axes.plot(steps[width - 1 :], mean, color=colour, linestyle=dashes, linewidth=1.4)


def _handle(place: int) -> Any:
    from matplotlib.lines import Line2D

    colour, dashes = _look(place)
    return Line2D([], [], color=colour, linestyle=dashes, linewidth=1.4)


def _look(place: int) -> tuple[str, str]:
    """Return colour and line style; runs that share a colour differ in style."""
    return PALETTE[place % len(PALETTE)], ("-", "--", ":")[place // len(PALETTE) % 3]


# ---- what it cost


def _trade_off(points: Sequence[Point], looks: Mapping[str, int]) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(8.6, 5.0), layout="constrained")
    axes: Axes = figure.subplots()
    axes.grid(visible=True, color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.axvline(0, color=SOFT, linewidth=0.8, linestyle=":")
    axes.set_xlabel("loss of the language model, nats a token more than the base's (left is better)")
    axes.set_ylabel("STS-B validation, Spearman x 100 (up is better)")
    for name in dict.fromkeys(one.name for one in points):
        own = [one for one in points if one.name == name]
        axes.plot([one.x.value for one in own], [one.y.value for one in own], color=_colour(name, looks), linewidth=0.6)
        for one in own:
            _point(axes, one, looks)
    handles = [_marker(name, looks) for name in (BASE, *looks) if any(one.name == name for one in points)]
    handles += [
        Line2D([], [], marker="o", linestyle="", color=INK, label="filled: with rationale"),
        Line2D([], [], marker="o", linestyle="", color=INK, markerfacecolor="white", label="hollow: text alone"),
    ]
    axes.legend(handles=handles, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes.set_title("bars: 95 % intervals; the loss paired with the base's", fontsize=8, color=SOFT, loc="left")
    return figure


def _point(axes: Axes, one: Point, looks: Mapping[str, int]) -> None:
    (left, right), (low, high) = one.x.ends, one.y.ends
    colour = _colour(one.name, looks)
    axes.errorbar(
        [one.x.value],
        [one.y.value],
        xerr=[[one.x.value - left], [right - one.x.value]],
        yerr=[[one.y.value - low], [high - one.y.value]],
        fmt=_shape(one.name, looks),
        color=colour,
        markerfacecolor=colour if one.has_rationale else "white",
        elinewidth=0.8,
        markersize=6.5,
    )


def _marker(name: str, looks: Mapping[str, int]) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], marker=_shape(name, looks), linestyle="", color=_colour(name, looks), label=name)


def _colour(name: str, looks: Mapping[str, int]) -> str:
    return PALETTE[looks[name] % len(PALETTE)] if name in looks else BASELINE


def _shape(name: str, looks: Mapping[str, int]) -> str:
    """Return a marker; runs that share a colour differ in it."""
    if name not in looks:
        return "o"
    return MARKERS[(looks[name] + looks[name] // len(PALETTE)) % len(MARKERS)]
