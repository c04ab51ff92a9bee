"""Write `catalogue.json` from the installed engines: `python -m harness.make_catalogue`; no network is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.backends import lm_eval_catalogue, mteb_catalogue


def build() -> dict[str, Any]:
    """Return the whole catalogue as JSON: the embedding axis from mteb, the ability axis from lm-eval."""
    return {"embedding": mteb_catalogue.build(), "ability": lm_eval_catalogue.build()}


def main() -> None:
    """Replace the package's `catalogue.json`."""
    target = Path(__file__).with_name("catalogue.json")
    target.write_text(json.dumps(build(), ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
