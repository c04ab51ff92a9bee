"""Every file that goes into the scores of a user's lm-eval task is in its key; what cannot be hashed is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from suites_support import isolate, write

from harness.errors import InputError
from harness.plan.cells import Cell
from harness.plan.lm_eval_files import own_task
from harness.plan.planner import make_plan
from harness.sources.places import Sources
from harness.suite.load import load_suite

TASK: dict[str, Any] = {
    "task": "mine", "dataset_path": "json", "test_split": "test", "output_type": "multiple_choice",
    "dataset_kwargs": {"data_files": {"test": "rows.jsonl"}},
    "doc_to_text": "{{q}}", "doc_to_choice": "{{c}}", "doc_to_target": 0,
}  # fmt: skip
ROW = json.dumps({"q": "So", "c": ["a", "b"]}) + "\n"


@pytest.fixture(autouse=True)
def _caches(tmp_path, monkeypatch):
    isolate(monkeypatch, tmp_path / "caches")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with rows; task files go beside them."""
    write(tmp_path / "work/tasks/rows.jsonl", ROW)
    return tmp_path / "work/tasks"


def task_file(folder: Path, text: str = "", name: str = "task.yaml", **changes: Any) -> Path:
    """Write a task file: `TASK` with `changes`, None for a key to leave out, and lines of YAML after it."""
    said = {key: value for key, value in (TASK | changes).items() if value is not None}
    lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in said.items())
    return write(folder / name, f"{lines}{text}\n")


def cell(folder: Path, task: Path | dict[str, str], hub: Path | None = None) -> Cell:
    """Return the one cell of a suite over a task file, or over an entry of an ability task."""
    entry = json.dumps(task if isinstance(task, dict) else {"name": "mine", "file": str(task)})
    lm = write(folder.parent.parent / "lm/config.json", "{}").parent
    model = f"models: [{{name: m, encoder: mean-pool, model: {lm}, device: cpu}}]"
    suite = write(folder.parent.parent / "suite.yaml", f"version: 1\nname: s\n{model}\ntasks: {{ability: [{entry}]}}\n")
    (found,) = make_plan(load_suite(suite).suite, Sources(hub=hub, offline=True)).cells
    return found


def key(folder: Path, task: Path | dict[str, str], hub: Path | None = None) -> str:
    """Return the cell's key."""
    found = cell(folder, task, hub)
    assert found.key is not None, found.reason
    return found.key


def python_beside(folder: Path) -> Path:
    """A function beside the task file, which imports a module from the folder above and opens a file by its name."""
    write(folder / "functions.py", "import helper\nRIGHT = open('answers.txt').read()\ndef text(doc):\n    return ''\n")
    write(folder.parent / "helper.py", "import deeper\n")
    write(folder.parent / "deeper.py", "x = 1\n")
    write(folder / "answers.txt", "a")
    return task_file(folder, "process_docs: !function functions.text")


def included(folder: Path) -> Path:
    """A chain: a file one folder up, whose own include lies elsewhere and names a function beside itself."""
    write(folder.parent / "common.yaml", "include: deep/base.yaml\ndescription: x\n")
    write(folder.parent / "deep/base.yaml", "target_delimiter: ' '\nprocess_docs: !function own.text\n")
    write(folder.parent / "deep/own.py", "from package.inner import x\ndef text(doc):\n    return ''\n")
    write(folder.parent / "deep/package/inner.py", "from . import other\n")
    write(folder.parent / "deep/package/other.py", "x = 1\n")
    return task_file(folder, "include: ../common.yaml")


def below_data_dir(folder: Path) -> Path:
    """All files below a folder."""
    write(folder / "rows/test.jsonl", ROW)
    write(folder / "rows/more/train.jsonl", ROW)
    return task_file(folder, dataset_kwargs={"data_dir": "rows"})


def nested_data_files(folder: Path) -> Path:
    """Mappings, lists, patterns, files relative to a folder of data, and two of one name."""
    for name in ("a/part.jsonl", "b/part.jsonl", "parts/x/1.jsonl", "parts/2.jsonl"):
        write(folder / "rows" / name, ROW + json.dumps({"q": name, "c": ["a", "b"]}) + "\n")
    files = {"test": ["a/part.jsonl", "b/part.jsonl"], "train": "parts/**/*.jsonl"}
    return task_file(folder, dataset_kwargs={"data_dir": "rows", "data_files": files})


