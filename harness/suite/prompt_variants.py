"""What a variant of a model's prompts makes of its entry; pure."""

from __future__ import annotations

from typing import Any

from harness.suite.model_entries import PromptVariant
from harness.tasks.types import EMBEDDING_TYPES

PLACE = "{instruction}"


def setting_of(variant: PromptVariant) -> dict[str, Any]:
    """Return what a variant makes of the fields `prompts` and `instruction`.

    A mapping is all that is set. A text stands before queries and before texts that have no role, never before
    documents, as an instruction does; with `{instruction}` in it, it is one.
    """
    if not isinstance(variant, str):
        return {"prompts": variant, "instruction": None}
    if PLACE in variant:
        return {"prompts": {}, "instruction": variant}
    alone = {name: variant for name, kind in EMBEDDING_TYPES.items() if kind.roles == (None,)}
    return {"prompts": {"query": variant, "document": "", **alone}, "instruction": None}
