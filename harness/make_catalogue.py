"""Write `catalogue.json` from the installed engines: `python -m harness.make_catalogue`; no network is needed."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.backends import mteb_catalogue

# lm-eval ships no item counts: these are the official sizes of the test data (MMLU: 57 subjects; BBH: 27 subtasks).
ABILITY: dict[str, dict[str, Any]] = {
    "gsm8k": {"type": "Mathematics", "main_score": "exact_match", "dataset": "openai/gsm8k", "items": 1319},
    "mmlu": {"type": "Knowledge", "main_score": "acc", "dataset": "cais/mmlu", "items": 14042},
    "bbh": {"type": "Reasoning", "main_score": "exact_match", "dataset": "SaylorTwift/bbh", "items": 6511},
    "triviaqa": {"type": "Recall", "main_score": "exact_match", "dataset": "trivia_qa", "items": 17944},
    "fever": {"type": "Verification", "main_score": "acc", "dataset": "fever/fever", "items": 9999},
    "humaneval": {"type": "Code", "main_score": "pass@1", "dataset": "openai/openai_humaneval", "items": 164},
}


def build() -> dict[str, Any]:
    """Return the whole catalogue as JSON: the embedding axis from mteb, the ability axis from the table above."""
    ability = {
        name: {
            "type": row["type"],
            "main_score": row["main_score"],
            "splits": ["test"],
            "subsets": {"default": ["eng-Latn"]},
            "dataset": row["dataset"],
            "revision": None,
            "counts": {"test": {"default": [row["items"], row["items"], row["items"], 0, 0]}},
        }
        for name, row in ABILITY.items()
    }
    return {"embedding": mteb_catalogue.build(), "ability": {"version": version("lm-eval"), "tasks": ability}}


def main() -> None:
    """Replace the package's `catalogue.json`."""
    target = Path(__file__).with_name("catalogue.json")
    target.write_text(json.dumps(build(), ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