def local_folder(folder: Path) -> Path:
    """`dataset_path` names a folder beside the task file."""
    write(folder / "mydata/test.jsonl", ROW)
    return task_file(folder, dataset_path="mydata", dataset_kwargs=None)


def custom_dataset(folder: Path) -> Path:
    """Rows that a function makes of the files it is given."""
    write(folder / "given/extra.jsonl", ROW)
    write(folder / "table.csv", "a")
    write(folder / "make.py", "def rows(**kwargs):\n    return {}\n")
    kwargs = {"given": "./given", "table": "table.csv"}
    return task_file(folder, "custom_dataset: !function make.rows", dataset_path=None, dataset_kwargs=kwargs)


def a_hub_dataset(folder: Path) -> Path:
    """Rows of the local hub, asked as files of one's own say."""
    write(folder.parent / "hub/datasets/acme/rows/test.jsonl", ROW)
    write(folder.parent / "common.yaml", "description: x\n")
    return task_file(folder, "include: ../common.yaml", dataset_path="acme/rows", dataset_kwargs=None)


EDITED = [
    (python_beside, "functions.py"),
    (python_beside, "answers.txt"),
    (python_beside, "../helper.py"),
    (python_beside, "../deeper.py"),
    (included, "../common.yaml"),
    (included, "../deep/base.yaml"),
    (included, "../deep/own.py"),
    (included, "../deep/package/inner.py"),
    (included, "../deep/package/other.py"),
    (included, "rows.jsonl"),
    (below_data_dir, "rows/test.jsonl"),
    (below_data_dir, "rows/more/train.jsonl"),
    (nested_data_files, "rows/a/part.jsonl"),
    (nested_data_files, "rows/b/part.jsonl"),
    (nested_data_files, "rows/parts/x/1.jsonl"),
    (nested_data_files, "rows/parts/2.jsonl"),
    (local_folder, "mydata/test.jsonl"),
    (custom_dataset, "given/extra.jsonl"),
    (custom_dataset, "table.csv"),
    (custom_dataset, "make.py"),
    (a_hub_dataset, "../common.yaml"),
    (a_hub_dataset, "../hub/datasets/acme/rows/test.jsonl"),
]


@pytest.mark.parametrize(("make", "edited"), EDITED, ids=[f"{make.__name__}-{one}" for make, one in EDITED])
def test_an_edited_file_is_another_key(folder, make, edited):
    """Whatever it is and wherever it lies; as it was, it is the old key again."""
    task, hub = make(folder), folder.parent / "hub"
    before, path = key(folder, task, hub), folder / edited
    text = path.read_text(encoding="utf-8")
    write(path, f"{text}\n# edited\n" if path.suffix in (".py", ".yaml") else text + ROW)
    assert key(folder, task, hub) != before
    write(path, text)
    assert key(folder, task, hub) == before


def test_two_files_of_one_name_that_swap_contents_are_another_key(folder):
    """A key that knew them by their names alone would not notice."""
    task = nested_data_files(folder)
    before = key(folder, task)
    one, other = folder / "rows/a/part.jsonl", folder / "rows/b/part.jsonl"
    texts = one.read_text(encoding="utf-8"), other.read_text(encoding="utf-8")
    write(one, texts[1])
    write(other, texts[0])
    assert key(folder, task) != before


def test_what_goes_into_no_score_is_in_no_key(folder):
    """A task file of another task, Python that nobody names, a note; and the place of the whole."""
    task = included(folder)
    before = key(folder, task)
    for name in ("other.yaml", "tool.py", "../notes.md", "../deep/readme.txt"):
        write(folder / name, "x")
    assert key(folder, task) == before
    moved = folder.parent.rename(folder.parent.parent / "moved")
    assert key(moved / "tasks", moved / "tasks/task.yaml") == before


