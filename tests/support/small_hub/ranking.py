"""Repositories of retrieval and reranking: documents, queries of all splits, judgements, candidates."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from local_hub import TOPICS, text_of

from small_hub.files import Repository

Row = dict[str, Any]
JUDGEMENT = {"query-id": "string", "corpus-id": "string", "score": "float64"}
DOCUMENT = {"_id": "string", "title": "string", "text": "string"}
QUERY = {"_id": "string", "text": "string"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """What is particular about a corpus and its judgements."""

    documents: int = 36
    queries: int = 12
    """Of each split."""
    splits: tuple[str, ...] = ("test",)
    """With judgements; the queries of all of them are in one file."""
    grades: tuple[int, ...] = (1,)
    """Of a query's judgements, the best first; a query has from one to all of them."""
    ids: Literal["words", "numbers", "arguments"] = "words"
    """`numbers`: queries and documents are counted from 0 alike; `arguments`: a query is a document, by id and text."""
    titles: Literal["all", "some", "none"] = "all"
    title_alone: int = 0
    """Documents with a title and no text."""
    empty: int = 0
    """Documents with neither."""
    short: int = 0
    """Documents of one character."""
    short_queries: int = 0
    """Queries of two characters."""
    repeated: int = 0
    """Documents that say what another one says."""
    missing: int = 0
    """Judgements of documents that are not in the corpus."""
    long: int = 0
    """Words of one document that is far longer than the others."""


def retrieval(seed: str, of: Ranked) -> Repository:
    """Return a repository in BEIR's form: `corpus.jsonl`, `queries.jsonl`, `qrels/<split>.jsonl`, types in the card."""
    corpus, queries, judged = _made(random.Random(seed), of)
    files = {f"qrels/{split}.jsonl": rows for split, rows in judged.items()}
    return Repository(
        files={**files, "corpus.jsonl": corpus, "queries.jsonl": queries},
        configs={
            "default": {split: f"qrels/{split}.jsonl" for split in judged},
            "corpus": {"corpus": "corpus.jsonl"},
            "queries": {"queries": "queries.jsonl"},
        },
        features={"default": JUDGEMENT, "corpus": DOCUMENT, "queries": QUERY},
    )


def retrieval_as_parquet(seed: str, of: Ranked) -> Repository:
    """Return a repository as it was pushed anew: a folder a config, judgements in `data`, every config with splits."""
    corpus, queries, judged = _made(random.Random(seed), of)
    return sections_as_parquet({"test": {"corpus": corpus, "queries": queries, "data": _whole(judged["test"])}})


def reranking(seed: str, *, candidates: tuple[int, int], splits: tuple[str, ...] = ("test",)) -> Repository:
    """Return a repository of queries with their own candidates, judged 1 or 0.

    Args:
        seed: of the texts.
        candidates: fewest and most of a query; the second last says what the last says.
        splits: each with documents, queries, judgements and candidates of its own under the same ids.
    """
    rng = random.Random(seed)
    return sections_as_parquet({split: _reranked(rng, candidates) for split in splits})


def impressions(seed: str) -> Repository:
    """Return MindSmall's form: an impression is queries `<impression>_<number>` over candidates that many share."""
    rng = random.Random(seed)
    corpus = _corpus(rng, Ranked(documents=30, titles="none", repeated=2))
    queries, judged, ranked = [], [], []
    history = [text_of(rng.choice(list(TOPICS)), rng, 5) for _ in range(14)]
    for impression in range(14):
        own = [row["_id"] for row in rng.sample(corpus, rng.randint(2, 9))]
        clicked = set(own[: 1 + impression % 2])
        for number in range(1 + impression % 4):
            name = f"{impression}_{number}"
            queries.append({"_id": name, "text": rng.choice(history)})
            judged += [{"query-id": name, "corpus-id": one, "score": int(one in clicked)} for one in own]
            ranked.append({"query-id": name, "corpus-ids": own})
    return sections_as_parquet({"test": {"corpus": corpus, "queries": queries, "data": judged, "top_ranked": ranked}})


