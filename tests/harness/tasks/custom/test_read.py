"""The user's own data: each type from each format, scored; and what is said of files that are broken."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cells_support import HashEncoder
from local_hub import TOPICS, text_of
from places import REPOSITORY

from harness.backends.interface import Job, Outcome
from harness.backends.mteb.evaluate import evaluate
from harness.encoders.checked import CheckedEncoder
from harness.errors import InputError
from harness.plan.planner import make_plan
from harness.sources.places import Located, Sources
from harness.suite.schema import Suite
from harness.tasks.custom.assemble import CUSTOM_TYPES
from harness.tasks.custom.fields import MOST_PROBLEMS
from harness.tasks.custom.read import read_custom

FORMATS = (".jsonl", ".csv", ".parquet")
SHIPPED = REPOSITORY / "suites" / "data"
Tables = dict[str, list[dict[str, Any]]]


def topic(number: int) -> str:
    """The topic of the number-th row."""
    return list(TOPICS)[number % 5]


def tables_of(kind: str) -> Tables:
    """Return good data of one type: file stem -> rows."""
    rng = random.Random(4)
    texts = [text_of(topic(i), rng) for i in range(40)]
    if kind == "STS":
        return {
            "test": [
                {
                    "sentence1": texts[i],
                    "sentence2": texts[(i * 7) % 40],
                    "score": float(topic(i) == topic(i * 7)) + i / 40,
                }
                for i in range(20)
            ]
        }
    if kind == "PairClassification":
        return {
            "test": [
                {"sentence1": texts[i], "sentence2": texts[(i + 5 + i % 2) % 40], "label": 1 - i % 2} for i in range(20)
            ]
        }
    if kind == "Classification":
        rows = [{"text": texts[i], "label": topic(i)} for i in range(40)]
        return {"train": rows[:20], "test": rows[20:]}
    if kind == "Clustering":
        return {"test": [{"text": texts[i], "label": topic(i), "set": f"s{i // 20}"} for i in range(40)]}
    if kind == "Retrieval":
        return {
            "corpus": [{"_id": f"d{i}", "text": texts[i], "title": topic(i) if i % 2 else "plain"} for i in range(30)],
            "queries": [{"_id": f"q{i}", "text": text_of(topic(i), rng, 3)} for i in range(6)],
            "qrels": [
                {"query-id": f"q{i}", "corpus-id": f"d{(i % 5) + 5 * j}", "score": j + 1}
                for i in range(6)
                for j in range(3)
            ],
        }
    if kind == "Reranking":
        return {
            "test": [
                {"query": texts[i], "positive": [texts[i + 5]], "negative": [texts[i + 6], texts[i + 7], texts[i + 8]]}
                for i in range(10)
            ]
        }
    if kind != "Summarization":
        raise KeyError(kind)
    return {
        "test": [
            {
                "text": texts[i],
                "human_summaries": [texts[i + 5], texts[i + 10]],
                "machine_summaries": [texts[i], texts[i + 1], texts[i + 5]],
                "relevance": [3.5, 1.0, 4.0 + i % 2],
            }
            for i in range(8)
        ]
    }


def write_rows(file: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows in the format of the file's suffix; lists in CSV cells are JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    elif file.suffix == ".csv":
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            for row in rows:
                writer.writerow({k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()})
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def write(folder: Path, kind: str, suffix: str = ".jsonl", tables: Tables | None = None) -> Path:
    """Write good data (or `tables`) of one type into a folder."""
    for stem, rows in (tables or tables_of(kind)).items():
        write_rows(folder / f"{stem}{suffix}", rows)
    return folder


def score(path: Path, kind: str, tmp: Path, *, limit: int | None = None) -> Outcome:
    """Plan a suite with the one custom task and evaluate its cell."""
    suite = Suite.model_validate(
        {
            "version": 1,
            "name": "s",
            "models": [{"name": "m", "encoder": "some-package"}],
            "tasks": {"custom": [{"name": "mine", "type": kind, "path": str(path)}]},
        }
    )
    plan = make_plan(suite, Sources(offline=True), limit=limit)
    (cell,), (place,) = plan.cells, plan.datasets.values()
    assert isinstance(place, Located)
    job = Job(cell=cell, data={"mine": place}, seed=0, fingerprint="f" * 64, native_folder=tmp)
    return evaluate(job, CheckedEncoder(HashEncoder(), name="hash"))


METRIC = {
    "STS": ("cosine_spearman", 20),
    "PairClassification": ("max_ap", 20),
    "Classification": ("accuracy", 20),
    "Clustering": ("v_measure", 2),
    "Retrieval": ("ndcg_at_10", 6),
    "Reranking": ("map_at_1000", 10),
    "Summarization": ("cosine_spearman", 8),
}


@pytest.mark.parametrize("kind", list(CUSTOM_TYPES))
def test_each_type_scores_the_same_from_each_format(tmp_path: Path, kind: str) -> None:
    """JSONL, CSV and parquet with the same rows give the same score, by the type's own metric, with items."""
    outcomes = [score(write(tmp_path / suffix[1:], kind, suffix), kind, tmp_path / "out") for suffix in FORMATS]
    for outcome in outcomes:
        assert (outcome.metric, outcome.n) == METRIC[kind]
        assert outcome.score == outcomes[0].score
        assert outcome.items is not None
    assert 5 < outcomes[0].score <= 100
    assert len({repr(one.metrics) for one in outcomes}) == 1


