"""Pace, LanguagePace: how fast a model is on this machine."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.cost.work import Habits

MEAN_CHARACTERS_PER_TOKEN = 4.2
"""What an embedding task's tokens are estimated by, when a pace is measured as when it is used: English with the
tokenizers of MiniLM (4.1 on the demo data) and SmolLM2 (4.4). A mean, and no bound for a single text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguagePace:
    """How fast a model reads prompts and writes answers; reading and writing differ several times over."""

    seconds_per_prompt_token: float
    seconds_per_step: float
    """Of writing one token in every row of a batch: what a step costs whatever the rows."""
    seconds_per_generated_token: float | None
    """And what each row adds; None: not stated."""
    batch_tokens: int
    """Padded tokens a batch, prompts and answers together."""
    habits: Habits = field(default_factory=Habits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a model works on this machine."""

    seconds_per_text: float
    """To embed it; writing its rationale included where `generated_per_text` is known."""
    seconds_per_token: float
    load_seconds: float
    dimension: int | None
    """Of its vectors; None while unknown."""
    max_text_tokens: int | None
    """Longer texts are cut; None: no limit known."""
    source: str
    """measured (and when, on what), or stated."""
    generated_per_text: float | None = None
    """Tokens of a rationale as measured; None for encoders that write none, and where the pace is stated."""
    language: LanguagePace | None = None
    """On the ability axis; None for encoders without a language model."""
