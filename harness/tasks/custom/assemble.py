"""THE table of custom tasks: which files a type has, and what makes the task's data of their checked rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from harness.digests import sha256_text
from harness.tasks.custom.fields import Columns, Row, Tables, document_text, place_of
from harness.tasks.custom.remarks import SAMPLES_PER_LABEL
from harness.wording import did_you_mean, display_path

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
    text_columns: tuple[str, ...] = ()
    """Columns of a test row that hold a text or a list of texts to encode; empty where there are queries."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What goes into the key of a cell beside the files: empty where nothing but the type says how they are scored."""
    remarks: tuple[str, ...] = ()
    """What must be known of the data before a score over them is believed."""

    def items(self) -> int:
        """Return the number of scored items (queries, pairs, test texts, documents; texts to cluster)."""
        if self.queries:
            return len(self.queries)
        rows = self.splits["test"]
        return sum(len(row["sentences"]) for row in rows) if rows and "sentences" in rows[0] else len(rows)


def _sts(tables: Tables, problems: list[str]) -> CustomData:
    columns = ("sentence1", "sentence2", "score")  # others may be of mixed kinds, which no data set can hold
    rows = [{name: row.values[name] for name in columns} for row in tables.rows["test"]]
    scores = [row["score"] for row in rows]
    if len(rows) < 3 or min(scores) == max(scores):
        problems.append(
            f"{display_path(tables.paths['test'])}: a rank correlation needs three rows and two distinct scores"
        )
    span = (min(scores), max(scores))
    return CustomData(splits={"test": rows}, score_range=span, text_columns=("sentence1", "sentence2"))


def _pairs(tables: Tables, problems: list[str]) -> CustomData:
    rows = [row.values for row in tables.rows["test"]]
    if len({row["label"] for row in rows}) < 2:
        problems.append(
            f"{display_path(tables.paths['test'])}: every label is {rows[0]['label']}; both 0 and 1 are needed"
        )
    renamed = [{"sentence1": row["sentence1"], "sentence2": row["sentence2"], "labels": row["label"]} for row in rows]
    return CustomData(splits={"test": renamed}, text_columns=("sentence1", "sentence2"))


def _classification(tables: Tables, problems: list[str]) -> CustomData:
    train = Counter(row.values["label"] for row in tables.rows["train"])
    if len(train) < 2:
        problems.append(f"{display_path(tables.paths['train'])}: one label only; a classifier needs two")
    for row in tables.rows["test"]:
        if row.values["label"] not in train:
            near = did_you_mean(row.values["label"], train)
            where = place_of(tables.paths["test"], row)
            problems.append(f"{where}: label {row.values['label']!r} is not in the training file{near}")
    # Numbers, in the order of the names: mteb's binary metrics cannot take names.
    numbers = {name: number for number, name in enumerate(sorted(train))}
    splits = {
        split: [
            {"text": row.values["text"], "label": numbers[row.values["label"]]}
            for row in rows
            if row.values["label"] in numbers
        ]
        for split, rows in tables.rows.items()
    }
    taken = {min(SAMPLES_PER_LABEL, count) for count in train.values()}
    settings = {"samples_per_label": SAMPLES_PER_LABEL} if len(taken) > 1 else {}  # else no limit changes anything
    return CustomData(splits=splits, text_columns=("text",), settings=settings)


def _clustering(tables: Tables, problems: list[str]) -> CustomData:
    sets: dict[str, dict[str, list[str]]] = {}
    rows = tables.rows["test"]
    without = [row for row in rows if row.values.get("set") in (None, "")]
    if without and len(without) < len(rows):
        problems.append(
            f"{place_of(tables.paths['test'], without[0])}: no set; {len(without)} of {len(rows)} rows have none: give "
            "each row one, or take the column out and all rows are one set"
        )
    for row in rows:
        name = str(row.values.get("set") or 0)
        one = sets.setdefault(name, {"sentences": [], "labels": []})
        one["sentences"].append(row.values["text"])
        one["labels"].append(row.values["label"])
    for name, one in sets.items():
        if len(set(one["labels"])) < 2:
            problems.append(
                f"{display_path(tables.paths['test'])}: set {name!r} has one label only; clustering needs two"
            )
    return CustomData(splits={"test": list(sets.values())}, text_columns=("sentences",))