@pytest.mark.parametrize("kind", [kind for kind, row in CUSTOM_TYPES.items() if len(row.files) == 1])
def test_a_task_with_one_file_may_be_named_by_it(tmp_path: Path, kind: str) -> None:
    """The file itself, whatever it is called, holds the same data as the folder."""
    file = write_rows(tmp_path / "anything.jsonl", tables_of(kind)["test"])
    folder = write(tmp_path / "folder", kind)
    assert read_custom("mine", kind, file) == read_custom("mine", kind, folder)


def test_sts_by_hand(tmp_path: Path) -> None:
    """Gold that orders pairs as the encoder's cosine does scores 100, the reverse -100."""
    pairs = [("wave boat", "wave boat"), ("wave boat", "wave gull"), ("wave boat", "soup oven")]
    for sign, expected in ((1, 100.0), (-1, -100.0)):
        rows = [{"sentence1": a, "sentence2": b, "score": sign * s} for (a, b), s in zip(pairs, (5, 3, 0), strict=True)]
        found = score(write_rows(tmp_path / f"{sign}.jsonl", rows), "STS", tmp_path / "out")
        assert found.score == pytest.approx(expected)


def test_titles_are_part_of_documents(tmp_path: Path) -> None:
    """The word that answers the query stands in the title alone, and the document is found."""
    tables: Tables = {
        "corpus": [
            {"_id": "a", "title": "zebra", "text": "plain words"},
            {"_id": "b", "title": "", "text": "plain words"},
            {"_id": "c", "title": "", "text": "other things"},
        ],
        "queries": [{"_id": "q", "text": "zebra"}],
        "qrels": [{"query-id": "q", "corpus-id": "a", "score": 1}],
    }
    found = score(write(tmp_path / "data", "Retrieval", tables=tables), "Retrieval", tmp_path / "out")
    assert found.score == pytest.approx(100.0)
    assert found.items.to_pylist()[0]["top_documents"][0] == "a"


@pytest.mark.parametrize(("positives", "negatives"), [(1, 3), (3, 1)])
def test_document_names_do_not_leak_the_grade(tmp_path: Path, positives: int, negatives: int) -> None:
    """Where all candidates are alike their names decide the order, and the odd one out falls on every rank alike."""
    row = {"query": "sea", "positive": ["same text"] * positives, "negative": ["same text"] * negatives}
    file = write_rows(tmp_path / "test.jsonl", [row] * 80)
    odd = 1 if positives == 1 else 0
    qrels = read_custom("mine", "Reranking", file).qrels
    items = score(file, "Reranking", tmp_path / "out").items.to_pylist()
    ranks = Counter(
        rank for one in items for rank, name in enumerate(one["top_documents"]) if qrels[one["query"]][name] == odd
    )
    assert sum(ranks.values()) == 80
    assert all(8 <= ranks[rank] <= 32 for rank in range(4)), ranks