def test_a_module_on_the_path_is_in_the_key_and_an_installed_one_is_not(folder, tmp_path, monkeypatch):
    """`!function` may name a module that Python finds; packages are recorded by their versions."""
    write(tmp_path / "on-path/mytasks/text.py", "import json, yaml, harness.errors\ndef text(doc):\n    return ''\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "on-path"), *sys.path])
    task = task_file(folder, "process_docs: !function mytasks.text.text")
    before = key(folder, task)
    write(tmp_path / "on-path/mytasks/text.py", "x = 1\n")
    assert key(folder, task) != before


REFUSED = [
    ({"dataset_kwargs": {"data_files": "https://example.org/x.jsonl"}}, "cannot be hashed"),
    ({"dataset_kwargs": {"data_files": {"test": ["hf://datasets/a/b/x.jsonl"]}}}, "cannot be hashed"),
    ({"dataset_kwargs": {"data_files": "zip://rows.jsonl::rows.zip"}}, "cannot be hashed"),
    ({"dataset_path": "hf://buckets/a/b", "dataset_kwargs": None}, "cannot be hashed"),
    ({"dataset_kwargs": {"data_files": "rows.jsonl", "cache_dir": "x"}}, "cache_dir"),
    ({"dataset_kwargs": {"data_files": "rows.jsonl", "features": "schema.json"}}, "schema.json"),
    ({"dataset_kwargs": {"data_files": "rows.jsonl", "deep": [{"er": "./schema.json"}]}}, "schema.json"),
    ({"dataset_kwargs": {}}, "names no rows"),
    ({"dataset_path": "script.py", "dataset_kwargs": None}, "loading scripts are not run"),
    ({"dataset_path": "acme/rows", "dataset_kwargs": {"data_files": "../x.jsonl"}}, "lies outside of acme/rows"),
    ({"dataset_path": "acme/rows", "dataset_kwargs": {"data_files": "/x.jsonl"}}, "lies outside of acme/rows"),
    ({"use_prompt": "promptsource:x"}, "use_prompt"),
]


@pytest.mark.parametrize(("changes", "said"), REFUSED)
def test_what_no_key_can_hold_is_refused_in_words(folder, changes, said):
    """Before anything is run, with what to do instead."""
    write(folder / "schema.json", "{}")
    write(folder / "script.py", "x = 1\n")
    with pytest.raises(InputError, match=said):
        own_task(task_file(folder, **changes))


def test_options_of_a_reader_are_no_files(folder):
    """A folder that happens to be called as a field is none of the data."""
    write(folder / "data/x.txt", "x")
    kwargs = {"data_files": "rows.jsonl", "field": "data"}
    assert own_task(task_file(folder, dataset_kwargs=kwargs))["dataset_kwargs"] == kwargs


def test_files_that_are_not_there_are_a_gap(folder):
    """Named with the others that a run lacks: a file, a pattern, a folder, an empty file."""
    write(folder / "empty.jsonl", "")
    for kwargs, said in (
        ({"data_files": "no.jsonl"}, "no such file"),
        ({"data_files": "no/*.jsonl"}, "no such file"),
        ({"data_dir": "no"}, "no folder with files"),
        ({"data_files": ["rows.jsonl", "empty.jsonl"]}, "no rows"),
    ):
        found = cell(folder, task_file(folder, dataset_kwargs=kwargs))
        assert found.state == "missing"
        assert said in str(found.reason)


def test_a_file_that_is_included_twice_is_refused(folder):
    """lm-eval takes it for a circle, and fails in the middle of a run."""
    write(folder / "a.yaml", "include: base.yaml\n")
    write(folder / "base.yaml", "description: x\n")
    with pytest.raises(InputError, match="included twice"):
        own_task(task_file(folder, "include: [a.yaml, base.yaml]"))


def test_python_that_cannot_be_read_is_refused(folder):
    """At the plan, with its name, and not when the cell is run."""
    write(folder / "functions.py", "def (")
    with pytest.raises(InputError, match=r"functions\.py: not Python"):
        cell(folder, task_file(folder, "process_docs: !function functions.text"))


def test_texts_of_a_file_are_keyed_by_content(folder):
    """`lm_nll` over JSON lines."""
    entry = {"name": "lm_nll", "file": str(folder / "rows.jsonl"), "column": "q"}
    before = key(folder, entry)
    write(folder / "rows.jsonl", ROW + ROW)
    assert key(folder, entry) != before
