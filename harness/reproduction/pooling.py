"""A model's folder with another pooling: all its files by link, the pooling's configuration rewritten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MODES = ("cls", "mean", "lasttoken", "max", "weightedmean", "mean_sqrt_len_tokens")
"""Of sentence-transformers, the commonest mistakes first."""
MODULES, CONFIG = "modules.json", "config.json"
_OLD_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""How configurations of before sentence-transformers 6 say it, a switch each."""


def pooling_of(folder: Path) -> str | None:
    """Return the mode by which a model pools; None where it has no such module, or pools in several ways at once."""
    place = _module(folder)
    return None if place is None else _mode(_read(folder / place / CONFIG))


def with_pooling(folder: Path, mode: str, to: Path) -> Path:
    """Make `to` a copy of the model in `folder` that pools by `mode`, its weights by link; return it."""
    place = _module(folder)
    assert place is not None  # noqa: S101 - asked for where `pooling_of` found one
    to.mkdir(parents=True, exist_ok=True)
    for file in sorted(one for one in folder.rglob("*") if one.is_file()):
        name = file.relative_to(folder)
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if name == Path(place) / CONFIG:
            kept = {key: one for key, one in _read(file).items() if key not in _OLD_KEYS}
            target.write_text(json.dumps(kept | {"pooling_mode": mode}, indent=2), encoding="utf-8")
        else:
            target.symlink_to(file.resolve())
    return to


def _module(folder: Path) -> str | None:
    """Return where the pooling's configuration is, below the model's folder."""
    modules = _read(folder / MODULES)
    found = [one for one in modules if str(one.get("type", "")).endswith(".Pooling")] if modules else []
    if len(found) != 1 or not (folder / str(found[0]["path"]) / CONFIG).is_file():
        return None
    return str(found[0]["path"])


def _mode(config: Mapping[str, Any]) -> str | None:
    named = config.get("pooling_mode")
    if named is not None:
        return named if isinstance(named, str) else None
    on = [mode for key, mode in _OLD_KEYS.items() if config.get(key)]
    return on[0] if len(on) == 1 else None


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