def test_limit_applies_to_custom_tasks(tmp_path: Path) -> None:
    """Seven of twenty pairs are scored, and provenance says so."""
    found = score(write(tmp_path / "data", "STS"), "STS", tmp_path / "out", limit=7)
    assert found.n == 7
    assert found.facts["limited_to"] == {"mine": {"test/default": {"of": 20, "kept": 7}}}


def jsonl(*lines: str) -> str:
    """Join lines."""
    return "\n".join(lines) + "\n"


GOOD_STS = '{"sentence1": "a", "sentence2": "b", "score": 1}'
BROKEN: dict[str, tuple[str, dict[str, str | bytes], list[str]]] = {
    "not JSON": ("STS", {"test.jsonl": jsonl(GOOD_STS, "{oops", GOOD_STS)}, ["test.jsonl:2:2: not JSON"]),
    "not an object": (
        "STS",
        {"test.jsonl": jsonl(GOOD_STS, "[1]")},
        ["test.jsonl:2: expected an object with columns, got list [1]"],
    ),
    "empty file": ("STS", {"test.jsonl": ""}, ["test.jsonl: no rows"]),
    "no file": ("STS", {"tset.jsonl": GOOD_STS}, ["has no test.jsonl, .csv or .parquet; there: tset.jsonl"]),
    "two files": ("STS", {"test.jsonl": GOOD_STS, "test.csv": "x"}, ["has test.jsonl, test.csv: keep one of them"]),
    "no column": (
        "STS",
        {"test.jsonl": jsonl('{"sentence1": "a", "sentense2": "b", "score": 1}')},
        ["test.jsonl: no column 'sentence2'; there: "],
    ),
    "missing value": (
        "STS",
        {"test.jsonl": jsonl(GOOD_STS, '{"sentence1": "a", "score": 2}')},
        ["test.jsonl:2: sentence2: expected text that is not empty, got None"],
    ),
    "score is no number": (
        "STS",
        {"test.jsonl": jsonl(GOOD_STS, '{"sentence1": "a", "sentence2": "b", "score": "high"}')},
        ["test.jsonl:2: score: expected a finite number, got 'high'"],
    ),
    "score is NaN": (
        "STS",
        {"test.jsonl": jsonl('{"sentence1": "a", "sentence2": "b", "score": NaN}', GOOD_STS)},
        ["test.jsonl:1: NaN is no number of JSON"],
    ),
    "empty text": (
        "STS",
        {"test.jsonl": jsonl('{"sentence1": "  ", "sentence2": "b", "score": 1}', GOOD_STS)},
        ["test.jsonl:1: sentence1: expected text that is not empty, got '  '"],
    ),
    "constant scores": (
        "STS",
        {"test.jsonl": jsonl(GOOD_STS, GOOD_STS, GOOD_STS)},
        ["test.jsonl: a rank correlation needs three rows and two distinct scores"],
    ),
    "not UTF-8": ("STS", {"test.jsonl": b"\xfc\n"}, ["test.jsonl:1: not UTF-8 at byte 1 of the line"]),
    "UTF-16": ("STS", {"test.csv": "a,b".encode("utf-16")}, ["test.csv:1: the file is UTF-16, not UTF-8"]),
    "not parquet": ("STS", {"test.parquet": b"PAR"}, ["test.parquet: not parquet"]),
    "CSV with a short row": (
        "STS",
        {"test.csv": "sentence1,sentence2,score\na,b,1\na,2\n"},
        ["test.csv:3: 2 fields, and there are 3 columns"],
    ),
    "CSV with a long row": (
        "STS",
        {"test.csv": "sentence1,sentence2,score\na,b,1,9\n"},
        ["test.csv:2: 4 fields, and there are 3 columns"],
    ),
    "pair label": (
        "PairClassification",
        {"test.jsonl": jsonl('{"sentence1": "a", "sentence2": "b", "label": 2}')},
        ["test.jsonl:1: label: expected 0 or 1, got 2"],
    ),
    "one pair label only": (
        "PairClassification",
        {"test.jsonl": jsonl('{"sentence1": "a", "sentence2": "b", "label": 1}')},
        ["test.jsonl: every label is 1; both 0 and 1 are needed"],
    ),
    "label not in training": (
        "Classification",
        {
            "train.jsonl": jsonl('{"text": "a", "label": "spam"}', '{"text": "b", "label": "ham"}'),
            "test.jsonl": jsonl('{"text": "c", "label": "spam"}', '{"text": "d", "label": "spm"}'),
        },
        ["test.jsonl:2: label 'spm' is not in the training file"],
    ),
    "one class": (
        "Classification",
        {"train.jsonl": jsonl('{"text": "a", "label": 1}'), "test.jsonl": jsonl('{"text": "c", "label": 1}')},
        ["train.jsonl: one label only; a classifier needs two"],
    ),
    "one label in a set": (
        "Clustering",
        {"test.jsonl": jsonl('{"text": "a", "label": "x", "set": "s"}', '{"text": "b", "label": "x", "set": "s"}')},
        ["test.jsonl: set 's' has one label only; clustering needs two"],
    ),
    "unknown ids and double ids": (
        "Retrieval",
        {
            "corpus.jsonl": jsonl('{"_id": "d1", "text": "a"}', '{"_id": "d1", "text": "b"}'),
            "queries.jsonl": jsonl('{"_id": "q1", "text": "a"}', '{"_id": "q2", "text": "b"}'),
            "qrels.jsonl": jsonl(
                '{"query-id": "q1", "corpus-id": "d1", "score": 1}', '{"query-id": "q9", "corpus-id": "d9", "score": 1}'
            ),
        },
        [
            "corpus.jsonl:2: _id 'd1' is given twice; the first is on line 1",
            "qrels.jsonl:2: no query has the id 'q9'",
            "qrels.jsonl:2: no document has the id 'd9'",
            "queries.jsonl:2: query 'q2' has no relevant document in the judgements",
        ],
    ),
    "grade": (
        "Retrieval",
        {
            "corpus.jsonl": jsonl('{"_id": "d1", "text": "a"}'),
            "queries.jsonl": jsonl('{"_id": "q1", "text": "a"}'),
            "qrels.jsonl": jsonl('{"query-id": "q1", "corpus-id": "d1", "score": -1}'),
        },
        ["qrels.jsonl:1: score: expected a whole number from 0 (not relevant) to 1000000, got -1"],
    ),
    "lists": (
        "Reranking",
        {"test.jsonl": jsonl('{"query": "q", "positive": "one", "negative": ["a"]}')},
        ["test.jsonl:1: positive: expected a list of texts, got 'one'"],
    ),
    "no negatives": (
        "Reranking",
        {"test.jsonl": jsonl('{"query": "q", "positive": ["a"], "negative": []}')},
        ["test.jsonl:1: no negative text; a ranking needs both"],
    ),
    "ratings": (
        "Summarization",
        {
            "test.jsonl": jsonl(
                '{"text": "t", "human_summaries": ["h"], "machine_summaries": ["m", "n"], "relevance": [1, 2, 3]}',
                '{"text": "t", "human_summaries": [], "machine_summaries": ["m", "n"], "relevance": [1, 2]}',
                '{"text": "t", "human_summaries": ["h"], "machine_summaries": ["m", "n"], "relevance": [2, 2]}',
            )
        },
        [
            "test.jsonl:1: 2 machine summaries but 3 ratings",
            "test.jsonl:2: needs one human summary and two machine summaries at least",
            "test.jsonl:3: all ratings are equal; they rank nothing",
        ],
    ),
}


