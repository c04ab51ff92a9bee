"""Write `catalogue.json` from the installed engines: `python -m harness.backends.make_catalogue`; needs no network."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from harness.tasks.engines import ENGINES


def catalogue_text() -> dict[str, Any]:
    """Return the whole catalogue as JSON: what each engine has, described by its backend."""
    return {engine.distribution: _described(engine.catalogue) for engine in ENGINES.values()}


def _described(catalogue: str) -> Any:
    module, _, name = catalogue.partition(":")
    return getattr(import_module(module), name)()


def main() -> None:
    """Replace the package's `catalogue.json`."""
    target = Path(__file__).resolve().parents[1] / "tasks" / "catalogue.json"
    target.write_text(json.dumps(catalogue_text(), ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
