"""Training data of the hub: a server on this machine, streamed, drawn by seed, with a network that breaks off."""

from __future__ import annotations

import errno
import gzip
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datasets.exceptions import DatasetGenerationError
from fetch_support import card, environment, parquet
from grace_support import jsonl
from hub_server import HubServer, Repo, hub_server
from suites_support import dataset_head, write

from grace.config.schema import Columns, Data
from grace.data.read import _numbered
from grace.data.rows import _drawn, load_data
from grace.data.table import Row
from harness.errors import EnvironmentGapError, InputError
from harness.sources.places import Sources

COMMIT = "5" * 40
REPO = "mine/triplets"
COLUMNS = {"query": "query", "positive": "pos", "negative": "neg"}
LOAD = """
import json, sys
import datasets
from grace.config.schema import Data
from grace.data.rows import load_data
from harness.errors import HarnessError
from harness.sources.places import Sources
datasets.config.STREAMING_READ_RETRY_INTERVAL = 0
for asked in json.load(sys.stdin):
    try:
        found = load_data(Data(**{"dataset": "mine/triplets"} | asked), Sources())
        rows = [[row.query, row.positive, list(row.negatives), row.place] for row in found.rows]
        print(json.dumps({"rows": rows, "identity": found.identity, "remark": found.remark}))
    except HarnessError as error:
        print(json.dumps({"error": str(error), "exit_code": int(error.exit_code)}))
"""


def rows(first: int, last: int) -> list[dict[str, Any]]:
    """Return rows as the public replication of E5 has them: lists of positives and of negatives."""
    return [{"query": f"q {n}", "pos": [f"p {n}", "o"], "neg": [f"n {n}", f"m {n}"]} for n in range(first, last)]


def lines(first: int, last: int) -> bytes:
    """Return them as JSON lines."""
    return "".join(f"{json.dumps(row)}\n" for row in rows(first, last)).encode()


@pytest.fixture
def hub():
    """Serve JSON lines in two splits, one of three files; and, as another dataset, two files of parquet."""
    files = {f"data/eli5-0000{k}.jsonl": lines(30 * k, 30 * k + 30) for k in range(3)}
    files["data/fever-00000.jsonl"] = lines(90, 95)
    files["README.md"] = card({"default": {"eli5": "data/eli5-*", "fever": "data/fever-*"}})
    columnar = {}
    for k in range(2):
        some = rows(10 * k, 10 * k + 10)
        columnar[f"pq/part-{k}.parquet"] = parquet({name: [row[name] for row in some] for name in some[0]})
    columnar["README.md"] = card({"two": {"train": "pq/*.parquet"}})
    with hub_server() as server:
        server.add(Repo("datasets", REPO, COMMIT, files))
        server.add(Repo("datasets", "mine/columnar", COMMIT, columnar))
        yield server


def load(hub: HubServer, folder: Path, *asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Load in a process of its own, whose hub is the server, and return what came of each."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        input=json.dumps([{"columns": COLUMNS, **one} for one in asked]),
        env=environment(hub.endpoint, folder),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_limit_streams_no_more_than_it_takes(hub, tmp_path):
    """Of three files the first alone is asked for; the commit is noted, and that nothing pinned it is said."""
    (found,) = load(hub, tmp_path, {"split": "eli5", "limit": 7})
    expected = [[f"q {n}", f"p {n}", [f"n {n}", f"m {n}"], f"{REPO} eli5, row {n + 1}"] for n in range(7)]
    assert found["rows"] == expected
    assert found["identity"] == {"repo": REPO, "commit": COMMIT}
    assert f"no commit is pinned; main is {COMMIT} now" in found["remark"]
    asked = {path.rpartition("/")[2] for path in hub.downloads() if "/data/" in path}
    assert asked == {"eli5-00000.jsonl"}


def test_a_sample_is_drawn_from_all_splits_by_seed_and_pinned_by_commit(hub, tmp_path):
    """The same twice, another by another seed; one negative a row where that is asked; whole where nothing is."""
    told = {"split": "all", "revision": COMMIT, "negatives": 1}
    sample, further = told | {"sample": 20}, {"dataset": "mine/columnar", "config": "two", "sample": 20}
    one, again, other, whole, columnar = load(hub, tmp_path, sample, sample, sample | {"seed": 1}, told, further)
    assert [row[:2] for row in columnar["rows"]] == [[f"q {n}", f"p {n}"] for n in range(20)]
    every = [[row["query"], row["pos"][0], row["neg"][:1]] for row in rows(0, 95)]
    assert [row[:3] for row in whole["rows"]] == every
    places = [every.index(row[:3]) for row in one["rows"]]
    assert places == sorted(set(places))
    assert len(places) == 20
    assert one == again
    assert one["rows"] != other["rows"]
    assert one["remark"] is None


def test_a_connection_that_breaks_off_is_taken_up_again(hub, tmp_path):
    """In the middle of a file, once."""
    path = "data/eli5-00001.jsonl"
    hub.faults.cut_after[path], hub.faults.cuts_left[path] = 700, 1
    (found,) = load(hub, tmp_path / "a", {"split": "eli5", "sample": 90})
    assert [row[0] for row in found["rows"]] == [f"q {n}" for n in range(90)]


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (ConnectionError("Server Disconnected"), EnvironmentGapError, "broke off after row 1: Server Disconnected"),
        (ValueError("JSON parse error"), InputError, "cannot be read after row 1: JSON parse error"),
    ],
)
def test_half_a_dataset_is_never_trained_on(error, kind, said):
    """Where the network stays away, and where a file is something else than its name says."""

    def broken():
        yield rows(0, 1)[0]
        raise error

    with pytest.raises(kind, match=said):
        list(_numbered([("train", broken())], REPO))