def _retrieval(tables: Tables, problems: list[str]) -> CustomData:
    data = CustomData()
    corpus = _by_id(tables.rows["corpus"], tables.paths["corpus"], problems)
    queries = _by_id(tables.rows["queries"], tables.paths["queries"], problems)
    data.qrels = _judgements(tables, corpus, queries, problems)
    skip = tables.options.skip_unjudged_queries
    for query, row in queries.items():
        if any(score > 0 for score in data.qrels.get(query, {}).values()):
            data.queries.append({"id": query, "text": row.values["text"]})
        elif not skip:
            where = place_of(tables.paths["queries"], row)
            advice = "`unjudged_queries: skip` in the task's entry leaves such queries out"
            problems.append(f"{where}: query {query!r} has no relevant document in the judgements; {advice}")
    if skip:
        data.settings["unjudged_queries"] = "skip"
        data.qrels = {one["id"]: data.qrels[one["id"]] for one in data.queries}
        if not data.queries:
            problems.append(f"{display_path(tables.paths['queries'])}: no query has a relevant document")
    if tables.options.ignore_identical_ids:
        data.settings["ignore_identical_ids"] = True
    for name, row in corpus.items():
        title, text = str(row.values.get("title") or ""), row.values["text"]
        data.corpus.append({"id": name, "title": title, "text": text})
    return data


def _judgements(
    tables: Tables, corpus: Mapping[str, Row], queries: Mapping[str, Row], problems: list[str]
) -> dict[str, dict[str, int]]:
    """Return query -> document -> grade; of a pair that is judged twice, equal grades pass."""
    lines: dict[tuple[str, str], Row] = {}
    qrels: dict[str, dict[str, int]] = {}
    for row in tables.rows["qrels"]:
        query, document = row.values["query-id"], row.values["corpus-id"]
        for kind, name, known in (("query", query, queries), ("document", document, corpus)):
            if name not in known:
                near = did_you_mean(name, known)
                problems.append(f"{place_of(tables.paths['qrels'], row)}: no {kind} has the id {name!r}{near}")
        first = lines.setdefault((query, document), row)
        if first.values["score"] != row.values["score"]:
            twice = f"query {query!r} and document {document!r} are judged {row.values['score']}"
            before = f"and on line {first.line} {first.values['score']}; keep one of them"
            problems.append(f"{place_of(tables.paths['qrels'], row)}: {twice}, {before}")
        qrels.setdefault(query, {})[document] = row.values["score"]
    return qrels


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


def _reranking(tables: Tables, problems: list[str]) -> CustomData:
    data = CustomData()
    for row in tables.rows["test"]:
        positive, negative = row.values["positive"], row.values["negative"]
        if not positive or not negative:
            which = "positive" if not positive else "negative"
            problems.append(f"{place_of(tables.paths['test'], row)}: no {which} text; a ranking needs both")
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


def _summarization(tables: Tables, problems: list[str]) -> CustomData:
    rows = []
    ratings: list[float] = []
    for row in tables.rows["test"]:
        machine, relevance = row.values["machine_summaries"], row.values["relevance"]
        where = place_of(tables.paths["test"], row)
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
    assemble: Callable[[Tables, list[str]], CustomData]
    """(checked rows of each file, problems to add to) -> the task's data."""
    optional: Mapping[str, Columns] = {}
    """File -> columns that it may have; of any others nothing is asked."""


CUSTOM_TYPES = {
    "STS": CustomType({"test": {"sentence1": "text", "sentence2": "text", "score": "number"}}, _sts),
    "PairClassification": CustomType({"test": {"sentence1": "text", "sentence2": "text", "label": "binary"}}, _pairs),
    "Classification": CustomType(
        {"train": {"text": "text", "label": "label"}, "test": {"text": "text", "label": "label"}}, _classification
    ),
    "Clustering": CustomType(
        {"test": {"text": "text", "label": "label"}}, _clustering, optional={"test": {"set": "label"}}
    ),
    "Retrieval": CustomType(
        {
            "corpus": {"_id": "label", "text": "text or none"},
            "queries": {"_id": "label", "text": "text"},
            "qrels": {"query-id": "label", "corpus-id": "label", "score": "grade"},
        },
        _retrieval,
        optional={"corpus": {"title": "text or none"}},
    ),
    "Reranking": CustomType({"test": {"query": "text", "positive": "texts", "negative": "texts"}}, _reranking),
    "Summarization": CustomType({"test": SUMMARIES}, _summarization),
}
"""By embedding type, all of which a custom task can be of."""


def count(data: CustomData) -> tuple[int, int, int, int, int]:
    """Return (items, texts, unique texts, characters, training texts at most), as the catalogue counts them."""
    texts = list(_texts(data))
    training = min(len(data.splits.get("train", [])), 10 * SAMPLES_PER_LABEL * len(_labels(data)))
    return data.items(), len(texts), len(set(texts)), sum(map(len, texts)), training


def _labels(data: CustomData) -> set[int]:
    return {row["label"] for row in data.splits.get("train", [])}


def _texts(data: CustomData) -> Iterator[str]:
    yield from (document_text(row["title"], row["text"]) for row in data.corpus)
    yield from (row["text"] for row in data.queries)
    for row in data.splits.get("test", ()):
        for value in (row[column] for column in data.text_columns):
            yield from [value] if isinstance(value, str) else value
