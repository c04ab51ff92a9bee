"""What a plan will cost, from the catalogue's counts and a measured or stated pace: pure; imports no engine.

A text to embed costs a fixed share and a share a token: seconds = texts x a + tokens x b. For a rationale, a holds the
writing. A prompt of the ability axis costs its computed tokens, an answer its steps: seconds = batches x longest answer
x (c + rows x d). All are measured by `calibrate.py`, or stated. Embedding tokens are estimated from characters, so the
sum is an estimate: within a factor of 1.5 on the machine it was measured on (`benchmarks/plan_against_run.py`), not a
promise. Classifiers and k-means, in which no model is, are added by `harness.plan.scoring`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.candidates.candidate import Candidate
from harness.cost.ability import work_of
from harness.cost.pace import MEAN_CHARACTERS_PER_TOKEN, LanguagePace, Pace
from harness.cost.work import AbilityWork, Habits, batches_of, total
from harness.plan.cells import Cell, Plan, PlannedTask
from harness.plan.pieces import USUAL, Cutting, question_shards, text_shards
from harness.plan.scoring import scoring_seconds
from harness.suite.model_entries import CandidateSpec, RationaleSpec
from harness.tasks.catalogue import Counts

CELL_SECONDS = 1.5
"""Loading a small dataset, scoring and storing; what a cell costs beside the model."""
_NOTHING_MADE: dict[str, Any] = {
    "tokens_in": 0,
    "tokens_to_generate": 0,
    "tokens_to_generate_at_most": 0,
    "vector_bytes": 0,
    "shards": 0,
}
PART_SECONDS = 0.3
"""Opening the data of one more part of an ability task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCost:
    """What one cell will take; None where the catalogue or the pace says nothing."""

    items: int | None
    requests: int | None = None
    """Ability cells: likelihoods or answers asked of the model."""
    texts: int | None = None
    """Texts to encode, repeats included, training texts and limit taken into account."""
    unique_texts: int | None = None
    tokens_in: int | None = None
    """Tokens that go through the model: of the unique texts, prompts included; of ability prompts, shared beginnings
    once."""
    tokens_to_generate: int | None = None
    """Expected: rationales as long as when the pace was measured; answers as long as the examples', by the factor that
    was measured; 0 for encoders that generate nothing."""
    tokens_to_generate_at_most: int | None = None
    """Where every rationale and answer runs into its limit."""
    seconds: float | None = None
    scoring_seconds: float = 0.0
    """What of these no model is in: classifiers and k-means, on the processor."""
    vector_bytes: int | None = None
    """Vectors of the unique texts, as they are stored; 0 for ability cells."""
    shards: int | None = None
    """How many it is cut into, about; 0: it is one unit of work. None: unknown."""
    note: str | None = None
    """What is assumed, or why nothing is known."""


def cost_of(cell: Cell, pace: Pace | None, *, writes: int | None = 0, cutting: Cutting = USUAL) -> CellCost:
    """Return the estimate for one cell to run.

    Args:
        cell: of a plan.
        pace: of its model; None while unknown.
        writes: tokens of the rationale that the model writes about each text, at most (`writes_of`); None: unknown.
        cutting: how the model's cells are cut (`cuttings_of`).
    """
    if cell.state == "n/a":
        return CellCost(items=_items(cell), note=cell.reason)
    if cell.task.axis == "ability":
        return _ability_cost(cell, pace, cutting)
    counts = cell.task.counts()
    if counts is None:
        return CellCost(items=None, note="the catalogue has no counts of these splits or subsets")
    unique = counts.unique_texts + counts.training_texts
    prompt = sum(len(text) for text in cell.prompts.values() if text) / max(len(cell.prompts), 1)
    per_text = (counts.characters / max(counts.texts, 1) + prompt) / MEAN_CHARACTERS_PER_TOKEN + 2
    if pace and pace.max_text_tokens:
        per_text = min(per_text, pace.max_text_tokens)
    tokens = round(unique * per_text)
    scoring = scoring_seconds(cell.task, pace.dimension if pace else None)
    written = _written(pace, unique, tokens, writes)
    if written.get("seconds") is not None:
        written["seconds"] += scoring
    return CellCost(
        items=counts.items,
        texts=counts.encoded,
        unique_texts=unique,
        tokens_in=tokens,
        vector_bytes=unique * pace.dimension * cutting.number_bytes if pace and pace.dimension else None,
        shards=text_shards(cell.task, cutting, writes),
        scoring_seconds=scoring,
        **written,
    )