def problems_of(kind: str, path: Path) -> list[str]:
    """Return the lines that reading says."""
    with pytest.raises(InputError) as caught:
        read_custom("mine", kind, path)
    return caught.value.problems


@pytest.mark.parametrize("case", list(BROKEN))
def test_broken_files_are_named_with_their_lines(tmp_path: Path, case: str) -> None:
    """Each kind of damage is said with file and line, what was expected and what is there, once, and nothing else."""
    kind, files, expected = BROKEN[case]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    found = problems_of(kind, tmp_path)
    assert len(found) == len(expected)
    for line in expected:
        assert sum(line in one for one in found) == 1, found
    assert all(one.startswith(f"custom task 'mine' ({kind}): ") for one in found)


def test_all_bad_rows_are_named_at_once_and_capped(tmp_path: Path) -> None:
    """Fifty bad rows give the first twenty with their lines and a count of the others."""
    bad = '{"sentence1": "a", "sentence2": "b", "score": "x"}'
    (tmp_path / "test.jsonl").write_text(jsonl(*[bad] * 50), encoding="utf-8")
    found = problems_of("STS", tmp_path)
    assert len(found) == MOST_PROBLEMS + 1
    assert [line.split("test.jsonl:")[1].split(":")[0] for line in found[:-1]] == [str(i + 1) for i in range(20)]
    assert found[-1].endswith("... and 30 more")


