"""Write `catalogue.json` from the installed engines: `python -m harness.backends.make_catalogue`; needs no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.backends.lm_eval.catalogue import lm_eval_tasks
from harness.backends.mteb.catalogue import mteb_tasks


def catalogue_text() -> dict[str, Any]:
    """Return the whole catalogue as JSON: the embedding axis from mteb, the ability axis from lm-eval."""
    return {"embedding": mteb_tasks(), "ability": lm_eval_tasks()}


def main() -> None:
    """Replace the package's `catalogue.json`."""
    target = Path(__file__).resolve().parents[1] / "tasks" / "catalogue.json"
    target.write_text(json.dumps(catalogue_text(), ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