def shared(costs: Sequence[tuple[Cell, CellCost]], *, to_run: Callable[[Cell], bool]) -> list[CellCost]:
    """Return the costs with the vectors of all sizes of a model counted once: at the first of its cells to run.

    Args:
        costs: of all cells, in the order of the plan.
        to_run: whether a cell has no score yet.
    """
    paid: set[tuple[str, str]] = set()
    found = []
    for cell, cost in costs:
        place = cell.encoder, cell.task.label
        is_made = place in paid and cost.tokens_in is not None
        if cell.size is not None and to_run(cell):
            paid.add(place)
        found.append(_of_a_size(cell, cost) if is_made else cost)
    return found


def _of_a_size(cell: Cell, cost: CellCost) -> CellCost:
    seconds = None if cost.seconds is None else CELL_SECONDS
    return replace(cost, **_NOTHING_MADE, seconds=seconds, note=f"cut from the vectors of {cell.encoder}")


def _items(cell: Cell) -> int | None:
    counts = cell.task.counts()
    return None if counts is None else counts.items


def _written(pace: Pace | None, unique: int, tokens: int, writes: int | None) -> dict[str, Any]:
    """Return what depends on the rationales: tokens to generate, seconds, note."""
    if writes is None:
        return {"note": "not trained yet: whether it writes rationales is not known"}
    measured = pace.generated_per_text if pace else None
    return {
        "tokens_to_generate": round(unique * (writes if measured is None else measured)) if writes else 0,
        "tokens_to_generate_at_most": unique * writes,
        "seconds": _embedding_seconds(pace, unique, tokens, writes) if pace else None,
        "note": "rationales are taken to be as long as they may be" if writes and measured is None else None,
    }


def writes_of(plan: Plan) -> dict[str, int | None]:
    """Return model -> tokens it writes about each text at most; None for a candidate that is not trained yet."""
    specs = {spec.name: spec for spec in plan.suite.models}
    found: dict[str, int | None] = {}
    for candidate in plan.candidates:
        spec = candidate.spec if isinstance(candidate, Candidate) else specs[candidate.name]
        if isinstance(spec, CandidateSpec):
            found[candidate.name] = None
        else:
            found[candidate.name] = spec.writes if isinstance(spec, RationaleSpec) else 0
    return found


def _embedding_seconds(pace: Pace, unique: int, tokens: int, writes: int) -> float | None:
    seconds = unique * pace.seconds_per_text + tokens * pace.seconds_per_token + CELL_SECONDS
    if not writes or pace.generated_per_text is not None:
        return seconds
    own = pace.language.seconds_per_generated_token if pace.language else None
    return None if own is None else seconds + unique * writes * own


def _ability_cost(cell: Cell, pace: Pace | None, cutting: Cutting) -> CellCost:
    language = pace.language if pace else None
    work = work_of(cell.task, language.habits if language else Habits())
    if not work.piles:
        return CellCost(items=_items(cell), note=work.note)
    items = round(total(work.piles, "items"))
    return CellCost(
        items=items,
        requests=round(total(work.piles, "requests")),
        tokens_in=round(total(work.piles, "tokens_in")),
        tokens_to_generate=round(total(work.piles, "to_generate")),
        tokens_to_generate_at_most=sum(pile.items * pile.repeats * pile.most for pile in work.piles),
        seconds=_ability_seconds(work, language) if language else None,
        vector_bytes=0,
        shards=question_shards(cell.task, cutting, items),
        note=work.note,
    )


def _ability_seconds(work: AbilityWork, pace: LanguagePace) -> float | None:
    seconds = CELL_SECONDS + PART_SECONDS * len(work.piles)
    seconds += total(work.piles, "tokens_in") * pace.seconds_per_prompt_token
    for pile in work.piles:
        if not pile.most:
            continue
        if pace.seconds_per_generated_token is None:
            return None
        batches, rows = batches_of(pile, pace.batch_tokens)
        # a batch goes on until its last row is done; a stated pace knows no steps, and has them in its tokens
        steps = pile.longest_answer if pace.seconds_per_step else pile.answer
        seconds += batches * steps * (pace.seconds_per_step + rows * pace.seconds_per_generated_token)
    return seconds


def estimated_tokens(tasks: Sequence[PlannedTask]) -> int:
    """Return the estimated tokens, in and to generate, of all tasks with known sizes: of one stock language model."""
    counts = [found for task in tasks if task.axis == "embedding" and (found := task.counts()) is not None]
    embedding = sum(_unique_characters(one) for one in counts) / MEAN_CHARACTERS_PER_TOKEN
    works = [work_of(task, Habits()) for task in tasks if task.axis == "ability"]
    ability = sum(total(work.piles, "tokens_in") + total(work.piles, "to_generate") for work in works)
    return round(embedding + ability)


def _unique_characters(counts: Counts) -> float:
    return counts.characters * counts.unique_texts / max(counts.texts, 1)
