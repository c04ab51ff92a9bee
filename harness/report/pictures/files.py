"""The report's two pictures as SVG and PNG files, for README files, slides and papers; matplotlib, no display.

The same report gives the same bytes with the same matplotlib: no date, a fixed salt for ids, matplotlib's own font.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from harness.report.pictures.data import Panel, Point, Whisker

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FOLDER = "pictures"
PALETTE = ("#2a66d9", "#c2560b", "#0b7d72", "#8440d0", "#c02b76", "#62700c", "#8b5526", "#2b7fa8")
BASELINE = "#6a7381"
INK, SOFT, LINE = "#1c2230", "#565f6e", "#dfe2e6"
MARKERS = "os^D"
DPI = 144
_SETTINGS: dict[str, Any] = {
    "svg.hashsalt": "encoder-verdict",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.parse_math": False,  # a name is a name, dollar signs and all
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(points: Sequence[Point], panels: Sequence[Panel], baseline: str | None) -> dict[str, bytes]:
    """Return file name -> content: `trade-off` and `types`, each as svg and png; none where there is nothing to draw.

    Args:
        points: models between the two axes, as `sections.trade_off` gives them.
        panels: bars by type, as `sections.types` gives them.
        baseline: what the differences are to.
    """
    made: dict[str, bytes] = {}
    if baseline is not None and any(not one.is_baseline for one in points):
        made |= render("trade-off", lambda: _trade_off(points, baseline))
    if panels:
        made |= render("types", lambda: _types(panels))
    return made


def render(name: str, make: Callable[[], Figure], *, dpi: int = DPI) -> dict[str, bytes]:
    """Return `name`.svg and `name`.png (`dpi` dots an inch) of the figure that `make` returns."""
    from matplotlib import rc_context

    with rc_context(_SETTINGS):
        return _files(name, make(), dpi)


def markdown_section(names: Sequence[str], *, has_ability_change: bool) -> str:
    """Return the lines of `report.md` that show the pictures, by relative links.

    Args:
        names: files that were drawn.
        has_ability_change: whether the trade-off shows what models lost, or their gain alone.
    """
    against = " against change in general ability" if has_ability_change else ""
    said = {
        "trade-off.png": f"Embedding gain{against}, 95% intervals",
        "types.png": "Mean by type, 95% intervals",
    }
    links = [f"![{text}]({FOLDER}/{name})" for name, text in said.items() if name in names]
    return "\n\n".join(["## Pictures", *links]) if links else ""


def _files(name: str, figure: Figure, dpi: int) -> dict[str, bytes]:
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # placed once for both formats
    files = {}
    for suffix, metadata in (("svg", {"Date": None, "Creator": None}), ("png", {"Software": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, dpi=dpi, metadata=metadata)
        files[f"{name}.{suffix}"] = buffer.getvalue()
    return files


def _trade_off(points: Sequence[Point], baseline: str) -> Figure:
    from matplotlib.figure import Figure

    measured = any(one.y is not None and not one.is_baseline for one in points)
    shown = [one for one in points if measured or not one.is_baseline]
    figure = Figure(figsize=(7.2, 4.4 if measured else 1.1 + 0.32 * len(shown)), layout="constrained")
    axes: Axes = figure.subplots()
    axes.axvline(0, color=SOFT, linewidth=0.8)
    axes.grid(visible=True, color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(f"embedding, points to {baseline}")
    if measured:
        axes.axhline(0, color=SOFT, linewidth=0.8)
        axes.set_ylabel("general ability, points")
        for one in shown:
            if one.y is not None:
                _point(axes, one, one.x, one.y)
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles, labels, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    else:
        for row, one in enumerate(shown):
            _point(axes, one, one.x, Whisker(value=-float(row)))
        axes.set_yticks([-float(row) for row in range(len(shown))], [one.label for one in shown])
        axes.set_ylim(-len(shown) + 0.4, 0.6)
    absent = [one.label for one in shown if one.y is None]
    if measured and absent:
        axes.set_title(f"without ability scores: {', '.join(absent)}", fontsize=8, color=SOFT, loc="left")
    return figure


def _point(axes: Axes, one: Point, x: Whisker, y: Whisker) -> None:
    (left, right), (low, high) = x.ends, y.ends
    axes.errorbar(
        [x.value],
        [y.value],
        xerr=[[x.value - left], [right - x.value]],
        yerr=[[y.value - low], [high - y.value]] if y.low is not None else None,
        fmt="o" if one.is_baseline else MARKERS[one.index % len(MARKERS)],
        color=_colour(one.index, is_baseline=one.is_baseline),
        elinewidth=1.2,
        markersize=6,
        label=f"{one.label} (baseline)" if one.is_baseline else one.label,
    )


def _types(panels: Sequence[Panel]) -> Figure:
    from matplotlib.figure import Figure

    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    bars = max(len(panel.bars) for panel in panels)
    figure = Figure(figsize=(3.1 * columns + 0.6, rows * (0.75 + 0.2 * bars)), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for place, axes in enumerate(grid.flat):
        if place >= len(panels):
            axes.set_visible(False)
            continue
        _panel(axes, panels[place])
        axes.set_ylim(0.5 - bars, 0.5)  # bars of one height in all panels
    return figure


def _panel(axes: Axes, panel: Panel) -> None:
    for row, bar in enumerate(panel.bars):
        reach = bar.reach
        axes.barh(
            -row,
            bar.value,
            height=0.72,
            color="white" if bar.is_published else _colour(bar.index, is_baseline=bar.is_baseline),
            edgecolor=_colour(bar.index, is_baseline=False) if bar.is_published else None,
            hatch="////" if bar.is_published else None,
            xerr=None if reach is None else [reach],
            ecolor=INK,
            error_kw={"elinewidth": 1},
        )
    axes.axvline(0, color=SOFT, linewidth=0.8)
    axes.set_yticks([-row for row in range(len(panel.bars))], [bar.model for bar in panel.bars])
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.tick_params(axis="x", labelsize=7, color=LINE)
    axes.set_title(f"{panel.type} ({panel.n})", fontsize=9, loc="left")


def _colour(index: int, *, is_baseline: bool) -> str:
    return BASELINE if is_baseline else PALETTE[index % len(PALETTE)]
