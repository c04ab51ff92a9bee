"""What is said of own data before a score over them: each remark from rows that call for it, and none from others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from suites_support import suite_file

from harness.errors import InputError
from harness.plan.planner import make_plan
from harness.sources.places import Sources
from harness.suite.load import load_suite
from harness.tasks.custom.fields import Options
from harness.tasks.custom.read import read_custom

Tables = dict[str, list[dict[str, Any]]]


def write(folder: Path, tables: Tables) -> Path:
    """Write a file of JSON lines a table."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, rows in tables.items():
        (folder / f"{stem}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def labelled(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    """Return rows of texts with their labels."""
    return [{"text": text, "label": label} for text, label in pairs]


def pairs(column: str, *rows: tuple[str, str, float]) -> list[dict[str, Any]]:
    """Return rows of two texts and an answer."""
    return [{"sentence1": one, "sentence2": two, column: answer} for one, two, answer in rows]


def ranking(documents: dict[str, str], queries: dict[str, str], judged: list[tuple[str, str, int]]) -> Tables:
    """Return the three tables of a retrieval task."""
    return {
        "corpus": [{"_id": name, "text": text} for name, text in documents.items()],
        "queries": [{"_id": name, "text": text} for name, text in queries.items()],
        "qrels": [{"query-id": query, "corpus-id": document, "score": grade} for query, document, grade in judged],
    }


def ranked(query: str, positive: str, negative: str) -> dict[str, Any]:
    """Return a row of a reranking task."""
    return {"query": query, "positive": [positive], "negative": [negative]}


TRAIN = labelled(*[(f"a{i}", "a") for i in range(8)], *[(f"b{i}", "b") for i in range(9)])
SAID: dict[str, tuple[str, Tables, list[str]]] = {
    "rare labels": (
        "Classification",
        {"train": [*TRAIN, *labelled(("c0", "c"), ("d0", "d"), ("d1", "d"))], "test": labelled(("x", "a"))},
        ["2 of 4 labels have fewer than 8 training texts ('c' 1, 'd' 2): "],
    ),
    "labels enough": ("Classification", {"train": TRAIN, "test": labelled(("x", "a"))}, []),
    "tested on training texts": (
        "Classification",
        {"train": TRAIN, "test": labelled(("a1", "a"), ("b2", "a"), ("new", "b"))},
        ["2 of 3 test texts are training texts too (1 with the same label, 1 with another)"],
    ),
    "two labels of a text": (
        "Classification",
        {"train": [*TRAIN, *labelled(("a1", "b"))], "test": labelled(("x", "a"), ("x", "b"))},
        [
            "1 of 17 texts have more than one label, such as DIR/train.jsonl:2 and line 18",
            "1 of 1 texts have more than one label, such as DIR/test.jsonl:1 and line 2",
        ],
    ),
    "both labels of a pair, the texts turned round": (
        "PairClassification",
        {"test": pairs("label", ("u", "v", 1), ("x", "y", 0), ("v", "u", 0))},
        ["1 of 2 pairs have both labels, such as DIR/test.jsonl:1 and line 3"],
    ),
    "a pair again": (
        "PairClassification",
        {"test": pairs("label", ("u", "v", 1), ("x", "y", 0), ("u", "v", 1))},
        ["1 of 3 pairs are there before, with the same label, and count again"],
    ),
    "two scores of a pair": (
        "STS",
        {"test": pairs("score", ("u", "v", 1), ("x", "y", 0), ("u", "v", 2.5))},
        ["1 of 2 pairs have more than one score, such as DIR/test.jsonl:1 and line 3"],
    ),
    "a clustered text of two topics": (
        "Clustering",
        {"test": labelled(("u", "x"), ("v", "y"), ("u", "y"))},
        ["1 of 2 texts have more than one label, such as DIR/test.jsonl:1 and line 3"],
    ),
    "one text in two sets": (
        "Clustering",
        {
            "test": [
                {"text": text, "label": label, "set": number}
                for text, label, number in (("u", "x", 0), ("v", "y", 0), ("u", "y", 1), ("w", "z", 1))
            ]
        },
        [],
    ),
    "documents twice": (
        "Retrieval",
        ranking(
            {"d1": "same", "d2": "same", "d3": "other", "d4": "third", "d5": "third"},
            {"q1": "one", "q2": "two"},
            [("q1", "d1", 1), ("q2", "d3", 1)],
        ),
        ["4 of 5 documents have the text of another one, and 1 of these share it with a relevant document"],
    ),
    "copies that are judged alike": (
        "Retrieval",
        ranking({"d1": "same", "d2": "same"}, {"q1": "one"}, [("q1", "d1", 1), ("q1", "d2", 2)]),
        ["2 of 2 documents have the text of another one, and 0 of these"],
    ),
    "queries that are documents": (
        "Retrieval",
        ranking(
            {"d1": "x", "q2": "y", "d3": "one"},
            {"q1": "one", "q2": "two", "q3": "three"},
            [("q1", "d1", 1), ("q2", "d1", 1), ("q3", "d3", 1)],
        ),
        ["of 3 queries 1 have the id of a document and 1 the text of one, which a model finds"],
    ),
    "queries of one text": (
        "Retrieval",
        ranking({"d1": "x", "d2": "y"}, {"q1": "one", "q2": "one"}, [("q1", "d1", 1), ("q2", "d2", 1)]),
        ["2 of 2 queries have the text of another one"],
    ),
    "positive and negative": (
        "Reranking",
        {"test": [ranked("q", "a", "b"), ranked("r", "a", "a")]},
        [
            "1 of 2 queries have a text among both their positives and their negatives, such as DIR/test.jsonl:2",
            "1 of 2 queries have a candidate twice",
        ],
    ),
    "a query among its candidates": (
        "Reranking",
        {"test": [ranked("q", "q", "b"), ranked("q", "a", "b")]},
        ["1 of 2 queries are among their own candidates", "2 of 2 queries have the text of another one"],
    ),
    "two ratings of a summary": (
        "Summarization",
        {"test": [{"text": "t", "human_summaries": ["h"], "machine_summaries": ["m", "m"], "relevance": [1, 2]}]},
        ["1 of 1 documents have one machine summary with more than one rating"],
    ),
}


@pytest.mark.parametrize("case", list(SAID))
def test_each_remark_is_said_with_its_count(tmp_path: Path, case: str) -> None:
    """And nothing else is."""
    kind, tables, expected = SAID[case]
    found = read_custom("mine", kind, write(tmp_path, tables)).remarks
    assert len(found) == len(expected), found
    for line, said in zip(found, expected, strict=True):
        assert line.startswith(said.replace("DIR", str(tmp_path)))


def test_rows_over_several_lines_are_counted(tmp_path: Path) -> None:
    """What two stray marks look like where the numbers of fields happen to fit: rows beside lines."""
    rows = 'sentence1,sentence2,score\n"12 inch,x,1\n12",y,2\na,b,3\nc,d,4\n'
    (tmp_path / "test.csv").write_text(rows, encoding="utf-8")
    (line,) = read_custom("mine", "STS", tmp_path).remarks
    said = "3 rows on 4 lines, 1 of them with a line end inside quotation marks, the first on line 2"
    assert line == f"{tmp_path}/test.csv: {said}"


UNJUDGED = ranking({"d1": "x"}, {"q1": "one", "q2": "two", "q3": "three"}, [("q1", "d1", 1), ("q3", "d1", 0)])


def test_queries_without_a_relevant_document_can_be_left_out(tmp_path: Path) -> None:
    """An error that names the option, or, with it, a count; nothing of them is scored."""
    folder = write(tmp_path, UNJUDGED)
    with pytest.raises(InputError) as caught:
        read_custom("mine", "Retrieval", folder)
    assert len(caught.value.problems) == 2
    assert all("`unjudged_queries: skip` in the task's entry" in line for line in caught.value.problems)
    data = read_custom("mine", "Retrieval", folder, Options(skip_unjudged_queries=True))
    assert [one["id"] for one in data.queries] == ["q1"]
    assert data.qrels == {"q1": {"d1": 1}}
    said = "2 of 3 queries have no relevant document in the judgements and are left out (unjudged_queries: skip)"
    assert data.remarks == (said,)


def test_a_document_may_have_a_title_alone(tmp_path: Path) -> None:
    """As in BEIR's data sets; one with neither is refused by its line."""
    tables = ranking({"d1": "x"}, {"q1": "one"}, [("q1", "d1", 1)])
    tables["corpus"] += [{"_id": "d2", "title": "A title", "text": ""}]
    tables["corpus"] += [{"_id": "d3", "title": "Another", "text": None}]
    data = read_custom("mine", "Retrieval", write(tmp_path, tables))
    assert [(one["title"], one["text"]) for one in data.corpus] == [("", "x"), ("A title", ""), ("Another", "")]
    tables["corpus"] += [{"_id": "d4", "title": " ", "text": ""}]
    with pytest.raises(InputError) as caught:
        read_custom("mine", "Retrieval", write(tmp_path, tables))
    (line,) = caught.value.problems
    assert line.endswith("corpus.jsonl:4: text: expected text that is not empty, or a title, got ''")


def test_a_pair_that_is_judged_twice_has_one_grade(tmp_path: Path) -> None:
    """Other grades are an error with both lines; the same once more passes."""
    tables = ranking({"d1": "x", "d2": "y"}, {"q1": "one"}, [("q1", "d1", 1), ("q1", "d2", 0), ("q1", "d1", 1)])
    assert read_custom("mine", "Retrieval", write(tmp_path, tables)).qrels == {"q1": {"d1": 1, "d2": 0}}
    tables["qrels"].append({"query-id": "q1", "corpus-id": "d1", "score": 2})
    with pytest.raises(InputError) as caught:
        read_custom("mine", "Retrieval", write(tmp_path, tables))
    (line,) = caught.value.problems
    assert line.endswith("qrels.jsonl:4: query 'q1' and document 'd1' are judged 2, and on line 1 1; keep one of them")


def keys_of(folder: Path, entry: str) -> str:
    """Return the key of the one cell of a custom task."""
    suite_file(folder, f"models: [{{name: m, encoder: tf-idf}}]\ntasks: {{custom: [{entry}]}}\n")
    (cell,) = make_plan(load_suite(folder / "mine.yaml").suite, Sources(offline=True)).cells
    return str(cell.key)


def test_what_the_entry_says_of_the_data_is_in_the_key(tmp_path: Path) -> None:
    """Each option changes it, its default does not."""
    tables = ranking({"d1": "x", "q1": "y"}, {"q1": "one", "q2": "two"}, [("q1", "d1", 1), ("q2", "d1", 1)])
    write(tmp_path / "data", tables)
    entry = "{name: mine, type: Retrieval, path: data"
    plain = keys_of(tmp_path, f"{entry}}}")
    assert keys_of(tmp_path, f"{entry}, unjudged_queries: error, ignore_identical_ids: false}}") == plain
    others = [
        keys_of(tmp_path, f"{entry}, {one}}}") for one in ("unjudged_queries: skip", "ignore_identical_ids: true")
    ]
    assert len({plain, *others}) == 3


def test_options_of_retrieval_are_refused_elsewhere(tmp_path: Path) -> None:
    """With the key and the type."""
    write(tmp_path / "data", {"test": pairs("score", ("a", "b", 1), ("c", "d", 2), ("e", "f", 3))})
    with pytest.raises(InputError, match="'unjudged_queries' means nothing for a task of type STS; take it out"):
        keys_of(tmp_path, "{name: mine, type: STS, path: data, unjudged_queries: skip}")
