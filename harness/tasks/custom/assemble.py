"""THE table of custom tasks: which files a type has, and what makes the task's data of their checked rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from harness.digests import sha256_text
from harness.tasks.custom.fields import Columns, Row, place_of
from harness.wording import did_you_mean, display_path

SAMPLES_PER_LABEL = 8
"""Training texts a label in each classification experiment, as MTEB has it; fewer where a label has fewer."""
SUMMARIES: Columns = {
    "text": "text",
    "human_summaries": "texts",
    "machine_summaries": "texts",
    "relevance": "numbers",
}


@dataclass(slots=True, kw_only=True)
class CustomData:
    """A custom task's data in the shapes mteb's evaluators take."""

    splits: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    corpus: list[dict[str, str]] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)
    qrels: dict[str, dict[str, int]] = field(default_factory=dict)
    candidates: dict[str, list[str]] = field(default_factory=dict)
    """Reranking: query -> documents to rank."""
    score_range: tuple[float, float] = (0.0, 1.0)
    """Lowest and highest gold score (STS, summarization)."""
    samples_per_label: int = SAMPLES_PER_LABEL
    """Classification: training texts a label in each experiment."""
    text_columns: tuple[str, ...] = ()
    """Columns of a test row that hold a text or a list of texts to encode; empty where there are queries."""

    def items(self) -> int:
        """Return the number of scored items (queries, pairs, test texts, documents; texts to cluster)."""
        if self.queries:
            return len(self.queries)
        rows = self.splits["test"]
        return sum(len(row["sentences"]) for row in rows) if rows and "sentences" in rows[0] else len(rows)


def _sts(tables: dict[str, list[Row]], paths: dict[str, Path], problems: list[str]) -> CustomData:
    columns = ("sentence1", "sentence2", "score")  # others may be of mixed kinds, which no data set can hold
    rows = [{name: row.values[name] for name in columns} for row in tables["test"]]
    scores = [row["score"] for row in rows]
    if len(rows) < 3 or min(scores) == max(scores):
        problems.append(f"{display_path(paths['test'])}: a rank correlation needs three rows and two distinct scores")
    span = (min(scores), max(scores))
    return CustomData(splits={"test": rows}, score_range=span, text_columns=("sentence1", "sentence2"))


def _pairs(tables: dict[str, list[Row]], paths: dict[str, Path], problems: list[str]) -> CustomData:
    rows = [row.values for row in tables["test"]]
    if len({row["label"] for row in rows}) < 2:
        problems.append(f"{display_path(paths['test'])}: every label is {rows[0]['label']}; both 0 and 1 are needed")
    renamed = [{"sentence1": row["sentence1"], "sentence2": row["sentence2"], "labels": row["label"]} for row in rows]
    return CustomData(splits={"test": renamed}, text_columns=("sentence1", "sentence2"))


def _classification(tables: dict[str, list[Row]], paths: dict[str, Path], problems: list[str]) -> CustomData:
    train = Counter(row.values["label"] for row in tables["train"])
    if len(train) < 2:
        problems.append(f"{display_path(paths['train'])}: one label only; a classifier needs two")
    for row in tables["test"]:
        if row.values["label"] not in train:
            near = did_you_mean(row.values["label"], train)
            problems.append(
                f"{place_of(paths['test'], row)}: label {row.values['label']!r} is not in the training file{near}"
            )
    # Numbers, in the order of the names: mteb's binary metrics cannot take names.
    numbers = {name: number for number, name in enumerate(sorted(train))}
    splits = {
        split: [
            {"text": row.values["text"], "label": numbers[row.values["label"]]}
            for row in rows
            if row.values["label"] in numbers
        ]
        for split, rows in tables.items()
    }
    fewest = min(SAMPLES_PER_LABEL, *train.values())
    return CustomData(splits=splits, samples_per_label=fewest, text_columns=("text",))


def _clustering(tables: dict[str, list[Row]], paths: dict[str, Path], problems: list[str]) -> CustomData:
    sets: dict[str, dict[str, list[str]]] = {}
    for row in tables["test"]:
        name = str(row.values.get("set") or 0)
        one = sets.setdefault(name, {"sentences": [], "labels": []})
        one["sentences"].append(row.values["text"])
        one["labels"].append(row.values["label"])
    for name, one in sets.items():
        if len(set(one["labels"])) < 2:
            problems.append(f"{display_path(paths['test'])}: set {name!r} has one label only; clustering needs two")
    return CustomData(splits={"test": list(sets.values())}, text_columns=("sentences",))


def _retrieval(tables: dict[str, list[Row]], paths: dict[str, Path], problems: list[str]) -> CustomData:
    data = CustomData()
    corpus = _by_id(tables["corpus"], paths["corpus"], problems)
    queries = _by_id(tables["queries"], paths["queries"], problems)
    for row in tables["qrels"]:
        query, document = row.values["query-id"], row.values["corpus-id"]
        for kind, name, known in (("query", query, queries), ("document", document, corpus)):
            if name not in known:
                near = did_you_mean(name, known)
                problems.append(f"{place_of(paths['qrels'], row)}: no {kind} has the id {name!r}{near}")
        data.qrels.setdefault(query, {})[document] = row.values["score"]
    for query, row in queries.items():
        if not any(score > 0 for score in data.qrels.get(query, {}).values()):
            problems.append(
                f"{place_of(paths['queries'], row)}: query {query!r} has no relevant document in the judgements"
            )
    data.corpus = [
        {"id": name, "title": str(row.values.get("title") or ""), "text": row.values["text"]}
        for name, row in corpus.items()
    ]
    data.queries = [{"id": name, "text": row.values["text"]} for name, row in queries.items()]
    return data


def _by_id(rows: list[Row], path: Path, problems: list[str]) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for row in rows:
        name = row.values["_id"]
        if name in found:
            problems.append(
                f"{place_of(path, row)}: _id {name!r} is given twice; the first is on line {found[name].line}"
            )
        found.setdefault(name, row)
    return found


def _reranking(tables: dict[str, list[Row]], paths: dict[str, Path], problems: list[str]) -> CustomData:
    data = CustomData()
    for row in tables["test"]:
        positive, negative = row.values["positive"], row.values["negative"]
        if not positive or not negative:
            which = "positive" if not positive else "negative"
            problems.append(f"{place_of(paths['test'], row)}: no {which} text; a ranking needs both")
            continue
        query = f"q{row.line:06d}"
        data.queries.append({"id": query, "text": row.values["query"]})
        for relevance, texts in ((1, positive), (0, negative)):
            for number, text in enumerate(texts):
                # The grade must not show in the order of names: equal scores are ordered by them.
                name = f"{query}-{sha256_text(f'{query} {relevance} {number} {text}')[:16]}"
                data.corpus.append({"id": name, "title": "", "text": text})
                data.qrels.setdefault(query, {})[name] = relevance
                data.candidates.setdefault(query, []).append(name)
    return data


def _summarization(tables: dict[str, list[Row]], paths: dict[str, Path], problems: list[str]) -> CustomData:
    rows = []
    ratings: list[float] = []
    for row in tables["test"]:
        machine, relevance = row.values["machine_summaries"], row.values["relevance"]
        where = place_of(paths["test"], row)
        if len(machine) != len(relevance):
            problems.append(f"{where}: {len(machine)} machine summaries but {len(relevance)} ratings")
        if not row.values["human_summaries"] or len(machine) < 2:
            problems.append(f"{where}: needs one human summary and two machine summaries at least")
        elif len(set(relevance)) < 2:
            problems.append(f"{where}: all ratings are equal; they rank nothing")
        ratings += relevance
        rows.append({name: row.values[name] for name in SUMMARIES})
    span = (min(ratings), max(ratings)) if ratings else (0.0, 1.0)
    columns = ("human_summaries", "machine_summaries")
    return CustomData(splits={"test": rows}, score_range=span, text_columns=columns)


class CustomType(NamedTuple):
    """What users' own files of a type are, and what is made of them."""

    files: dict[str, Columns]
    """File, without its suffix -> the columns it must have."""
    assemble: Callable[[dict[str, list[Row]], dict[str, Path], list[str]], CustomData]
    """(rows of each file, path of each file, problems to add to) -> the task's data."""


