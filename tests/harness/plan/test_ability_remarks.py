"""What is said of own ability data: where lm-eval takes examples from, and what the texts of `lm_nll` are like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from suites_support import loaded

from harness.errors import InputError
from harness.plan.ability_remarks import shots_remark
from harness.plan.tasks import resolve_tasks

ROWS = [{"q": f"question {n}", "a": f"answer {n}"} for n in range(4)]
OTHERS = [{"q": f"example {n}", "a": f"answer {n}"} for n in range(4)]
FILES = {"train": "others.jsonl", "test": "rows.jsonl"}
CASES: dict[str, tuple[dict[str, Any], str | None]] = {
    "no split but the test split": ({"test_split": "test"}, "the scored split 'test', and an item can be among"),
    "the test split, named": (
        {"test_split": "test", "fewshot_split": "test"},
        "the scored split 'test', and an item is not",
    ),
    "only a validation split": ({"validation_split": "test"}, "the scored split 'test', and an item is not"),
    "the validation split, named": (
        {"validation_split": "test", "fewshot_split": "test"},
        "the scored split 'test', and an item can be among",
    ),
    "a training split": ({"test_split": "test", "training_split": "train"}, None),
    "another split, named": ({"test_split": "test", "fewshot_split": "train"}, None),
    "written examples": ({"test_split": "test", "fewshot_config": {"samples": OTHERS}}, None),
}


def folder_with(folder: Path) -> Path:
    """Write the rows of both splits."""
    for name, rows in (("rows", ROWS), ("others", OTHERS)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("case", list(CASES))
def test_examples_of_the_scored_split_are_told_as_lm_eval_takes_them(tmp_path: Path, case: str) -> None:
    """lm-eval itself says which documents it takes, and whether the item is left out of them."""
    from lm_eval.api.task import ConfigurableTask

    given, expected = CASES[case]
    folder_with(tmp_path)
    files = {split: str(tmp_path / name) for split, name in FILES.items()}
    config = {"task": "own", "dataset_path": "json", "dataset_kwargs": {"data_files": files}, "num_fewshot": 3}
    config |= {"output_type": "generate_until", "doc_to_text": "{{q}}", "doc_to_target": "{{a}}"} | given
    said = shots_remark(tmp_path / "own.yaml", config, 3)
    assert (said is None) == (expected is None)
    task = ConfigurableTask(config=dict(config))
    examples, scored = [one["q"] for one in task.fewshot_docs()], [one["q"] for one in task.eval_docs]
    assert (examples == scored) == (said is not None)
    if expected is not None and said is not None:
        assert expected in said
        task.sampler.rnd.seed(0)
        shown = [task.fewshot_context(doc, 3).split(doc["q"]) for doc in task.eval_docs for _ in range(5)]
        assert any(len(parts) > 2 for parts in shown) == ("can be among" in said)


def test_two_splits_of_one_file_are_one() -> None:
    """Whatever they are called."""
    config = {"test_split": "test", "training_split": "train"}
    config |= {"dataset_kwargs": {"data_files": {"train": "a.jsonl", "test": "a.jsonl"}}}
    said = shots_remark(Path("own.yaml"), config, 2)
    assert said is not None
    assert "come from 'train', whose file is that of 'test'" in said
    assert shots_remark(Path("own.yaml"), config, 0) is None


def test_the_texts_of_lm_nll_are_read_while_a_plan_is_made(tmp_path: Path) -> None:
    """Bad rows are named before a model is loaded, and what the others are like is said."""
    file = tmp_path / "texts.jsonl"
    file.write_text('{"text": "a"}\n{"text": ""}\n{"text": "a"}\n', encoding="utf-8")
    body = "tasks: {ability: [{name: lm_nll, file: texts.jsonl, column: text}]}\n"
    (task,) = resolve_tasks(loaded(tmp_path, body).suite)
    assert task.remarks == (
        "1 of 3 texts are there before and count again",
        "1 of 3 texts are empty and have no token to score",
    )
    file.write_text('{"text": "a"}\n{"text": "\\ud83d"}\n{"txet": "a"}\n', encoding="utf-8")
    with pytest.raises(InputError) as caught:
        resolve_tasks(loaded(tmp_path, body).suite)
    assert ["texts.jsonl:2" in caught.value.problems[0], "texts.jsonl:3" in caught.value.problems[1]] == [True, True]


OWN = "task: own\noutput_type: generate_until\ndoc_to_text: '{{q}}'\ndoc_to_target: '{{a}}'\ntest_split: test\n"


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("json", '{"q": "x", "a": "1"}\n{"q": "y\\ud83d", "a": "2"}\n', "rows.json:2: 'q': half a character"),
        ("json", '{"q": "x", "a": "1"}\n{"q": "y", "q": "z"}\n', "rows.json:2: key 'q' is given twice"),
        ("csv", 'q,a\n"12 inch,1\nx,2\nthe 5" one,3\n', "rows.csv:2: a quoted field begins here"),
        ("csv", "q,a,q\nx,1,y\n", "rows.csv:1: the column 'q' is there twice"),
    ],
)
def test_rows_of_own_task_files_are_checked_while_a_plan_is_made(
    tmp_path: Path, kind: str, content: str, said: str
) -> None:
    """The datasets library reads two of these otherwise, and names no line of the others."""
    (tmp_path / f"rows.{kind}").write_text(content, encoding="utf-8")
    own = f"{OWN}dataset_path: {kind}\ndataset_kwargs: {{data_files: {{test: rows.{kind}}}}}\n"
    (tmp_path / "own.yaml").write_text(own, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        resolve_tasks(loaded(tmp_path, "tasks: {ability: [{name: mine, file: own.yaml}]}\n").suite)
    (line,) = caught.value.problems
    assert line.startswith("task 'mine': ")
    assert said in line


def test_what_the_datasets_library_reads_in_its_own_way_is_left_to_it(tmp_path: Path) -> None:
    """A whole list, and CSV with settings of its own."""
    for kind, content, kwargs in (("json", '[\n{"q": "x", "a": "1"}\n]', ""), ("csv", 'q;a\n5";1\n', ", sep: ;")):
        (tmp_path / f"rows.{kind}").write_text(content, encoding="utf-8")
        own = f"{OWN}dataset_path: {kind}\ndataset_kwargs: {{data_files: {{test: rows.{kind}}}{kwargs}}}\n"
        (tmp_path / "own.yaml").write_text(own, encoding="utf-8")
        (task,) = resolve_tasks(loaded(tmp_path, "tasks: {ability: [{name: mine, file: own.yaml}]}\n").suite)
        assert task.remarks == ()
