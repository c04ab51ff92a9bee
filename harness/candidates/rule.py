"""Under which rule a model stands, in words: what answers, what embeds, who writes, and what that costs; pure."""

from __future__ import annotations

from collections.abc import Iterator

from harness.candidates.candidate import Candidate
from harness.suite.model_entries import BASE_WRITER

ANSWERS_AS_BASE = "answers with the adapter off: the base itself"


AGAIN = "text and rationale are read once more for the vector, since keys and values are not shared"


def rule_of(candidate: Candidate | None) -> str | None:
    """Return `merged` or `switched`; None of a model without an adapter, or of one that is not there."""
    return None if candidate is None else candidate.serving


def rules_said(candidate: Candidate | None) -> Iterator[str]:
    """Yield a sentence for each thing that must be known of how a model is served; none for one set of weights."""
    if candidate is None:
        return
    if candidate.serving == "merged":
        yield "merged: one set of weights, the adapter on, embeds and answers"
    elif candidate.serving == "switched":
        yield f"switched: {ANSWERS_AS_BASE}; the price: the adapter is kept apart, and {_again(candidate)}"
    if candidate.adapter_scale != 1.0:
        yield f"adapter_scale {candidate.adapter_scale:g}: the weights are W + {candidate.adapter_scale:g} x BA"
    if suffix := getattr(candidate.spec, "suffix", None):
        yield f"behind every text {suffix!r} is read, and takes part in the vector; answers are given without it"
    if fixed := getattr(candidate.spec, "fixed_rationale", None):
        yield f"in the place of every rationale {fixed!r} is read; nothing is written; answers are given without it"
    if candidate.writer is not None:
        yield f"its rationales are written by {writer_said(candidate.writer)}; the price: {AGAIN}"


def writer_said(writer: Candidate) -> str:
    """Return who writes for a model, and how, for people."""
    spec = writer.spec
    settings = spec.model_dump().get("generation", {})
    heat = settings.get("temperature", 0)
    how = f"{settings.get('max_new_tokens')} tokens at most, {'greedy' if not heat else f'temperature {heat:g}'}"
    whose = "its base, the same weights without the adapter" if writer.name == BASE_WRITER else f"{writer.name!r}"
    return f"{whose} ({how})"


def _again(candidate: Candidate) -> str:
    is_written = "generation" in type(candidate.spec).model_fields
    return AGAIN if is_written else AGAIN.replace("text and rationale are", "a text is")
