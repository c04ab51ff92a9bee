"""Score against price: what `harness price` measured of the models shown, a row a machine, and the frontier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.numbers import NOT_THERE, points
from harness.report.pictures.against import against
from harness.report.pictures.data import Mark, Scatter
from harness.report.pictures.files import FOLDER
from harness.report.sections.section import Link, Report
from harness.report.tables import table
from harness.results.prices import Price, prices_in
from harness.results.store import Store
from harness.summary.views import Summary

LINK = Link("price", "Price", is_always_there=False)
PICTURE = "price"
PICTURE_SIZES = {"wide": (1180, 420), "middle": (760, 400), "narrow": (340, 360)}
HEADER = (
    "model", "mean over tasks", "query p50, ms", "query p95, ms", "documents/s", "tokens/s", "tokens a document",
    "peak memory, MB", "bytes a vector", "on",
)  # fmt: skip
LEGEND = (
    "Measured by `harness price`, apart from the cells and part of no key: queries one a call, documents in one call. "
    "A price holds for its machine, threads, dtype and versions; sizes of one model's vectors are made at one price. "
    "Bytes are of the whole vector."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """A model with what it costs on one machine."""

    model: str
    mean: float | None
    """Over the common embedding tasks, in points."""
    price: Price


def markdown(report: Report) -> str:
    """Return the table, the legend and the picture; empty where nothing was measured of the models shown."""
    found = priced(report.summary, report.store)
    if not found:
        return ""
    parts = ["## Price", table(HEADER, [_cells(one) for one in found]), LEGEND]
    if f"{PICTURE}.png" in report.pictures:
        parts.append(f"![Score against the latency of a query]({FOLDER}/{PICTURE}.png)")
    return "\n\n".join(parts)


def page(report: Report) -> dict[str, Any]:
    """Return the table and the picture for each width."""
    found, drawn = priced(report.summary, report.store), scatter(report.summary, report.store)
    pictures = {} if drawn is None else {
        name: against(drawn, width=width, height=height) for name, (width, height) in PICTURE_SIZES.items()
    }  # fmt: skip
    return {
        "price_header": HEADER,
        "price_rows": [_cells(one) for one in found],
        "price_legend": LEGEND.replace("`", ""),
        "price_pictures": pictures,
    }


def priced(summary: Summary, store: Store | None) -> list[Priced]:
    """Return every model shown whose vectors are whole, with each of its prices; in the order of the suite."""
    if store is None:
        return []
    stored = prices_in(store)
    means = next((one.over_tasks for one in summary.axes if one.axis == "embedding"), {})
    return [
        Priced(model=model, mean=means[model].value if model in means else None, price=one)
        for model in summary.models
        if (candidate := summary.candidates.get(model)) is not None
        and (candidate.size is None or candidate.size.is_whole)
        for one in stored
        if one.fingerprint == candidate.whole().fingerprint()
    ]


def scatter(summary: Summary, store: Store | None) -> Scatter | None:
    """Return the scores against the latency of a query, on the machine with most models; None under two of them."""
    found = [one for one in priced(summary, store) if one.mean is not None]
    machines = [one.price.where for one in found]
    if not machines:
        return None
    machine = max(dict.fromkeys(machines), key=machines.count)
    marks = tuple(
        Mark(
            name=one.model,
            index=summary.models.index(one.model),
            series=one.model,
            line=one.model,
            cost=one.price.query_p50_ms,
            score=one.mean,
        )
        for one in {one.model: one for one in found if one.price.where == machine}.values()
        if one.mean is not None
    )
    return Scatter(cost=f"ms a query (p50, {machine})", score="mean, points", marks=marks) if len(marks) > 1 else None


def as_text(found: Sequence[Price]) -> str:
    """Return prices as lines for the terminal, a block a model."""
    blocks = []
    for one in found:
        peak = ", ".join(f"{size / 1e6:,.0f} MB ({where})" for where, size in one.peak_memory_bytes.items())
        tokens = f"{one.query_tokens:.1f} a query, {one.document_tokens:.1f} a document"
        tokens = tokens if one.query_tokens else "not counted by this encoder"
        latency = f"p50 {one.query_p50_ms:.2f} ms, p95 {one.query_p95_ms:.2f} ms"
        speed = f", {one.tokens_per_second:,.0f} tokens/s" if one.tokens_per_second else ""
        blocks.append(
            f"{one.model}\n"
            f"  query      {latency} at batch 1 ({one.queries} queries)\n"
            f"  documents  {one.documents_per_second:,.1f} documents/s{speed} ({one.documents} documents)\n"
            f"  tokens     {tokens}\n"
            f"  memory     peak {peak}; loaded in {one.load_seconds:.1f} s\n"
            f"  vector     {one.dimension} dimensions, {one.vector_bytes:,} bytes\n"
            f"  on         {one.where}, {one.device}, {one.dtype}"
        )
    return "\n".join(blocks)


def _cells(one: Priced) -> list[str]:
    price = one.price
    return [
        one.model,
        points(one.mean),
        f"{price.query_p50_ms:.2f}",
        f"{price.query_p95_ms:.2f}",
        f"{price.documents_per_second:,.1f}",
        f"{price.tokens_per_second:,.0f}" if price.tokens_per_second else NOT_THERE,
        f"{price.document_tokens:.1f}" if price.document_tokens else NOT_THERE,
        f"{max(price.peak_memory_bytes.values()) / 1e6:,.0f}",
        f"{price.vector_bytes:,}",
        f"{price.where}, {price.dtype}",
    ]
