"""The repositories of the ability tasks, in their forms on the hub: all of MMLU, BBH, GSM8K, FEVER, HumanEval.

All are parquet, `<config>/<split>-00000-of-00001.parquet` (FEVER as the hub's own conversion of its script). What is
odd in the rows is odd in the real ones: space around questions, options that repeat or are numbers, amounts with
commas, a claim a row of evidence and under two ids, several functions in one prompt.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_hub import TOPICS, text_of

from small_hub.files import Repository, write

Row = dict[str, Any]
ANSWERS = ["A", "B", "C", "D"]
MMLU_FEATURES = {
    "question": {"dtype": "string", "_type": "Value"},
    "subject": {"dtype": "string", "_type": "Value"},
    "choices": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"},
    "answer": {"names": ANSWERS, "_type": "ClassLabel"},
}
"""As `datasets` writes them into the parquet's schema."""


def parts_of(folder: str) -> list[str]:
    """Return the configs that lm-eval's task files of `tasks/<folder>` read."""
    import lm_eval

    files = (Path(lm_eval.__file__).parent / "tasks" / folder).glob("*.yaml")
    found = [re.search(r"^['\"]?dataset_name['\"]?: *['\"]?(\w+)", file.read_text(), re.MULTILINE) for file in files]
    return sorted({one[1] for one in found if one})


def write_hub(hub: Path) -> Path:
    """Write all repositories below `hub` and return it."""
    rng = random.Random(3)
    repositories = {
        "openai/gsm8k": _configs(
            {name: {"train": _problems(rng, 9), "test": _problems(rng, 5)} for name in ("main", "socratic")}
        ),
        "cais/mmlu": _configs({name: _subject(rng, name) for name in parts_of("mmlu/default")}, MMLU_FEATURES),
        "SaylorTwift/bbh": _configs(
            {name: {"test": [_instance(rng, name) for _ in range(3)]} for name in parts_of("bbh/cot_fewshot")}
        ),
        "fever/fever": _configs({"v1.0": {"labelled_dev": _claims(rng, 3), "paper_dev": _claims(rng, 8)}}),
        "openai/openai_humaneval": _configs({"openai_humaneval": {"test": [_function(word) for word in FUNCTIONS]}}),
    }
    for name, repository in repositories.items():
        write(hub / "datasets" / name, repository)
    return hub


def _configs(configs: Mapping[str, Mapping[str, list[Row]]], features: Mapping[str, Any] | None = None) -> Repository:
    files = {
        f"{config}/{split}-00000-of-00001.parquet": rows
        for config, splits in configs.items()
        for split, rows in splits.items()
    }
    cards = {config: {split: f"{config}/{split}-*" for split in splits} for config, splits in configs.items()}
    return Repository(files=files, configs=cards, in_schema=features or {})


def _problems(rng: random.Random, count: int) -> list[Row]:
    rows = []
    for number in range(count):
        first, second = rng.randint(2, 9) * (1000 if number % 3 == 0 else 1), rng.randint(2, 9)
        total = first - second if number % 4 == 1 else first + second
        sign = "-" if number % 4 == 1 else "+"
        question = f"A boat has {first} fish{' ' * (number % 2)} and a gull {sign}{second}. How many, for ${second}?"
        answer = f"It is {first}{sign}{second}=<<{first}{sign}{second}={total}>>{total}.\nSo {total}.\n#### {total:,}"
        rows.append({"question": question, "answer": answer})
    return rows


def _subject(rng: random.Random, name: str) -> dict[str, list[Row]]:
    return {
        split: [_choice(rng, name, number) for number in range(count)]
        for split, count in (("test", 4), ("validation", 2), ("dev", 5))
    }


def _choice(rng: random.Random, subject: str, number: int) -> Row:
    choices = [[text_of("sea", rng, 2) for _ in range(4)], ["0", "4", "2", "6"], ["True, True"] * 2 + ["False", ""]]
    question = f"{text_of(rng.choice(list(TOPICS)), rng)} of {subject}?" + ("\n\n" if number % 2 else "")
    answer = rng.randrange(4)
    return {"question": question, "subject": subject, "choices": choices[number % 3], "answer": answer}


def _instance(rng: random.Random, name: str) -> Row:
    targets = (
        ["(A)", "(B)"] if "objects" in name or name == "snarks" else ["Yes", "No", "valid", "] )", "24", "oak tree"]
    )
    options = "\nOptions:\n(A) one\n(B) another" if targets[0] == "(A)" else ""
    return {"input": f"{text_of('wood', rng, 8)}?{options}", "target": rng.choice(targets)}


def _claims(rng: random.Random, count: int) -> list[Row]:
    rows: list[Row] = []
    labels = ("SUPPORTS", "REFUTES", "NOT ENOUGH INFO")
    for number in range(count):
        label = labels[number % 3]
        claim = rows[0]["claim"] if number == count - 1 else f"{text_of('city', rng, 4).title()} is – a film."
        one = {"id": 1000 - 7 * number, "label": label, "claim": claim}
        for sentence in range(1 if label == labels[2] else 1 + number % 3):
            is_known = label != labels[2]
            rows.append(
                one
                | {
                    "evidence_annotation_id": 50 + number,
                    "evidence_id": 70 + number if is_known else -1,
                    "evidence_wiki_url": f"Page_-LRB-{number}-RRB-" if is_known else "",
                    "evidence_sentence_id": sentence if is_known else -1,
                }
            )
    return rows


FUNCTIONS = ("apple", "pear", "plum")


def _function(word: str) -> Row:
    helper = f"def half_{word}(n: int) -> int:\n    return n // 2\n\n\n" if word == "pear" else "import math\n\n\n"
    about = f'    """ Return {word!r} n times\n    >>> {word}(1)\n    {word!r}\n    """\n'
    prompt = f"{helper}def {word}(n: int) -> str:\n{about}"
    test = f"\n\nMETADATA = {{}}\n\n\ndef check(candidate):\n    assert candidate(2) == {word * 2!r}\n\n"
    return {
        "task_id": f"HumanEval/{FUNCTIONS.index(word)}",
        "prompt": prompt,
        "canonical_solution": f"    return {word!r} * n\n",
        "test": test,
        "entry_point": word,
    }
