"""What two cells were made with beside model and task: batch, device, dtype, versions, data, how it was asked; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.results.facts import facts_of, machines
from harness.results.records import Score
from harness.tasks.types import ranks_documents


def unlike_making(a: str, b: str, pairs: Mapping[str, tuple[Score, Score]]) -> Iterable[str]:
    """Yield a line for everything beside the model that two cells were made with differently, and on how many tasks."""
    seen: dict[tuple[str, str, str], list[str]] = {}
    for task, (one, two) in pairs.items():
        first, second = made_with(one), made_with(two)
        for what in dict.fromkeys((*first, *second)):
            values = first.get(what, "not recorded"), second.get(what, "not recorded")
            if values[0] != values[1]:
                seen.setdefault((what, *values), []).append(task)
    for (what, own, other), tasks in seen.items():
        where = "all tasks" if len(tasks) == len(pairs) else f"{len(tasks)} task(s): {', '.join(tasks[:5])}"
        yield f"{what}: {own} for {a}, {other} for {b} ({where}{', ...' if 5 < len(tasks) < len(pairs) else ''})"


def made_with(score: Score) -> dict[str, str]:
    """Return what a cell was made with, beside model and task: name -> value, as text."""
    facts = facts_of(score)
    encoder, ran_on = facts.encoder, machines(facts)
    found = {
        "device": encoder.get("device"),
        "dtype": encoder.get("dtype"),
        "documents compared as": facts.search.get("precision", "float32") if ranks_documents(score.type) else None,
        "batch, in padded tokens": encoder.get("batch_tokens"),
        "threads": _each(one.get("threads") for one in ran_on),
        "processor": _each(one.get("processor") for one in ran_on),
        "GPUs": _each(", ".join(one.get("gpus") or ()) or None for one in ran_on),
        "source": facts.git,
    }
    found |= {f"version of {name}": number for name, number in facts.versions.items()}
    for name, place in facts.data.items():
        found[f"data of {name}"] = place.get("revision") or _short(place.get("identity"))
    found |= {f"asked with {name}": value for name, value in facts.ability.get("settings", {}).items()}
    return {name: str(value) for name, value in found.items() if value is not None}


def _each(values: Iterable[object]) -> str | None:
    """Return the distinct values, of a cell that several machines made; None where there is none."""
    return " and ".join(dict.fromkeys(str(one) for one in values if one is not None)) or None


def _short(identity: object) -> str | None:
    if not isinstance(identity, dict):
        return None
    return ", ".join(f"{name} {str(value)[:12]}" for name, value in identity.items())
