"""What an adapter's own configuration says of its kind: can its change of the weights be scaled?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ADAPTER_CONFIG = "adapter_config.json"
NOT_A_DELTA = {
    "use_dora": "DoRA also scales whole rows of the weights",
    "modules_to_save": "modules_to_save replaces whole modules",
    "trainable_token_indices": "trainable_token_indices replaces rows of the embedding",
    "alora_invocation_tokens": "an activated LoRA acts behind some tokens alone",
    "arrow_config": "arrow mixes several adapters",
    "kasa_config": "KaSA changes the base too",
    "monteclora_config": "MonteCLoRA draws its change at random",
}
"""Settings of a LoRA with which it is not W + s BA -> why."""


def read_adapter_config(folder: Path) -> Mapping[str, Any] | None:
    """Return the configuration in an adapter's folder; None where it cannot be read: whoever loads it says so."""
    try:
        found = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def why_not_scaled(config: Mapping[str, Any]) -> str | None:
    """Return why `adapter_scale` has no meaning for an adapter; None for a LoRA, whose weights are W + s BA.

    Args:
        config: of `adapter_config.json`, or of PEFT as plain data.
    """
    kind = str(getattr(config.get("peft_type"), "value", config.get("peft_type")))
    if kind != "LORA":
        return f"it is of the kind {kind}, and a LoRA alone adds one matrix to a weight"
    if config.get("bias", "none") != "none":
        return f"it has biases of its own (bias: {config['bias']}), which replace those of the base"
    return next((why for name, why in NOT_A_DELTA.items() if config.get(name)), None)
