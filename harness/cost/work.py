"""Pile, AbilityWork, Habits: what one part of an ability task asks of a model, in tokens; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.backends.lm_eval.prefixes import LEAST_SHARED_TOKENS
from harness.cost.prompt_facts import PromptFacts
from harness.plan.asked import AskedWith


@dataclass(frozen=True, slots=True, kw_only=True)
class Pile:
    """The work of one part."""

    items: int
    requests: float
    tokens_in: float
    """Computed, gold answers included."""
    row_tokens: float
    """Length of a whole row: what the batches are cut by."""
    answer: float
    """Expected tokens of an answer; 0 where nothing is generated."""
    longest_answer: float
    """Expected of the longest of a batch."""
    most: int
    """Tokens of an answer at most."""
    repeats: int = 1
    """Answers to each item."""

    @property
    def to_generate(self) -> float:
        """Expected over all items."""
        return self.items * self.repeats * self.answer


@dataclass(frozen=True, slots=True, kw_only=True)
class AbilityWork:
    """A cell's work, part by part, and what had to be assumed."""

    piles: tuple[Pile, ...]
    note: str | None
    """What is assumed or unknown; with no piles, why nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What of a cell's work depends on its model."""

    context: int | None = None
    """Tokens it can read; None: no limit known."""
    answer_factor: float = 1.0
    """Length of its answers by that of the examples'."""
    long_answer_factor: float = 1.0
    """The same of the 95th percentiles."""


def pile_of(facts: PromptFacts, items: int, asked: AskedWith, habits: Habits) -> Pile:
    """Return the work of one part.

    Args:
        facts: lengths of its prompts.
        items: how many are asked.
        asked: how: its examples, the limit of an answer and the number of answers count.
        habits: of the model; prompts longer than it can read are cut on the left and share nothing.
    """
    most = asked.max_gen_toks or 0
    generates = facts.answer > 0
    before = facts.lead + asked.num_fewshot * facts.example
    shared = before if facts.fixed else facts.lead
    whole = before + facts.question + facts.options / max(facts.rows, 1)
    room = math.inf if habits.context is None else habits.context - (most if generates else 0)
    if whole > room:
        computed = items * facts.rows * max(room, 0.0)
    else:
        computed = _computed(facts, items, before=before, shared=shared)
    return Pile(
        items=items,
        requests=items * facts.requests * asked.repeats,
        tokens_in=computed * asked.repeats + items * facts.gold,
        row_tokens=min(whole, room),
        answer=min(facts.answer * habits.answer_factor, most) if generates else 0.0,
        longest_answer=min(facts.long_answer * habits.long_answer_factor, most) if generates else 0.0,
        most=most if generates else 0,
        repeats=asked.repeats,
    )


def _computed(facts: PromptFacts, items: int, *, before: float, shared: float) -> float:
    """Return the tokens of the rows that go through the model once beginnings are shared."""
    if items > 1 and shared >= LEAST_SHARED_TOKENS:
        return shared + items * (facts.rows * (before - shared + facts.question) + facts.options)
    own = before + facts.question  # only the rows of one item begin alike
    times = 1.0 if facts.rows > 1 and own >= LEAST_SHARED_TOKENS else facts.rows
    return items * (times * own + facts.options)


def batches_of(pile: Pile, batch_tokens: int) -> tuple[int, float]:
    """Return (batches, rows a batch) of generated answers, as batches are cut by prompt and limit together."""
    answers = pile.items * pile.repeats
    rows = max(1, min(answers, int(batch_tokens // max(pile.row_tokens + pile.most, 1))))
    return math.ceil(answers / rows), answers / math.ceil(answers / rows)


def total(piles: Sequence[Pile], what: str) -> float:
    """Return the sum of one column."""
    return float(sum(getattr(one, what) for one in piles))
