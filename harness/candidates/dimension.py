"""How long a model's vectors are, and whether it was trained to have them cut: from its configuration alone.

A model is known to be trained for truncation where a configuration beside its weights has a key with "matryoshka" in
its name, or its model card names `MatryoshkaLoss`, as sentence-transformers' trainer writes it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.candidates.candidate import Candidate
from harness.candidates.weight_files import on_disk
from harness.suite.size import Size

NOT_TRAINED_FOR_IT = "not known to be trained for truncation"
_LENGTHS = ("hidden_size", "d_model", "n_embd", "dim")
"""How configurations of transformers call the length of a state."""
_MARK = "matryoshka"
_CARD = "README.md"


def dimension_of(candidate: Candidate) -> int | None:
    """Return the dimensions of a candidate's whole vectors; None where its files do not say, or are not here."""
    folder = on_disk(candidate.weights) if candidate.weights else None
    if folder is None:
        return None
    modules = _json(Path(folder) / "modules.json")
    if candidate.kind == "sentence-transformers" and isinstance(modules, list):
        return _of_modules(Path(folder), modules)
    return _of_states(_json(Path(folder) / "config.json"))


def sizes_problem(candidate: Candidate) -> str | None:
    """Return why a size cannot be cut from a candidate's vectors, or None."""
    size, whole = candidate.size, dimension_of(candidate)
    if size is None or size.dimension is None or whole is None or size.dimension <= whole:
        return None
    return (
        f"model {size.of!r}: dimensions: {size.dimension} is more than the {whole} that its vectors have; take it out"
    )


def remark_of(candidate: Candidate, size: Size) -> str | None:
    """Return what must be known of a model whose vectors are cut, or None."""
    if size.dimension is None or size.dimension == dimension_of(candidate) or _is_trained_for_it(candidate):
        return None
    return NOT_TRAINED_FOR_IT


def _is_trained_for_it(candidate: Candidate) -> bool:
    folder = on_disk(candidate.weights) if candidate.weights else None
    if folder is None:
        return False
    files = sorted(Path(folder).glob("*config*.json"))  # a vocabulary's keys are words
    said = any(_MARK in key.lower() for file in files for key in _keys(_json(file)))
    card = Path(folder) / _CARD
    return said or (card.is_file() and "matryoshkaloss" in card.read_text(encoding="utf-8", errors="replace").lower())


def _keys(found: Any) -> list[str]:
    return [str(key) for key in found] if isinstance(found, dict) else []


def _of_modules(folder: Path, modules: list[Any]) -> int | None:
    """Return what comes out of the last module of a sentence-transformers model that says its dimension."""
    for module in reversed(modules):
        about = module if isinstance(module, dict) else {}
        kind, own = (
            str(about.get("type", "")).rpartition(".")[2],
            _json(folder / str(about.get("path", "")) / "config.json"),
        )
        if kind == "Dense" and isinstance(own, dict):
            return _whole(own.get("out_features"))
        if kind == "Pooling" and isinstance(own, dict):
            return _of_pooling(own)
        if kind == "Transformer":
            return _of_states(own)
        if kind not in ("Normalize", "Dropout", "LayerNorm"):
            return None
    return None


def _of_pooling(config: dict[str, Any]) -> int | None:
    """Return the pooled dimension: each mode that is switched on gives a vector, one behind the other."""
    states = _whole(config.get("word_embedding_dimension", config.get("embedding_dimension")))
    modes = [key for key, is_on in config.items() if key.startswith("pooling_mode_") and is_on is True]
    named = config.get("pooling_mode")
    several = len(named) if isinstance(named, list) else max(1, len(modes))
    return None if states is None else states * several


def _of_states(config: Any) -> int | None:
    if not isinstance(config, dict):
        return None
    inner = config.get("text_config")
    found = next((one for key in _LENGTHS if (one := _whole(config.get(key))) is not None), None)
    return _of_states(inner) if found is None and isinstance(inner, dict) else found


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
