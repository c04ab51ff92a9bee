"""Which of two settings of a row is shown: chosen on development data, by a rule that was written down before.

The rule: among the settings that forget at most `MOST_NATS` a token, the one with the highest mean over the embedding
tasks; where none is under it, the one that forgets least.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from judge import scores_of
from rows import BASE, ROWS, Row, entry_name

from harness.digests import write_atomically
from harness.results.records import Score

FILE = "chosen.json"
MOST_NATS = 0.1
LOSS = "lm_nll"


def groups() -> dict[str, list[Row]]:
    """Return the row that a report shows -> its settings, itself first."""
    found = {row.variant_of: [row] for row in ROWS if row.variant_of}
    return {name: [next(row for row in ROWS if row.name == name), *others] for name, others in found.items() if name}


def contenders() -> set[str]:
    """Return the rows that are judged on development data."""
    return {row.name for settings in groups().values() for row in settings}


def losers(chosen: dict[str, str]) -> set[str]:
    """Return the rows that were not chosen."""
    return contenders() - set(chosen.values())


def seeds_of(row: Row, chosen: dict[str, str]) -> tuple[int, ...]:
    """Return the seeds of a row: a chosen setting has those of the row it is shown as."""
    shown = next((name for name, of in chosen.items() if of == row.name), row.name)
    return next(one for one in ROWS if one.name == shown).seeds


def choice(out: Path, hub: Path) -> dict[str, str]:
    """Return shown row -> chosen setting, and keep it with the figures that it was made by."""
    if (out / FILE).exists():
        return kept(out)
    scores, chosen, figures = scores_of(out, "dev", hub), {}, {}
    for name, settings in groups().items():
        each = {row.name: scores.get(entry_name(row.name, 0, row.readings[0]), {}) for row in settings}
        base = scores.get(BASE, {})
        found = {row: (_mean(of), of[LOSS].score - base[LOSS].score) for row, of in each.items() if LOSS in of}
        if len(found) < len(settings):
            continue
        under = [row for row, (_, nats) in found.items() if nats <= MOST_NATS]
        best = max(under, key=lambda row: found[row][0]) if under else min(found, key=lambda row: found[row][1])
        chosen[name] = best
        figures[name] = {
            row: {"development": round(mean, 2), "nats": round(nats, 4)} for row, (mean, nats) in found.items()
        }
    write_atomically(out / FILE, json.dumps({"chosen": chosen, "figures": figures}, indent=1).encode())
    return chosen


def kept(out: Path) -> dict[str, str]:
    """Return the choice as it was made; empty before."""
    if not (out / FILE).exists():
        return {}
    found: dict[str, str] = json.loads((out / FILE).read_text(encoding="utf-8"))["chosen"]
    return found


def _mean(scores: Mapping[str, Score]) -> float:
    own = [one.score for one in scores.values() if one.axis == "embedding"]
    return sum(own) / len(own)
