"""Retention on real runs: a model against itself at another batch size, and against itself with noise on its weights.

Run: python benchmarks/retention_real.py --hub HUB [--task fever] [--limits 100,1000] [--noise 0.5] [--folder DIR]

The model is SmolLM2-135M-Instruct (from Q4_1) of suites/demo.yaml. Each run has a results folder of its own, since
batch size is in no key. The broken model has normal noise on every weight matrix, --noise times the standard deviation
of the matrix. Prints flips, limits and verdicts; --task takes a YAML mapping too, such as
'{name: mmlu, num_fewshot: 0, subtasks: [anatomy, astronomy]}'. A limit is of each part.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from harness.comparison.evidence import evidence
from harness.comparison.retention import Judgement, judge_axis, judge_task
from harness.encoders.gguf import as_safetensors
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.results.records import Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.sources.wheel_reference import parse
from harness.sources.wheels import obtain
from harness.suite.load import load_suite
from harness.suite.schema import Suite

BATCH_TOKENS = (2048, 600)
MARGIN, NATS_MARGIN = 0.5, 0.01


def broken(folder: Path, noise: float) -> Path:
    """Write the demo's language model with noise on its matrices; return its folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    entry: Any = next(one for one in load_suite("demo").suite.models if one.name == "smollm2-from-q4_1")
    plain = as_safetensors(obtain(parse(entry.model), entry.sha256))
    model = AutoModelForCausalLM.from_pretrained(plain, dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.add_(noise * weight.std() * torch.randn(weight.shape, generator=generator))
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(plain).save_pretrained(folder)
    return folder


def suite_of(task: Any, limit: int, model: dict[str, Any]) -> Suite:
    """Return a suite of one model and one task."""
    demo: Any = next(one for one in load_suite("demo").suite.models if one.name == "smollm2-from-q4_1")
    entry = {"name": "model", "encoder": "mean-pool", "model": demo.model, "sha256": demo.sha256} | model
    entry = {key: value for key, value in entry.items() if value is not None}
    return Suite.model_validate(
        {"version": 1, "name": "retention", "limit": limit, "models": [entry], "tasks": {"ability": [task]}}
    )


def score_of(suite: Suite, results: Path, hub: Path) -> tuple[Store, Score]:
    """Run the suite's only cell and return its store and score."""
    outcome = run(suite, RunOptions(results=results, sources=Sources(hub=hub, offline=True)))
    (result,) = outcome.results.values()
    if not isinstance(result, Score):
        raise SystemExit(f"the cell failed: {result}")
    return Store(results), result


def together(first: tuple[Store, Score], second: tuple[Store, Score], folder: Path) -> tuple[Store, Score, Score]:
    """Return a store that holds both cells, though their keys may be the same."""
    store = Store(folder)
    held = []
    for name, (source, score) in (("a", first), ("b", second)):
        held.append(store.put_score(replace(score, key=name * 20, items=None), source.items_of(score), "question"))
    return store, held[0], held[1]


def told(name: str, judged: Judgement | None) -> str:
    """Return one line about one measure."""
    if judged is None:
        return f"    {name}: no pairs"
    seen, digits = judged.evidence, 2 if judged.evidence.unit == "points" else 4
    return (
        f"    {name} [{seen.unit}] base {seen.base:.{digits}f} loss {seen.loss:.{digits}f}; won {seen.wins} lost "
        f"{seen.losses} of {seen.n}; losses above {judged.upper:.{digits}f} and below {judged.lower:.{digits}f} are "
        f"excluded; so many items exclude {judged.excludable:.{digits}f} at best; margin {judged.margin:g}: "
        f"{judged.verdict}{f', about {judged.needed:,} items would decide' if judged.needed else ''}"
    )


def main() -> None:
    """Run all and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hub", type=Path, required=True)
    parser.add_argument("--task", default="fever")
    parser.add_argument("--limits", default="100,1000")
    parser.add_argument("--noise", type=float, default=0.5)
    parser.add_argument("--folder", type=Path, default=None, help="where results are kept; a second call reuses them")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp())
    task = yaml.safe_load(given.task)
    noisy = folder / f"noise-{given.noise}"
    if not noisy.is_dir():
        broken(noisy, given.noise)
    for limit in (int(one) for one in given.limits.split(",")):
        runs = {
            "itself": {"batch_tokens": BATCH_TOKENS[0]},
            "itself, other batch size": {"batch_tokens": BATCH_TOKENS[1]},
            "noise on its weights": {"model": str(noisy), "sha256": None},
        }
        scored = {
            name: score_of(suite_of(task, limit, model), folder / str(limit) / str(number), given.hub)
            for number, (name, model) in enumerate(runs.items())
        }
        base = scored["itself"]
        for number, name in enumerate(list(runs)[1:]):
            store, own, reference = together(scored[name], base, folder / str(limit) / f"pair-{number}")
            found = evidence(store, own, reference)
            chance = (base[1].provenance.get("ability") or {}).get("chance")
            judged = judge_task(
                base[1].task, found.main, found.nats, chance=chance, margin=MARGIN, nats_margin=NATS_MARGIN
            )
            axis = judge_axis(name, "itself", [judged], margin=MARGIN)
            print(f"{base[1].task}, limit {limit}, {name}: {judged.verdict} (axis: {axis.verdict}) {judged.why or ''}")
            print(told("score", judged.main))
            print(told("gold answer", judged.nats), flush=True)


if __name__ == "__main__":
    main()
