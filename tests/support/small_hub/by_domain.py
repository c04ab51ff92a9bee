"""Repositories that several tasks share, a config or a split each: BRIGHT and LongEmbed.

BRIGHT's form is what mteb's loader takes: a config a kind of row, a split a domain, documents that a query must not be
shown listed with it, and `N/A` where there are none. LongEmbed's is a config a task and in it a split a kind of row;
the columns of all its splits stand in the card together, since the library takes no others.
"""

from __future__ import annotations

import random
from typing import Any

from local_hub import TOPICS, text_of

from small_hub.files import Repository
from small_hub.ranking import sections_as_parquet

Row = dict[str, Any]
WITH_LONG = ("biology", "earth_science", "economics", "psychology", "robotics", "stackoverflow", "sustainable_living")
WITH_LONG += ("pony",)
WITH_EXCLUDED = ("leetcode", "aops", "theoremqa_theorems", "theoremqa_questions")
LENGTHS = tuple(256 << step for step in range(8))
"""Tokens of a needle's or a passkey's documents; here a word for every 64 of them, and 100 at most."""
ONE_LENGTH = ("narrativeqa", "qmsum", "summ_screen_fd", "2wikimqa")


def bright(seed: str) -> Repository:
    """Return BRIGHT: 40 documents and 8 queries a domain; what a query must not be shown says what it says itself."""
    rng = random.Random(seed)
    files: dict[str, list[Row]] = {}
    configs: dict[str, dict[str, str]] = {"documents": {}, "examples": {}, "long_documents": {}}
    for domain in (*WITH_LONG, *WITH_EXCLUDED):
        made = _domain(rng, domain)
        for config, rows in made.items():
            files[f"{config}/{domain}-00000-of-00001.parquet"] = rows
            configs[config][domain] = f"{config}/{domain}-*"
    return Repository(files=files, configs=configs)


def _domain(rng: random.Random, domain: str) -> dict[str, list[Row]]:
    topics = list(TOPICS)
    documents = [
        {"id": f"{domain}/{number}.txt", "content": text_of(topics[number % 5], rng, 6 + number % 7)}
        for number in range(40)
    ]
    documents[-1]["content"] = documents[0]["content"]
    long = [
        {"id": f"{domain}/page_{page}.txt", "content": "\n".join(one["content"] for one in documents[page::10])}
        for page in range(10)
    ]
    examples: list[Row] = []
    for number in range(8):
        gold = rng.sample(range(40), 1 + number % 3)
        excluded = [f"{domain}/{one}.txt" for one in range(40) if one % 16 == number and one not in gold]
        words = documents[gold[0]]["content"].split()
        text = " ".join([*rng.sample(words, 4), text_of(rng.choice(topics), rng, 3)])
        if domain in WITH_EXCLUDED:  # the query's own text, under the ids that are excluded
            for name in excluded[:2]:
                documents[int(name.rpartition("/")[2].removesuffix(".txt"))]["content"] = text
        examples.append(
            {
                "id": str(number),
                "query": text,
                "reasoning": "invented",
                "excluded_ids": excluded if domain in WITH_EXCLUDED and number else ["N/A"],
                "gold_ids": [f"{domain}/{one}.txt" for one in gold],
                "gold_ids_long": sorted({f"{domain}/page_{one % 10}.txt" for one in gold}),
                "gold_answer": "invented",
            }
        )
    return {"documents": documents, "examples": examples} | ({"long_documents": long} if domain in WITH_LONG else {})


def long_embed(seed: str) -> Repository:
    """Return LongEmbed without the passkeys: four tasks of one length, and needles of eight."""
    rng = random.Random(seed)
    files: dict[str, list[Row]] = {}
    configs: dict[str, dict[str, str]] = {}
    for task in (*ONE_LENGTH, "needle"):
        lengths = LENGTHS if task == "needle" else (8192,)
        rows: dict[str, list[Row]] = {"queries": [], "corpus": [], "qrels": []}
        for length in lengths:
            size = {"context_length": length} if task == "needle" else {}
            for kind, of_length in _at_length(rng, length).items():
                rows[kind] += [row | size for row in of_length]
        for kind, of_kind in rows.items():
            files[f"{task}/{kind}.jsonl"] = of_kind
        configs[task] = {kind: f"{task}/{kind}.jsonl" for kind in rows}
    return Repository(files=files, configs=configs, features={task: _columns(task) for task in configs})


def _columns(task: str) -> dict[str, str]:
    """Return the columns of all splits together: the library has one set of them for a config."""
    return {"qid": "string", "doc_id": "string", "text": "string"} | (
        {"context_length": "int64"} if task == "needle" else {}
    )


def passkeys(seed: str) -> Repository:
    """Return the passkeys in the form of mteb's own repositories, a split a length."""
    rng = random.Random(seed)
    sections = {}
    for length in LENGTHS:
        made = _at_length(rng, length)
        sections[f"test_{length}"] = {
            "corpus": [{"_id": row["doc_id"], "text": row["text"], "title": ""} for row in made["corpus"]],
            "queries": [{"_id": row["qid"], "text": row["text"]} for row in made["queries"]],
            "data": [{"query-id": row["qid"], "corpus-id": row["doc_id"], "score": 1} for row in made["qrels"]],
        }
    return sections_as_parquet(sections)


def _at_length(rng: random.Random, length: int) -> dict[str, list[Row]]:
    topics = list(TOPICS)
    corpus = [
        {
            "doc_id": f"{length}_doc{number}",
            "text": text_of(topics[number % 5], rng, min(100, length // 64) + number % 3),
        }
        for number in range(14)
    ]
    queries, judged = [], []
    for number in range(6):
        about = rng.choice(corpus)
        words = about["text"].split()
        queries.append({"qid": f"{length}_query{number}", "text": " ".join(rng.sample(words, min(4, len(words))))})
        judged.append({"qid": f"{length}_query{number}", "doc_id": about["doc_id"]})
    return {"queries": queries, "corpus": corpus, "qrels": judged}