def sections_as_parquet(sections: Mapping[str, Mapping[str, list[Row]]]) -> Repository:
    """Return a repository of split -> kind of row -> rows; judgements are called `data`."""
    files = {
        f"{folder}/{split}-00000-of-00001.parquet": rows
        for split, of in sections.items()
        for folder, rows in of.items()
    }
    folders = list(dict.fromkeys(folder for of in sections.values() for folder in of))
    configs = {
        "default" if folder == "data" else folder: {split: f"{folder}/{split}-*" for split in sections}
        for folder in folders
    }
    return Repository(files=files, configs=configs)


def _whole(judged: list[Row]) -> list[Row]:
    return [row | {"score": int(row["score"])} for row in judged]


def _made(rng: random.Random, of: Ranked) -> tuple[list[Row], list[Row], dict[str, list[Row]]]:
    corpus = _corpus(rng, of)
    taken = [row for row in corpus if len(row["text"].split()) > 1]
    queries: list[Row] = []
    judged: dict[str, list[Row]] = {}
    for split in of.splits:
        judged[split] = []
        for number in range(of.queries):
            about = rng.sample(taken, len(of.grades))
            name, text = _query(rng, of, len(queries), about[0], short=number < of.short_queries)
            queries.append({"_id": name, "text": text})
            kept = 1 + number % len(of.grades)
            others = [row for row in about if row["_id"] != name] or [taken[(number + 7) % len(taken)]]
            judged[split] += [
                {"query-id": name, "corpus-id": row["_id"], "score": float(grade)}
                for row, grade in zip(others[:kept], of.grades, strict=False)
            ]
        for number in range(of.missing):
            judged[split][number]["corpus-id"] = f"gone-{number}"
    return corpus, queries, judged


def _query(rng: random.Random, of: Ranked, number: int, about: Row, *, short: bool) -> tuple[str, str]:
    if of.ids == "arguments":
        return about["_id"], about["text"]
    words = about["text"].split()
    text = " ".join([*rng.sample(words, min(2, len(words))), text_of(rng.choice(list(TOPICS)), rng, 2)])
    return str(number) if of.ids == "numbers" else f"q{number}", words[0][:2] if short else text


def _corpus(rng: random.Random, of: Ranked) -> list[Row]:
    topics = list(TOPICS)
    rows = []
    for number in range(of.documents):
        topic = topics[number % len(topics)]
        titled = of.titles == "all" or (of.titles == "some" and number % 3 > 0)
        rows.append({"_id": _id(of, number), "title": text_of(topic, rng, 2) if titled else "", "text": ""})
        rows[-1]["text"] = text_of(topic, rng, 4 + number % 5)
    last = iter(reversed(rows))
    for _ in range(of.empty):
        next(last).update(title="", text="")
    for _ in range(of.title_alone):
        next(last).update(title=text_of("sky", rng, 2), text="")
    for number in range(of.short):
        next(last).update(title="", text="xyz"[number])
    for number in range(of.repeated):
        next(last).update(title=rows[number]["title"], text=rows[number]["text"])
    if of.long:
        next(last).update(text=text_of("wood", rng, of.long))
    return rows


def _id(of: Ranked, number: int) -> str:
    if of.ids == "numbers":
        return str(number)
    if of.ids == "arguments":
        return f"test-sport-{number // 2:03}-{'pro' if number % 3 else 'con'}{number:02}{'ab'[number % 2]}"
    return f"{list(TOPICS)[number % 5].title()}_({number})"


def _reranked(rng: random.Random, candidates: tuple[int, int]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {"corpus": [], "queries": [], "data": [], "top_ranked": []}
    for number in range(14):
        topic = list(TOPICS)[number % 5]
        own = [f"c{number}_{place}" for place in range(rng.randint(*candidates))]
        relevant = {name for place, name in enumerate(own) if place % 4 == 0}
        texts = [text_of(topic if name in relevant else rng.choice(list(TOPICS)), rng, 5) for name in own]
        texts[-1] = texts[-2]
        found["queries"].append({"_id": f"q{number}", "text": text_of(topic, rng, 4)})
        found["corpus"] += [{"_id": name, "text": text} for name, text in zip(own, texts, strict=True)]
        found["data"] += [{"query-id": f"q{number}", "corpus-id": one, "score": int(one in relevant)} for one in own]
        found["top_ranked"].append({"query-id": f"q{number}", "corpus-ids": own})
    return found