def test_problems_of_several_files_come_together(tmp_path: Path) -> None:
    """A missing file does not hide a bad row in another."""
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d", "text": ""}\n', encoding="utf-8")
    found = problems_of("Retrieval", tmp_path)
    assert len(found) == 3
    assert "corpus.jsonl:1: text" in found[0]
    assert "queries.jsonl" in found[1]
    assert "qrels.jsonl" in found[2]


def test_a_csv_line_is_the_line_of_the_file(tmp_path: Path) -> None:
    """Line breaks inside quotes are counted: the message points at the row's first line."""
    rows = 'sentence1,sentence2,score\n"two\nlines",b,bad\na,b,worse\n'
    (tmp_path / "test.csv").write_text(rows, encoding="utf-8")
    first, second = problems_of("STS", tmp_path)
    assert "test.csv:2: score: expected a finite number, got 'bad'" in first
    assert "test.csv:4: score: expected a finite number, got 'worse'" in second


@pytest.mark.parametrize("written", ["1_000", "\u0663", "inf", "0x10", "1,5", "true"])
def test_a_number_of_csv_is_one_as_csv_has_it(tmp_path: Path, written: str) -> None:
    """Python's own reading of numbers takes more than anybody else's."""
    rows = f'sentence1,sentence2,score\na,b,"{written}"\n'
    (tmp_path / "test.csv").write_text(rows, encoding="utf-8")
    (line,) = problems_of("STS", tmp_path)
    assert f"test.csv:2: score: expected a finite number, got {written!r}" in line


def test_columns_that_no_task_reads_may_hold_anything(tmp_path: Path) -> None:
    """Even values of several kinds, which no data set can hold."""
    rows = [{"sentence1": "a", "sentence2": f"b{i}", "score": i, "note": [1, "x", {"y": 2}][i]} for i in range(3)]
    found = score(write_rows(tmp_path / "test.jsonl", rows), "STS", tmp_path / "out")
    assert found.n == 3


def test_a_set_is_asked_about_where_texts_are_clustered_and_nowhere_else(tmp_path: Path) -> None:
    """A column of that name in pairs of sentences may hold anything; rows without one are in nobody else's set."""
    pairs = [{"sentence1": "a", "sentence2": str(n), "score": n, "set": 1.5 * n} for n in range(3)]
    write_rows(tmp_path / "sts" / "test.jsonl", pairs)
    assert read_custom("x", "STS", tmp_path / "sts").splits["test"]
    texts = [{"text": "a", "label": "1", "set": "0"}, {"text": "b", "label": "2", "set": "0"}]
    for number, lacking in enumerate(({}, {"set": None}, {"set": ""})):
        folder = tmp_path / f"clustering-{number}"
        write_rows(folder / "test.jsonl", [*texts, {"text": "c", "label": "1"} | lacking])
        with pytest.raises(InputError, match=r"test\.jsonl:3: no set; 1 of 3 rows have none"):
            read_custom("x", "Clustering", folder)


