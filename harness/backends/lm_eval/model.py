"""lm-eval's HFLM over a model in memory: prefixes shared, rows stopped one by one, gold answers scored on the way.

What it changes against `lm_eval/models/huggingface.py` (0.4.13), and what it must not change, the answers:
1. Rows that begin alike (few-shot examples) share one forward pass over the beginning.
2. Logits are computed where a continuation is scored only, not for every position of the prompt.
3. A generated row ends at its own first stop string; HFLM goes on until one and the same string ended every row.
4. The prompt's keys and values also score the gold answer, so that the continuous measure costs the answer alone.
5. How many tokens were generated, and whether the limit cut them, is kept.
One thing does change answers: what a tokenizer puts behind a text (Qwen3-Embedding) is left out. HFLM has it between
prompt and answer, in the place of the answer's first token.
"""

from __future__ import annotations

from typing import Any

from harness.backends.lm_eval.generation import generate
from harness.backends.lm_eval.scoring import SharedPrefixScorer


class SharedPrefixLM(SharedPrefixScorer):
    """What lm-eval is given: the scorer, which can also write."""

    def generate_until(self, requests: list[Any], disable_tqdm: bool = True) -> list[str]:  # noqa: ARG002
        """Return the answer to each request, cut before its first stop string, as HFLM does."""
        self.questions.expect(requests)
        return generate(self, requests)
