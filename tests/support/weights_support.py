"""Saved weights, damaged: what the tests of everything that loads weights share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Tensors = dict[str, Any]
"""Name -> tensor, as in a file."""


def rewrite(folder: Path, change: Callable[[Tensors], Tensors], **config: Any) -> Path:
    """Change the tensors and the configuration of a saved model."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(about | config))
    return folder


def without(part: str) -> Callable[[Tensors], Tensors]:
    """Leave out what has `part` in its name."""
    return lambda tensors: {name: one for name, one in tensors.items() if part not in name}


def renamed(front: str) -> Callable[[Tensors], Tensors]:
    """Put `front` before every name."""
    return lambda tensors: {f"{front}{name}": one for name, one in tensors.items()}


def grown(*names: str) -> Callable[[Tensors], Tensors]:
    """Add tensors that no model has."""
    return lambda tensors: tensors | {name: tensors["model.norm.weight"].clone() for name in names}


def cut(part: str) -> Callable[[Tensors], Tensors]:
    """Take the last row off a tensor."""
    return lambda tensors: {name: one[:-1].clone() if part in name else one for name, one in tensors.items()}