def test_a_csv_file_of_other_separators_is_told(tmp_path: Path) -> None:
    """As spreadsheets of many countries save them."""
    (tmp_path / "test.csv").write_text("sentence1;sentence2;score\na;b;1\n", encoding="utf-8")
    lines = problems_of("STS", tmp_path)
    assert all("fields are separated by commas, not by ';'" in line for line in lines)


def test_line_separators_inside_a_jsonl_string_break_no_row(tmp_path: Path) -> None:
    """U+2028, U+0085 and form feeds inside JSON strings are text, as a JSON Lines writer leaves them."""
    texts = ["a\u2028b", "c\u0085d", "e\u000cf", "g\u001ch"]
    rows = [{"sentence1": text, "sentence2": "x", "score": i} for i, text in enumerate(texts)]
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "test.jsonl").write_text(content, encoding="utf-8")
    data = read_custom("mine", "STS", tmp_path)
    assert [row["sentence1"] for row in data.splits["test"]] == texts


def test_line_separators_inside_a_csv_cell_break_no_row(tmp_path: Path) -> None:
    """The same for CSV: only line feeds and carriage returns end a row."""
    texts = ["a\u2028b", "c\u0085d", "e f"]
    lines = "".join(f"{text},x,{i}\n" for i, text in enumerate(texts))
    (tmp_path / "test.csv").write_text("sentence1,sentence2,score\n" + lines, encoding="utf-8")
    data = read_custom("mine", "STS", tmp_path)
    assert [row["sentence1"] for row in data.splits["test"]] == texts


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    """Files as spreadsheets save them are read."""
    rows = "sentence1,sentence2,score\na,b,1\na,c,2\na,d,3\n"
    (tmp_path / "test.csv").write_text(rows, encoding="utf-8-sig")
    assert len(read_custom("mine", "STS", tmp_path).splits["test"]) == 3


def test_an_unknown_file_type_is_refused(tmp_path: Path) -> None:
    """A path that is a file of another type is said so."""
    file = tmp_path / "data.tsv"
    file.write_text("x", encoding="utf-8")
    (line,) = problems_of("STS", file)
    assert "data.tsv is no .jsonl, .csv, .parquet file" in line
    lines = problems_of("Retrieval", file)
    assert all("is a file; this type needs a folder" in line for line in lines)


SHIPPED_FOLDERS = {
    "STS": "sts",
    "PairClassification": "pair-classification",
    "Classification": "classification",
    "Clustering": "clustering",
    "Retrieval": "retrieval",
    "Reranking": "reranking",
    "Summarization": "summarization",
}


@pytest.mark.parametrize("kind", list(CUSTOM_TYPES))
def test_shipped_data_is_read_without_a_problem(kind: str) -> None:
    """The demo data of each type passes the checks and holds more than a handful of items."""
    assert read_custom("demo", kind, SHIPPED / SHIPPED_FOLDERS[kind]).items() >= 5


def test_every_shipped_folder_is_tested() -> None:
    """A folder of shipped embedding data that no test reads is a mistake."""
    there = {path.name for path in SHIPPED.iterdir() if path.is_dir()} - {"ability"}
    assert there == set(SHIPPED_FOLDERS.values())


def test_a_bad_file_fails_the_backend_with_the_same_message(tmp_path: Path) -> None:
    """Evaluating a cell over broken data raises the InputError with its line, before anything is encoded."""
    (tmp_path / "test.jsonl").write_text("{oops\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"test\.jsonl:1:2: not JSON"):
        score(tmp_path, "STS", tmp_path / "out")
