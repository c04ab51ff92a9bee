"""What must be known of own data before a score over them is believed: THE table of remarks, by type; pure.

Nothing here is wrong enough to be refused, and each of it moves scores: `harness validate` says it before anything is
scored, it is stored with the cell, and the report repeats it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial

from harness.tasks.custom.fields import Row, Tables, document_text, place_of
from harness.wording import display_path, first_few

SAMPLES_PER_LABEL = 8
"""Training texts that MTEB takes of each label in each classification experiment, of a label with fewer all."""


def remarks_of(kind: str, tables: Tables) -> list[str]:
    """Return what is to be said of the checked rows of a custom task of type `kind`, a line each."""
    return [said for remark in (*REMARKS[kind], _rows_over_lines) if (said := remark(tables))]


def few_training_texts(counts: Mapping[str, int], most: int) -> str | None:
    """Return which labels have fewer than `most` training texts; None where all have as many.

    Args:
        counts: label -> training texts.
        most: that each experiment takes of a label.
    """
    few = sorted((count, label) for label, count in counts.items() if count < most)
    if not few:
        return None
    named = first_few(f"{label!r} {count}" for count, label in few)
    return (
        f"{len(few)} of {len(counts)} labels have fewer than {most} training texts ({named}): a classifier is trained "
        f"on up to {most} a label, and can learn little of these"
    )


def _few_labels(tables: Tables) -> str | None:
    return few_training_texts(Counter(row.values["label"] for row in tables.rows["train"]), SAMPLES_PER_LABEL)


def _tested_on_training_texts(tables: Tables) -> str | None:
    labels = _labels_of(tables.rows["train"])
    rows = tables.rows["test"]
    shared = [row for row in rows if row.values["text"] in labels]
    if not shared:
        return None
    same = sum(row.values["label"] in labels[row.values["text"]] for row in shared)
    return (
        f"{len(shared)} of {len(rows)} test texts are training texts too ({same} with the same label, "
        f"{len(shared) - same} with another): the score is partly one of memory"
    )


def _labels_of(rows: Iterable[Row]) -> dict[str, set[str]]:
    labels: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        labels[row.values["text"]].add(row.values["label"])
    return labels


def _texts_of_two_labels(stem: str) -> Callable[[Tables], str | None]:
    def text(row: Row) -> Hashable:
        return str(row.values.get("set")), row.values["text"]

    return partial(_two_answers, stem=stem, item=text, answer="label", said="texts have more than one label")


def _pair(row: Row) -> Hashable:
    return frozenset((row.values["sentence1"], row.values["sentence2"]))  # similarity has no direction


def _two_answers(tables: Tables, *, stem: str, item: Callable[[Row], Hashable], answer: str, said: str) -> str | None:
    """Return how many items have several answers, with the lines of the first; None where none has.

    Args:
        tables: the checked rows.
        stem: the file.
        item: what of a row must have one answer.
        answer: the column that holds it.
        said: of the items, in words.
    """
    found: dict[Hashable, dict[Hashable, Row]] = defaultdict(dict)
    for row in tables.rows[stem]:
        found[item(row)].setdefault(row.values[answer], row)
    several = [list(one.values()) for one in found.values() if len(one) > 1]
    if not several:
        return None
    first, second = several[0][:2]
    where = f"{place_of(tables.paths[stem], first)} and line {second.line}"
    return f"{len(several)} of {len(found)} {said}, such as {where}"


_pairs_of_two_labels = partial(_two_answers, stem="test", item=_pair, answer="label", said="pairs have both labels")
_pairs_of_two_scores = partial(
    _two_answers, stem="test", item=_pair, answer="score", said="pairs have more than one score"
)


def _pairs_twice(tables: Tables) -> str | None:
    rows = tables.rows["test"]
    answer = "label" if "label" in rows[0].values else "score"
    again = len(rows) - len({(_pair(row), row.values[answer]) for row in rows})
    return f"{again} of {len(rows)} pairs are there before, with the same {answer}, and count again" if again else None


def _document(row: Row) -> str:
    return document_text(row.values.get("title"), row.values["text"])


def _documents_twice(tables: Tables) -> str | None:
    texts = {
        row.values["_id"]: document_text(row.values.get("title"), row.values["text"]) for row in tables.rows["corpus"]
    }
    counts = Counter(texts.values())
    copies = [name for name, text in texts.items() if counts[text] > 1]
    if not copies:
        return None
    relevant: dict[str, set[str]] = defaultdict(set)
    for row in tables.rows["qrels"]:
        if row.values["score"] > 0:
            relevant[row.values["query-id"]].add(row.values["corpus-id"])
    named: dict[str, list[str]] = defaultdict(list)
    for name in copies:
        named[texts[name]].append(name)
    unjudged = {
        copy for mine in relevant.values() for name in mine for copy in named.get(texts[name], ()) if copy not in mine
    }
    return (
        f"{len(copies)} of {len(texts)} documents have the text of another one, and {len(unjudged)} of these share it "
        "with a relevant document of a query for which they are not judged relevant: such a copy counts against every "
        "model, and documents of equal score are ordered by id"
    )


def _queries_among_documents(tables: Tables) -> str | None:
    documents = {row.values["_id"] for row in tables.rows["corpus"]}
    texts = {_document(row) for row in tables.rows["corpus"]}
    texts |= {row.values["text"].strip() for row in tables.rows["corpus"]}
    queries = tables.rows["queries"]
    by_id = sum(row.values["_id"] in documents for row in queries)
    by_text = sum(row.values["text"].strip() in texts for row in queries)
    if not by_id and not by_text:
        return None
    found = f"of {len(queries)} queries {by_id} have the id of a document and {by_text} the text of one"
    if tables.options.ignore_identical_ids:
        return f"{found}; a document of the query's own id is left out of its ranking (ignore_identical_ids)"
    advice = "`ignore_identical_ids: true` in the task's entry leaves the document of a query's own id out"
    return f"{found}, which a model finds without understanding anything; {advice}"


def _unjudged_queries(tables: Tables) -> str | None:
    if not tables.options.skip_unjudged_queries:
        return None
    relevant = {row.values["query-id"] for row in tables.rows["qrels"] if row.values["score"] > 0}
    rows = tables.rows["queries"]
    left_out = sum(row.values["_id"] not in relevant for row in rows)
    said = f"{left_out} of {len(rows)} queries have no relevant document in the judgements and are left out"
    return f"{said} (unjudged_queries: skip)" if left_out else None


def _queries_twice(tables: Tables) -> str | None:
    rows = next(tables.rows[stem] for stem in ("queries", "test") if stem in tables.rows)
    counts = Counter(row.values["text" if "text" in row.values else "query"] for row in rows)
    twice = sum(count for count in counts.values() if count > 1)
    return f"{twice} of {len(rows)} queries have the text of another one" if twice else None


def _positive_and_negative(tables: Tables) -> str | None:
    rows = tables.rows["test"]
    both = [row for row in rows if set(row.values["positive"]) & set(row.values["negative"])]
    if not both:
        return None
    where = place_of(tables.paths["test"], both[0])
    said = "queries have a text among both their positives and their negatives"
    return f"{len(both)} of {len(rows)} {said}, such as {where}"


def _candidates_twice(tables: Tables) -> str | None:
    candidates = [[*row.values["positive"], *row.values["negative"]] for row in tables.rows["test"]]
    twice = sum(len(set(one)) < len(one) for one in candidates)
    return f"{twice} of {len(candidates)} queries have a candidate twice" if twice else None


def _queries_among_candidates(tables: Tables) -> str | None:
    rows = tables.rows["test"]
    among = sum(row.values["query"] in (*row.values["positive"], *row.values["negative"]) for row in rows)
    return f"{among} of {len(rows)} queries are among their own candidates" if among else None


def _summaries_of_two_ratings(tables: Tables) -> str | None:
    rows = tables.rows["test"]
    pairs = [list(zip(row.values["machine_summaries"], row.values["relevance"], strict=True)) for row in rows]
    apart = sum(len(set(one)) > len({text for text, _ in one}) for one in pairs)
    return f"{apart} of {len(rows)} documents have one machine summary with more than one rating" if apart else None


def _rows_over_lines(tables: Tables) -> str | None:
    """Say where a field of CSV holds line ends: what two stray quotation marks look like, too."""
    found = []
    for stem, rows in tables.rows.items():
        long = [row for row in rows if row.lines > 1]
        if long:
            lines = sum(row.lines for row in rows)
            name = display_path(tables.paths[stem])
            said = f"{len(rows)} rows on {lines} lines, {len(long)} of them with a line end inside quotation marks"
            found.append(f"{name}: {said}, the first on line {long[0].line}")
    return "; ".join(found) or None


REMARKS: dict[str, tuple[Callable[[Tables], str | None], ...]] = {
    "STS": (_pairs_of_two_scores, _pairs_twice),
    "PairClassification": (_pairs_of_two_labels, _pairs_twice),
    "Classification": (
        _few_labels,
        _tested_on_training_texts,
        _texts_of_two_labels("train"),
        _texts_of_two_labels("test"),
    ),
    "Clustering": (_texts_of_two_labels("test"),),
    "Retrieval": (_documents_twice, _queries_among_documents, _unjudged_queries, _queries_twice),
    "Reranking": (_positive_and_negative, _candidates_twice, _queries_among_candidates, _queries_twice),
    "Summarization": (_summaries_of_two_ratings,),
}
"""By type of custom task."""