def test_wrong_names_say_what_there_is(hub, tmp_path):
    """Columns and splits, each in one line and not one a row; a sample larger than the data is no sample."""
    wrong = {"columns": COLUMNS | {"positive": "positve"}}
    column, split, many = load(
        hub, tmp_path, {"split": "eli5", "limit": 5} | wrong, {"limit": 5}, {"split": "fever", "sample": 6}
    )
    assert column["exit_code"] == split["exit_code"] == many["exit_code"] == 2
    assert "no column 'positve'; it has: query, pos, neg; did you mean 'pos'?" in column["error"]
    assert len(column["error"].splitlines()) == 1
    assert "split 'train': Bad split: train. Available splits: ['eli5', 'fever']" in split["error"]
    assert "data.sample: 6, and there are 5 usable rows" in many["error"]


def test_a_pinned_dataset_that_the_hub_refuses_says_why_and_the_way_on(hub, tmp_path):
    """As an unpinned one does, of which the hub is asked first; and where it has two configurations that is said."""
    files = {"a/train.jsonl": lines(0, 2), "b/train.jsonl": lines(2, 4)}
    files["README.md"] = card({"a": {"train": "a/*"}, "b": {"train": "b/*"}})
    hub.add(Repo("datasets", "mine/two", COMMIT, files))
    hub.add(Repo("datasets", "mine/gated", COMMIT, files, gated=True))
    hub.add(Repo("datasets", "mine/gated-files", COMMIT, files, gated_files=True))
    hub.add(Repo("datasets", "mine/empty", COMMIT, {"train.jsonl": b""}))
    pinned = {"revision": COMMIT}
    absent, other, gated, files_gated, two, empty = load(
        hub,
        tmp_path,
        {"dataset": "mine/absent", "limit": 1} | pinned,
        {"revision": "4" * 40, "split": "eli5"},
        {"dataset": "mine/gated"} | pinned,
        {"dataset": "mine/gated-files", "config": "a"} | pinned,
        {"dataset": "mine/two"} | pinned,
        {"dataset": "mine/empty", "limit": 1} | pinned,
    )
    assert [one["exit_code"] for one in (absent, other, gated, files_gated)] == [4] * 4
    assert "no such dataset repository, or it is private\n    next: check the name" in absent["error"]
    assert f"the repository has no revision '{'4' * 40}'\n    next: look at" in other["error"]
    assert "next: accept the licence at" in gated["error"]
    assert "gated dataset on the Hub" in files_gated["error"]
    assert "next: `hf auth login`" in files_gated["error"]
    assert two["error"].endswith("among the available configs: ['a', 'b']; say data.config")
    assert empty["error"].endswith("split 'train': a file of it is empty")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("train.jsonl", b'{"query": "a", "pos": ["b"]}\n{"query": \n', "JSON parse error"),
        ("train.jsonl", '{"query": "a"}\n'.encode("utf-16"), "JSON parse error"),
        ("train.jsonl", b"", "a file of it is empty"),
        ("train.jsonl.gz", gzip.compress(lines(0, 9))[:-9], "ended before the end-of-stream marker"),
        ("train.zip", b"PK", "not a zip file"),
        ("mine.py", b"", "scripts are no longer supported"),
        ("README.md", b"---\nconfigs: [\n---\n", "while parsing a flow node"),
    ],
)
def test_files_that_the_library_cannot_read_are_said_in_words(name, content, said, tmp_path, monkeypatch):
    """In one line, whatever the library raises: an error of its own, of zip files, of YAML, the end of an iterator."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "mine"
    if not name.startswith("train"):
        write(folder / "train.jsonl", lines(0, 2).decode())
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_data(Data(dataset=str(folder), columns=Columns(query="query", positive="pos")), Sources(offline=True))
    (problem,) = caught.value.problems
    assert problem.startswith(f"data.dataset: {folder} (folder {folder}), split 'train': ")
    assert said in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError(), KeyboardInterrupt()]
)
def test_a_full_disk_is_no_fault_of_the_data(error, monkeypatch, tmp_path):
    """Nor is memory that runs out, or Ctrl-C: they stay what they are."""
    wrapped = DatasetGenerationError("An error occurred while generating the dataset")
    wrapped.__cause__ = error

    def load_dataset(*_, **__):
        raise wrapped if isinstance(error, Exception) else error

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    write(tmp_path / "mine" / "train.jsonl", lines(0, 2).decode())
    with pytest.raises(type(error)):
        load_data(Data(dataset=str(tmp_path / "mine"), columns=Columns(text="query")), Sources(offline=True))


def test_offline_says_what_is_missing_and_how_to_get_it():
    """With its revision; nothing is asked."""
    with pytest.raises(EnvironmentGapError) as caught:
        load_data(Data(dataset=REPO, revision=COMMIT), Sources(offline=True))
    command = f"hf download {REPO} --repo-type dataset --revision {COMMIT} --local-dir HUB/datasets/{REPO}"
    assert command in str(caught.value)


def test_a_sample_of_files_and_local_hubs_is_that_of_the_hub(tmp_path):
    """One rule for all: the rows that a reservoir leaves, in their order; `limit` bounds what is drawn from."""
    plain = jsonl(tmp_path / "a.jsonl", rows(0, 40))
    folder = tmp_path / "hub" / "datasets" / REPO
    write(folder / "README.md", dataset_head({"default": {"train": "train.jsonl"}}))
    jsonl(folder / "train.jsonl", rows(0, 40))
    columns = Columns(**COLUMNS)
    told = {"columns": columns, "sample": 9, "limit": 25}
    of_file = load_data(Data(path=str(plain), **told), Sources()).rows
    of_hub = load_data(Data(dataset=REPO, **told), Sources(hub=tmp_path / "hub", offline=True)).rows
    assert [row[:3] for row in of_file] == [row[:3] for row in of_hub]
    assert len(of_file) == 9
    assert max(int(row.query.split()[1]) for row in of_file) < 25
    with pytest.raises(InputError, match=r"data\.sample: 41, and there are 40 usable rows"):
        load_data(Data(path=str(plain), columns=columns, sample=41), Sources())


def test_every_row_is_drawn_as_often_as_any():
    """Two of five, two thousand times: each about 800 times, within five standard deviations (22 each)."""
    every = [Row(str(n), None, (), "") for n in range(5)]
    drawn = Counter(row.query for seed in range(2000) for row in _drawn(every, 2, [], seed=seed))
    assert all(abs(drawn[str(n)] - 800) < 110 for n in range(5))


def test_a_folder_laid_out_like_a_dataset_is_one(tmp_path, monkeypatch):
    """With a card and without; known by its content, so that edited rows are others; what it lacks is said."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "rows"
    write(folder / "data" / "train.jsonl", lines(0, 5).decode())
    told = Data(dataset=str(folder), columns=Columns(query="query", positive="pos", negative=("neg",)))
    bare = load_data(told, Sources(offline=True))
    assert [row.query for row in bare.rows] == [f"q {n}" for n in range(5)]
    assert bare.identity.keys() == {"files_sha256"}
    write(folder / "data" / "train.jsonl", lines(5, 9).decode())
    edited = load_data(told, Sources(offline=True))
    assert [row.query for row in edited.rows] == [f"q {n}" for n in range(5, 9)]
    assert edited.identity != bare.identity
    write(folder / "README.md", dataset_head({"two": {"eli5": "data/train.jsonl"}}))
    of_card = load_data(told.model_copy(update={"config": "two", "split": "all"}), Sources())
    assert [row.query for row in of_card.rows] == [f"q {n}" for n in range(5, 9)]
    with pytest.raises(InputError, match=r"""split 'test': Unknown split "test". Should be one of \['eli5'\]"""):
        load_data(told.model_copy(update={"config": "two", "split": "test"}), Sources())
    with pytest.raises(EnvironmentGapError, match="no such folder"):
        load_data(told.model_copy(update={"dataset": str(tmp_path / "gone")}), Sources())
