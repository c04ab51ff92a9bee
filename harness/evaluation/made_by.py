"""What a shard hangs on of its candidate: what is the same for all tasks."""

from __future__ import annotations

from typing import Any

from harness.candidates.candidate import Candidate
from harness.environment import versions

LIBRARIES = ("torch", "transformers", "tokenizers", "peft", "sentence-transformers", "numpy")
"""Another version of one of them may move a last digit: its shards are others."""


def maker_of(candidate: Candidate, seed: int) -> dict[str, Any]:
    """Return all of a candidate that can change a whole vector, prompts apart: `seed` where it draws random numbers.

    All sizes of its vectors have one maker: they are cut from what is made once.
    """
    installed = versions()
    return {
        "identity": candidate.whole().identity(),
        "seed": seed + candidate.seed_index if candidate.draws_random_numbers else None,
        "versions": {name: installed.get(name, "absent") for name in LIBRARIES},
    }
