"""What the scores cost, from the provenance of the cells; the clock is kept out of report.md and the CSV files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.report.sections.section import Link, Report
from harness.results.facts import HardwareFacts, facts_of, machines
from harness.results.records import Score
from harness.summary.views import Summary

LINK = Link("cost", "Cost", is_always_there=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the cells of one model took, as they were run: cached vectors cost nothing the second time."""

    model: str
    cells: int
    texts: int
    """Distinct texts of each call, summed."""
    tokens: int
    """Through the model, rationales included; 0 where the encoder cannot count them."""
    rationale_tokens: int
    """Tokens of the rationales embedded, written in these cells or read from the cache."""
    encode_seconds: float
    total_seconds: float
    """Loading and evaluation, of all cells."""
    peak_memory_bytes: int | None
    """The most the process had held by the end of any of its cells, on host or device."""
    parameters: int | None
    hardware: tuple[str, ...]
    """Distinct processors or GPUs, with the threads used."""

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens over encoding seconds, None where either is not known."""
        return self.tokens / self.encode_seconds if self.tokens and self.encode_seconds > 0 else None


def markdown(_report: Report) -> str:
    """Return nothing: report.md holds what the same results give again, and the clock does not."""
    return ""


def page(report: Report) -> dict[str, Any]:
    """Return the costs."""
    return {"costs": costs(report.summary)}


def costs(summary: Summary) -> list[Cost]:
    """Return a line a model with any score, in the order of the suite."""
    found = []
    for model in summary.models:
        scores = [view.score for (name, _), view in summary.cells.items() if name == model and view.score]
        if scores:
            found.append(_cost(model, scores))
    return found


def _cost(model: str, scores: list[Score]) -> Cost:
    facts = [facts_of(score) for score in scores]
    counts, seconds = [one.counts for one in facts], [one.seconds for one in facts]
    peaks = [max(one.peak_memory_bytes.values()) for one in facts if one.peak_memory_bytes]
    parameters = [one.encoder.get("parameters") for one in facts]
    return Cost(
        model=model,
        cells=len(scores),
        texts=int(sum(one.get("unique_texts", 0) for one in counts)),
        tokens=int(sum(one.get("tokens", 0) for one in counts)),
        rationale_tokens=int(sum(one.rationales.get("tokens_generated", 0) for one in facts)),
        encode_seconds=sum(one.get("encode", 0.0) for one in seconds),
        total_seconds=sum(one.get("load_model", 0.0) + one.get("evaluate", 0.0) for one in seconds),
        peak_memory_bytes=max(peaks) if peaks else None,
        parameters=next((one for one in parameters if one), None),
        hardware=tuple(dict.fromkeys(_hardware(one) for cell in facts for one in machines(cell))),
    )


def _hardware(found: HardwareFacts) -> str:
    where = ", ".join(found.get("gpus") or ()) or str(found.get("processor"))
    return f"{where}, {found.get('threads')} thread(s)"