CUSTOM_TYPES = {
    "STS": CustomType({"test": {"sentence1": "text", "sentence2": "text", "score": "number"}}, _sts),
    "PairClassification": CustomType({"test": {"sentence1": "text", "sentence2": "text", "label": "binary"}}, _pairs),
    "Classification": CustomType(
        {"train": {"text": "text", "label": "label"}, "test": {"text": "text", "label": "label"}}, _classification
    ),
    "Clustering": CustomType({"test": {"text": "text", "label": "label"}}, _clustering),
    "Retrieval": CustomType(
        {
            "corpus": {"_id": "label", "text": "text"},
            "queries": {"_id": "label", "text": "text"},
            "qrels": {"query-id": "label", "corpus-id": "label", "score": "grade"},
        },
        _retrieval,
    ),
    "Reranking": CustomType({"test": {"query": "text", "positive": "texts", "negative": "texts"}}, _reranking),
    "Summarization": CustomType({"test": SUMMARIES}, _summarization),
}
"""By embedding type, all of which a custom task can be of."""


def count(data: CustomData) -> tuple[int, int, int, int, int]:
    """Return (items, texts, unique texts, characters, training texts at most), as the catalogue counts them."""
    texts = list(_texts(data))
    training = min(len(data.splits.get("train", [])), 10 * data.samples_per_label * len(_labels(data)))
    return data.items(), len(texts), len(set(texts)), sum(map(len, texts)), training


def _labels(data: CustomData) -> set[int]:
    return {row["label"] for row in data.splits.get("train", [])}


def _texts(data: CustomData) -> Iterator[str]:
    yield from (f"{row['title']} {row['text']}".strip() for row in data.corpus)
    yield from (row["text"] for row in data.queries)
    for row in data.splits.get("test", ()):
        for value in (row[column] for column in data.text_columns):
            yield from [value] if isinstance(value, str) else value
