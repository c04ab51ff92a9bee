"""The lm-eval part of `catalogue.json`, made by `python -m harness.backends.make_catalogue`; no network, no data.

Shots, filters, generation arguments, metrics, versions and the parts of groups come from the installed lm-eval's task
files; the sizes of the official test data, which it does not ship, from the tables here.
`tests/harness/backends/lm_eval/test_evaluate.py` holds the committed catalogue against the installed lm-eval.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files
from typing import Any

from harness.backends.lm_eval import humaneval
from harness.suite.shipped import shipped_folder

FOLDERS = {"gsm8k": "gsm8k", "mmlu": "mmlu/default", "bbh": "bbh/cot_fewshot", "triviaqa": "triviaqa"}
"""Task -> its folder below `lm_eval/tasks`: reading all of them takes twelve seconds."""
OWN_FOLDERS = dict.fromkeys(
    ("fever", "fever_3way", "fever_generate", "fever_3way_generate", "fever_evidence"), "tasks/fever"
)
"""Tasks of our own, which lm-eval lacks -> their folder below `suites`."""
GROUPS = {"mmlu": "mmlu_", "bbh": "bbh_cot_fewshot_"}
"""Groups, and what their parts' names begin with in lm-eval."""
TYPES = {"gsm8k": "Mathematics", "mmlu": "Knowledge", "bbh": "Reasoning", "triviaqa": "Recall"} | dict.fromkeys(
    OWN_FOLDERS, "Verification"
)
MMLU_SHOTS = 5
"""lm-eval's mmlu says none; the paper that made it (arXiv 2009.03300, section 4) and most reports since use five."""
MAIN_FILTERS = {"gsm8k": "flexible-extract"}
"""GSM8K: a model that computes right and drops the `####` has lost a format, not arithmetic; the strict score stands
beside it. Elsewhere the task has one filter."""
DEFAULT_MAX_GEN_TOKS = 256
"""Of lm-eval's HFLM, where a task file says nothing."""

ITEMS = {"gsm8k": 1319, "triviaqa": 17944} | {
    "fever": 6666, "fever_generate": 6666, "fever_evidence": 6666, "fever_3way": 9999, "fever_3way_generate": 9999,
}  # fmt: skip
BBH_ITEMS = {"causal_judgement": 187, "penguins_in_a_table": 146, "snarks": 178}
"""The other 24 have 250."""
MMLU_ITEMS = {
    "abstract_algebra": 100, "anatomy": 135, "astronomy": 152, "business_ethics": 100, "clinical_knowledge": 265,
    "college_biology": 144, "college_chemistry": 100, "college_computer_science": 100, "college_mathematics": 100,
    "college_medicine": 173, "college_physics": 102, "computer_security": 100, "conceptual_physics": 235,
    "econometrics": 114, "electrical_engineering": 145, "elementary_mathematics": 378, "formal_logic": 126,
    "global_facts": 100, "high_school_biology": 310, "high_school_chemistry": 203, "high_school_computer_science": 100,
    "high_school_european_history": 165, "high_school_geography": 198, "high_school_government_and_politics": 193,
    "high_school_macroeconomics": 390, "high_school_mathematics": 270, "high_school_microeconomics": 238,
    "high_school_physics": 151, "high_school_psychology": 545, "high_school_statistics": 216,
    "high_school_us_history": 204, "high_school_world_history": 237, "human_aging": 223, "human_sexuality": 131,
    "international_law": 121, "jurisprudence": 108, "logical_fallacies": 163, "machine_learning": 112,
    "management": 103, "marketing": 234, "medical_genetics": 100, "miscellaneous": 783, "moral_disputes": 346,
    "moral_scenarios": 895, "nutrition": 306, "philosophy": 311, "prehistory": 324, "professional_accounting": 282,
    "professional_law": 1534, "professional_medicine": 272, "professional_psychology": 612, "public_relations": 110,
    "security_studies": 245, "sociology": 201, "us_foreign_policy": 100, "virology": 166, "world_religions": 171,
}  # fmt: skip

ALSO_READS = {"fever_evidence": [["wiki_pages", "wikipedia_pages"]]}
"""Configs and splits of the dataset that a task reads beside those it is scored on."""


def lm_eval_tasks() -> dict[str, Any]:
    """Return `{"version", "tasks"}` as plain JSON."""
    tasks = {name: describe(name) for name in [*FOLDERS, *OWN_FOLDERS]}
    tasks |= {name: humaneval.describe(name) for name in humaneval.TASKS}
    return {"version": version("lm-eval"), "tasks": tasks}


def task_folder(name: str) -> str:
    """Return the folder of the task files for a task of the catalogue: lm-eval's own, or ours."""
    if name in OWN_FOLDERS:
        return str(shipped_folder() / OWN_FOLDERS[name])
    return str(files("lm_eval").joinpath("tasks", FOLDERS[name]))


def describe(name: str) -> dict[str, Any]:
    """Return what planning needs to know of one task or group."""
    from lm_eval.tasks import TaskManager

    index = TaskManager(include_defaults=False, include_path=[task_folder(name)]).task_index
    start = GROUPS.get(name)
    members = {key: entry.cfg for key, entry in index.items() if key == name or (start and key.startswith(start))}
    parts = [cfg for cfg in members.values() if cfg and cfg.get("dataset_name")]
    first = parts[0]
    split = first.get("test_split") or first["validation_split"]
    subsets = sorted(str(cfg["dataset_name"]) for cfg in parts)
    return {
        "type": TYPES[name],
        "main_score": first["metric_list"][0]["metric"],
        "splits": [split],
        "subsets": {subset: ["eng-Latn"] for subset in subsets},
        "dataset": first["dataset_path"],
        "revision": None,
        "counts": {split: {subset: _count(_items(name, subset)) for subset in subsets}},
        "ability": _ability(name, first),
    }


def _ability(name: str, cfg: dict[str, Any]) -> dict[str, Any]:
    """Return how lm-eval asks and scores the task, before a suite says otherwise."""
    filters = [one["name"] for one in cfg.get("filter_list") or [{"name": "none"}]]
    defaults: dict[str, Any] = {
        "num_fewshot": cfg.get("num_fewshot", MMLU_SHOTS if name == "mmlu" else 0),
        "filter": MAIN_FILTERS.get(name, filters[0]),
    }
    if cfg["output_type"] == "generate_until":
        generation = dict(cfg["generation_kwargs"])
        defaults["until"] = generation.pop("until")
        defaults["max_gen_toks"] = generation.pop("max_gen_toks", DEFAULT_MAX_GEN_TOKS)
        defaults["generation"] = generation
    written = (cfg.get("fewshot_config") or {}).get("samples")
    # read by a function of ours, from these configs and splits of the dataset besides
    own = {"also_reads": ALSO_READS[name]} if name in ALSO_READS else {}
    return {
        "output_type": cfg["output_type"],
        "part_prefix": GROUPS.get(name),
        "fewshot_split": cfg.get("fewshot_split") or cfg.get("training_split"),
        "filters": filters,
        "version": cfg["metadata"]["version"],
        "most_fewshot": len(written) if isinstance(written, list) else None,
        "defaults": defaults,
    } | own


def _items(name: str, subset: str) -> int:
    return {"mmlu": MMLU_ITEMS.get(subset, 0), "bbh": BBH_ITEMS.get(subset, 250)}.get(name) or ITEMS[name]


def _count(items: int) -> list[int]:
    return [items, items, items, 0, 0]
