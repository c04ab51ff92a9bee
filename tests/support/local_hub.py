"""A small local hub of invented data in the layouts of the real dataset repositories.

Files of one repository share a suffix: `datasets` reads them all with one reader.
Words come from topics, so that texts of one topic are alike for any encoder that looks at words.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TOPICS = {
    "sea": "wave boat sail harbour tide fish anchor salt gull deck",
    "wood": "tree leaf moss trail bark root fern owl pine shade",
    "city": "tram street lamp market roof square bridge bell kiosk crowd",
    "kitchen": "soup bread knife oven spice plate onion butter stove flour",
    "sky": "cloud star moon wind storm dusk comet haze dawn light",
}
CQADUPSTACK_OTHERS = "english gaming gis mathematica physics programmers stats tex unix webmasters wordpress"
CQADUPSTACK = ("CQADupstackAndroidRetrieval", *(f"cqadupstack-{name}" for name in CQADUPSTACK_OTHERS.split()))
Files = Mapping[str, tuple[str, list[dict[str, Any]]]]
"""`config/split` -> (suffix, rows)."""


def text_of(topic: str, rng: random.Random, words: int = 6) -> str:
    """Return invented words of a topic, one of another among them."""
    other = rng.choice([one for one in TOPICS if one != topic])
    chosen = [*rng.choices(TOPICS[topic].split(), k=words - 1), rng.choice(TOPICS[other].split())]
    rng.shuffle(chosen)
    return " ".join(chosen)


def write_repository(hub: Path, repository: str, files: Files) -> Path:
    """Write a dataset repository: README with its configs, a file a split."""
    folder = hub / "datasets" / repository
    configs: dict[str, list[tuple[str, str]]] = {}
    for name, (suffix, rows) in files.items():
        config, split = name.split("/")
        file = f"{config}/{split}-00000-of-00001{suffix}"
        (folder / config).mkdir(parents=True, exist_ok=True)
        if suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist(rows), folder / file)
        else:
            lines = [json.dumps(row, ensure_ascii=False) for row in rows]
            (folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
        configs.setdefault(config, []).append((split, file))
    head = ["---", "configs:"]
    for config, splits in configs.items():
        head += [f"- config_name: {config}", *(["  default: true"] if config == "default" else []), "  data_files:"]
        for split, file in splits:
            head += [f"  - split: {split}", f"    path: {file}"]
    (folder / "README.md").write_text("\n".join([*head, "---", "", "Invented."]) + "\n", encoding="utf-8")
    return folder


def write_hub(hub: Path) -> Path:
    """Write every repository of this module below `hub` and return it."""
    rng = random.Random(11)
    _sts(hub, rng)
    _retrieval(hub, rng)
    _reranking(hub, rng)
    _mind(hub, rng)
    _pairs(hub, rng)
    _classification(hub, rng)
    _clustering(hub, rng)
    _summaries(hub, rng)
    _cqadupstack(hub, rng)
    return hub


def _sts(hub: Path, rng: random.Random) -> None:
    rows = []
    for _ in range(40):
        topic = rng.choice(list(TOPICS))
        left = text_of(topic, rng)
        kept = rng.randrange(7)
        other = text_of(rng.choice(list(TOPICS)), rng).split()
        right = " ".join(left.split()[:kept] + other[kept:]) or "nothing"
        rows.append({"sentence1": left, "sentence2": right, "score": float(round(5 * kept / 6) / 1)})
    write_repository(hub, "mteb/biosses-sts", {"default/test": (".jsonl", rows)})


def _corpus(rng: random.Random, count: int, prefix: str = "d") -> list[dict[str, str]]:
    topics = list(TOPICS)
    return [
        {
            "_id": f"{prefix}{number}",
            "title": text_of(topics[number % len(topics)], rng, 2) if number % 3 else "",
            "text": text_of(topics[number % len(topics)], rng),
        }
        for number in range(count)
    ]


def _retrieval(hub: Path, rng: random.Random) -> None:
    """SciFact: titles, graded judgements, and one query whose only judgement is 0."""
    topics = list(TOPICS)
    corpus = _corpus(rng, 60)
    queries = [{"_id": f"q{number}", "text": text_of(topics[number % 5], rng, 4)} for number in range(15)]
    qrels = []
    for number in range(14):
        for step in range(1 + number % 3):
            place = (number % 5) + 5 * ((number + 3 * step) % 12)
            qrels.append({"query-id": f"q{number}", "corpus-id": f"d{place}", "score": 1 + step % 2})
        qrels.append({"query-id": f"q{number}", "corpus-id": f"d{(number + 1) % 60}", "score": 0})
    qrels.append({"query-id": "q14", "corpus-id": "d7", "score": 0})
    unique = {(row["query-id"], row["corpus-id"]): row for row in reversed(qrels)}
    write_repository(
        hub,
        "mteb/scifact",
        {
            "default/test": (".parquet", list(unique.values())),
            "corpus/corpus": (".parquet", corpus),
            "queries/queries": (".parquet", queries),
        },
    )


def _candidates(rng: random.Random, query: str, topic: str, count: int) -> list[dict[str, Any]]:
    """Return documents for one query, every third of its topic and relevant, one pair the same text."""
    found = []
    for number in range(count):
        relevant = number % 3 == 0
        of = topic if relevant else rng.choice(list(TOPICS))
        found.append({"_id": f"{query}-c{number}", "title": "", "text": text_of(of, rng), "relevant": int(relevant)})
    found[-1]["text"] = found[-2]["text"]
    return found


def _reranking(hub: Path, rng: random.Random) -> None:
    corpus, queries, qrels, ranked = [], [], [], []
    for number in range(12):
        topic = list(TOPICS)[number % 5]
        query = f"q{number}"
        documents = _candidates(rng, query, topic, 8)
        corpus += [{name: row[name] for name in ("_id", "title", "text")} for row in documents]
        queries.append({"_id": query, "text": text_of(topic, rng, 4)})
        qrels += [{"query-id": query, "corpus-id": row["_id"], "score": row["relevant"]} for row in documents]
        ranked.append({"query-id": query, "corpus-ids": [row["_id"] for row in documents]})
    _write_ranked(hub, "mteb/AskUbuntuDupQuestions", corpus, queries, qrels, ranked)


def _mind(hub: Path, rng: random.Random) -> None:
    """MindSmall: an impression is several queries `<impression>_<number>` over the same candidates."""
    corpus, queries, qrels, ranked = [], [], [], []
    for impression in range(9):
        topic = list(TOPICS)[impression % 5]
        documents = _candidates(rng, f"i{impression}", topic, 6)
        corpus += [{name: row[name] for name in ("_id", "title", "text")} for row in documents]
        for number in range(1 + impression % 3):
            query = f"{impression}_{number}"
            queries.append({"_id": query, "text": text_of(topic, rng, 4)})
            qrels += [{"query-id": query, "corpus-id": row["_id"], "score": row["relevant"]} for row in documents]
            ranked.append({"query-id": query, "corpus-ids": [row["_id"] for row in documents]})
    _write_ranked(hub, "mteb/MindSmallReranking", corpus, queries, qrels, ranked)


def _write_ranked(
    hub: Path,
    repository: str,
    corpus: list[dict[str, Any]],
    queries: list[dict[str, Any]],
    qrels: list[dict[str, Any]],
    ranked: list[dict[str, Any]],
) -> None:
    write_repository(
        hub,
        repository,
        {
            "default/test": (".parquet", qrels),
            "corpus/test": (".parquet", corpus),
            "queries/test": (".parquet", queries),
            "top_ranked/test": (".parquet", ranked),
        },
    )


def _pairs(hub: Path, rng: random.Random) -> None:
    """TwitterSemEval2015 in the layout of version 1: a split is one row of lists."""
    left, right, labels = [], [], []
    for number in range(36):
        topic = list(TOPICS)[number % 5]
        same = number % 3 == 0
        left.append(text_of(topic, rng))
        right.append(text_of(topic if same else rng.choice(list(TOPICS)), rng))
        labels.append(int(same))
    row = {"sent1": left, "sent2": right, "labels": labels}
    write_repository(hub, "mteb/twittersemeval2015-pairclassification", {"default/test": (".parquet", [row])})


def _classification(hub: Path, rng: random.Random) -> None:
    def rows(each: Mapping[str, int]) -> list[dict[str, Any]]:
        made = [
            {"text": text_of(topic, rng), "label": number, "label_text": topic}
            for number, topic in enumerate(TOPICS)
            for _ in range(each[topic])
        ]
        rng.shuffle(made)
        return made

    train = rows(dict.fromkeys(TOPICS, 14))
    test = rows({"sea": 20, "wood": 12, "city": 6, "kitchen": 4, "sky": 2})
    write_repository(hub, "mteb/banking77", {"default/train": (".jsonl", train), "default/test": (".jsonl", test)})


def _clustering(hub: Path, rng: random.Random) -> None:
    """Sets of texts; the second has a single label, which mteb scores 1 without encoding."""

    def one_set(topics: list[str], count: int) -> dict[str, Any]:
        labels = [topics[number % len(topics)] for number in range(count)]
        return {"sentences": [text_of(label, rng) for label in labels], "labels": labels}

    topics = list(TOPICS)
    sets = [one_set(topics, 200), one_set(topics[:1], 6), one_set(topics[1:4], 150)]
    write_repository(hub, "mteb/twentynewsgroups-clustering", {"default/test": (".parquet", sets)})
    larger = [one_set(topics, 300), one_set(topics, 200)]
    write_repository(hub, "mteb/stackexchange-clustering", {"default/test": (".parquet", larger)})


def _summaries(hub: Path, rng: random.Random) -> None:
    """Eight documents with five machine summaries each; the fourth has constant ratings, which mteb leaves out."""
    rows = []
    for number in range(8):
        topic = list(TOPICS)[number % 5]
        human = [text_of(topic, rng) for _ in range(3)]
        words = human[0].split()
        machine = [" ".join(words[:kept] + text_of("sky", rng).split()[kept:]) for kept in range(5)]
        ratings = [2.0] * 5 if number == 3 else [1.0 + kept * 0.75 + rng.random() for kept in range(5)]
        rows.append(
            {
                "id": f"doc{number}",
                "text": " ".join(human),
                "human_summaries": human,
                "machine_summaries": machine,
                "relevance": ratings,
            }
        )
    write_repository(hub, "mteb/summeval", {"default/test": (".parquet", rows)})


def _cqadupstack(hub: Path, rng: random.Random) -> None:
    for number, name in enumerate(CQADUPSTACK):
        corpus = _corpus(rng, 12 + number)
        topics = list(TOPICS)
        queries = [{"_id": f"q{place}", "text": text_of(topics[place], rng, 4)} for place in range(3)]
        qrels = [{"query-id": f"q{place}", "corpus-id": f"d{place + 5}", "score": 1} for place in range(3)]
        write_repository(
            hub,
            f"mteb/{name}",
            {
                "default/test": (".jsonl", qrels),
                "corpus/corpus": (".jsonl", corpus),
                "queries/queries": (".jsonl", queries),
            },
        )
