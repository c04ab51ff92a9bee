"""mteb's own results tree, `results/ORG__MODEL/REVISION/TASK.json` with `model_meta.json`, as its tools load it.

The files are those that mteb itself wrote when the cells were scored: none is made up from a score.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.export.chosen import Chosen, Exported
from harness.results.facts import facts_of, off_count_said
from harness.results.records import Score, SeededScore

NATIVE = "mteb"
"""Folder of the results in which mteb's own files are."""
ROUNDED = 1e-4
"""Points that a figure may move when mteb writes it, with six decimals of a fraction."""


def mteb_tree(chosen: Chosen) -> Exported:
    """Return the tree; a cell without mteb's own file, or one that is limited or over other data, is left with why."""
    root = Path("results") / chosen.name.replace("/", "__") / chosen.revision
    files: dict[Path, bytes] = {}
    left: list[str] = []
    for label, score in chosen.of_axis("embedding").items():
        why, content = _native(chosen, score)
        if content is None:
            left.append(f"{label}: {why}")
        else:
            files[root / f"{score.task}.json"] = content
    if files:
        files[root / "model_meta.json"] = (json.dumps(_meta(chosen), indent=2) + "\n").encode()
    left += [f"{label}: mteb has no ability tasks" for label in chosen.of_axis("ability")]
    return Exported(files, tuple(left))


def _native(chosen: Chosen, score: Score) -> tuple[str, bytes | None]:
    """Return mteb's own file of a cell, or why there is none."""
    facts = facts_of(score)
    if isinstance(score, SeededScore):
        return "a mean over seeds, which mteb's format does not have; export the seeds, MODEL@seed-0, ...", None
    if score.limit:
        return f"limited to {score.limit} items: mteb's tools would take it for the whole task", None
    if others := off_count_said(facts):
        return others[0], None
    precision = facts.search.get("precision", "float32")
    kept = "full" if precision == "float32" else f"full-{precision}"
    file = chosen.results / NATIVE / kept / f"harness__{score.model}" / (facts.fingerprint or "")[:16]
    file = file / f"{score.task}.json"
    if not file.is_file():
        return f"{file} is not there; a run with another --results makes it", None
    content = file.read_bytes()
    return ("", content) if _is_of(content, score) else (f"{file} is of another run of the cell", None)


def _is_of(content: bytes, score: Score) -> bool:
    """Whether mteb's file has the main score of every split and subset of a cell."""
    held = json.loads(content)["scores"]
    own = {(one.split, one.subset): one.value for one in score.metrics if one.name == "main_score" and not one.part}
    there = {
        (split, one["hf_subset"]): 100 * one["main_score"] for split, rows in held.items() for one in rows
    }  # fmt: skip
    return not own or (set(own) == set(there) and all(abs(own[place] - there[place]) < ROUNDED for place in own))


def _meta(chosen: Chosen) -> dict[str, Any]:
    """Return mteb's description of the model, with what the cells say of it."""
    from mteb.models import ModelMeta

    facts = [facts_of(one) for one in chosen.of_axis("embedding").values()]
    encoder = facts[0].encoder
    meta = ModelMeta.create_empty(
        overwrites={
            "name": chosen.name,
            "revision": chosen.revision,
            "n_parameters": encoder.get("parameters"),
            "embed_dim": chosen.dimension,
            "max_tokens": encoder.get("max_text_tokens"),
        }
    )
    held: dict[str, Any] = meta.to_dict()
    return held
