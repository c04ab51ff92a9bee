"""What is read is what the key was made of: edited rows in every layout, and files that change while they are read."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
from ability_support import ability_hub, save_tiny_lm
from local_hub import TOPICS, text_of, write_repository
from suites_support import isolate, write

from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.results.records import Failure, Score
from harness.sources import reading
from harness.sources.content import content_of
from harness.sources.locate import locate_dataset
from harness.sources.places import Located, Sources
from harness.sources.reading import ChangedContentError, edited_in_cache, read_as_keyed, rows_cache, unchanged
from harness.suite.load import load_suite

PINNED = "a" * 40
OTHER = "b" * 40


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give every test a cache of its own, and return what changes to another, empty one."""
    isolate(monkeypatch, tmp_path / "caches")

    def use(name: str) -> None:
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / name)

    use("rows-cache")
    return use


def retrieval(hub: Path, seed: int) -> None:
    """Write NFCorpus: three configs; the judgements depend on `seed`."""
    rng = random.Random(0)
    topics = list(TOPICS)
    corpus = [{"_id": f"d{n}", "title": "", "text": text_of(topics[n % 5], rng)} for n in range(40)]
    queries = [{"_id": f"q{n}", "text": text_of(topics[n % 5], rng, 4)} for n in range(10)]
    qrels = [{"query-id": f"q{n}", "corpus-id": f"d{(n + 2 * seed) % 40}", "score": 1} for n in range(10)]
    parts = {
        "default/test": (".jsonl", qrels),
        "corpus/corpus": (".jsonl", corpus),
        "queries/queries": (".jsonl", queries),
    }
    write_repository(hub, "mteb/nfcorpus", parts)


def subsets(hub: Path, seed: int) -> None:
    """Write MTOPDomain: a config a language; the labels depend on `seed`."""
    rng = random.Random(0)
    rows = [{"text": text_of(topic, rng), "label": n} for n, topic in enumerate(TOPICS) for _ in range(12)]
    test = [row | {"label": (row["label"] + seed * position) % 5} for position, row in enumerate(rows)]
    parts = {"en/train": (".jsonl", rows), "en/validation": (".jsonl", test), "en/test": (".jsonl", test)}
    write_repository(hub, "mteb/MTOPDomainClassification", parts)


def pairs(hub: Path, seed: int) -> None:
    """Write BIOSSES without a README, packed; the scores depend on `seed`."""
    rng = random.Random(0)
    rows = []
    for number in range(30):
        topic = rng.choice(list(TOPICS))
        row = {"sentence1": text_of(topic, rng), "sentence2": text_of(topic, rng), "score": float(number % 5)}
        rows.append(row | {"score": float((number * (1 + seed)) % 5)})
    path = hub / "datasets/mteb/biosses-sts/data/test.jsonl.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode(), mtime=0))


LAYOUTS = {"NFCorpus": retrieval, "MTOPDomainClassification": subsets, "BIOSSES": pairs}


def scored(folder: Path, suite: dict[str, Any], name: str) -> dict[str, Score | Failure]:
    """Run a suite over the local hub of `folder` and return its results."""
    path = write(folder / "suite.yaml", json.dumps({"version": 1, "name": "s", **suite}))
    options = RunOptions(results=folder / name, sources=Sources(hub=folder / "hub", offline=True))
    return dict(run(load_suite(path).suite, options).results)


def score(found: dict[str, Score | Failure], cell: str) -> float:
    """Return a score, or fail with what went wrong."""
    result = found[cell]
    assert isinstance(result, Score), result.traceback
    return result.score


@pytest.mark.parametrize("task", LAYOUTS)
def test_the_score_over_edited_rows_is_that_of_an_empty_cache(tmp_path, caches, task):
    """Files named as before, in the same folder, one of them with other rows: mteb reads these."""
    suite = {"models": [{"name": "m", "encoder": "tf-idf"}], "tasks": {"embedding": {"names": [task]}}}
    LAYOUTS[task](tmp_path / "hub", 0)
    before = score(scored(tmp_path, suite, "results"), f"m/{task}")
    LAYOUTS[task](tmp_path / "hub", 1)
    after = score(scored(tmp_path, suite, "results"), f"m/{task}")
    caches("empty")
    assert after == score(scored(tmp_path, suite, "fresh"), f"m/{task}") != before


def own_task(folder: Path, answer: str) -> None:
    """Write an lm-eval task over a JSON file, whose right answers are all `answer`."""
    task = {
        "task": "mine", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": "rows.jsonl"}},
        "test_split": "test", "output_type": "multiple_choice", "doc_to_text": "{{q}}", "doc_to_choice": "{{c}}",
        "doc_to_target": "{{a}}", "metric_list": [{"metric": "acc"}],
    }  # fmt: skip
    write(folder / "task.yaml", json.dumps(task))
    rows = [{"q": f"So {n}", "c": ["apple", "pear"], "a": answer} for n in range(6)]
    write(folder / "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def test_lm_eval_reads_the_edited_rows_too(tmp_path, caches):
    """A dataset of the local hub, texts of one, and a file of the user's own."""
    save_tiny_lm(tmp_path / "lm")
    suite = {
        "models": [{"name": "m", "encoder": "mean-pool", "model": str(tmp_path / "lm"), "device": "cpu"}],
        "tasks": {
            "ability": [
                {"name": "mmlu", "subtasks": ["anatomy"], "num_fewshot": 0},
                {"name": "nll", "task": "lm_nll", "dataset": "openai/gsm8k", "config": "main", "column": "question"},
                {"name": "mine", "file": str(tmp_path / "task.yaml")},
            ]
        },
    }
    cells = ("m/mmlu[1/57]", "m/nll", "m/mine")
    ability_hub(tmp_path / "hub/datasets")
    own_task(tmp_path, "apple")
    first = scored(tmp_path, suite, "results")
    before = [first[cell] for cell in cells]
    rewrite(tmp_path / "hub/datasets/cais/mmlu/anatomy/test.parquet", answer=lambda one: (one + 1) % 4)
    rewrite(tmp_path / "hub/datasets/openai/gsm8k/main/test.parquet", question=str.upper)
    own_task(tmp_path, "pear")
    second = scored(tmp_path, suite, "results")
    caches("empty")
    fresh = scored(tmp_path, suite, "fresh")
    for cell, old in zip(cells, before, strict=True):
        now = second[cell]
        assert isinstance(now, Score), now.traceback
        assert now.key != old.key
        assert [one.value for one in now.metrics] == [one.value for one in fresh[cell].metrics]
        assert [one.value for one in now.metrics] != [one.value for one in old.metrics], cell


def rewrite(path: Path, **changes: Callable[[Any], Any]) -> None:
    """Write a parquet file with columns changed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pq.read_table(path).to_pylist()
    changed = [row | {name: change(row[name]) for name, change in changes.items()} for row in rows]
    pq.write_table(pa.Table.from_pylist(changed), path)


def place_of(hub: Path, repo: str) -> Located:
    """Locate a dataset of the local hub."""
    found = locate_dataset(Sources(hub=hub, offline=True), repo, None, subsets=("default",), splits=("test",))
    assert isinstance(found, Located), str(found)
    return found


def load(place: Located, name: str = "default") -> list[Any]:
    """Return the rows of a config, as an engine loads them."""
    with read_as_keyed(place):
        return datasets.load_dataset(place.load_from, name, split="test")["score"]


def test_rows_that_were_converted_before_are_not_converted_again(tmp_path):
    """A second load of the same content reads the first one's table; so does a copy of the folder elsewhere."""
    pairs(tmp_path / "hub", 0)
    pairs(tmp_path / "copy", 0)
    rows = load(place_of(tmp_path / "hub", "mteb/biosses-sts"))
    (table,) = (tmp_path / "rows-cache").rglob("*.arrow")
    made = table.stat().st_mtime_ns
    assert load(place_of(tmp_path / "hub", "mteb/biosses-sts")) == rows
    assert [table.stat().st_mtime_ns] == [one.stat().st_mtime_ns for one in table.parent.glob("*.arrow")] == [made]
    there = place_of(tmp_path / "copy", "mteb/biosses-sts")
    here = place_of(tmp_path / "hub", "mteb/biosses-sts")
    assert rows_cache(tmp_path, here) == rows_cache(tmp_path, there)


@pytest.mark.parametrize("lost", ["default/test-00000-of-00001.jsonl", "en/test-00000-of-00001.jsonl"])
def test_a_file_that_is_empty_or_gone_is_not_served_from_the_cache(tmp_path, lost):
    """Judgements of no row, a subset without its test file: the cell fails, whatever was converted before."""
    task = "NFCorpus" if "default" in lost else "MTOPDomainClassification"
    suite = {"models": [{"name": "m", "encoder": "tf-idf"}], "tasks": {"embedding": {"names": [task]}}}
    LAYOUTS[task](tmp_path / "hub", 0)
    score(scored(tmp_path, suite, "results"), f"m/{task}")
    (path,) = (tmp_path / "hub").rglob(lost)
    if "default" in lost:
        path.write_bytes(b"")
    else:
        path.unlink()
    assert isinstance(scored(tmp_path, suite, "results")[f"m/{task}"], Failure)


def test_a_file_that_changed_since_the_plan_fails_the_cell(tmp_path, monkeypatch):
    """Between plan and cell may lie hours: no score is stored under the key of the old rows."""
    from harness.evaluation import run as story

    suite = {"models": [{"name": "m", "encoder": "tf-idf"}], "tasks": {"embedding": {"names": ["BIOSSES"]}}}
    pairs(tmp_path / "hub", 0)
    ready = story.ready
    monkeypatch.setattr(story, "ready", lambda *given, **more: (ready(*given, **more), pairs(tmp_path / "hub", 1))[0])
    failure = scored(tmp_path, suite, "results")["m/BIOSSES"]
    assert isinstance(failure, Failure)
    assert "test.jsonl.gz has another content" in failure.message
    assert "run it again" in failure.message


def test_a_file_that_changes_while_it_is_read_leaves_no_rows_behind(tmp_path):
    """The table that was converted from the other rows is not read when the first are back."""
    pairs(tmp_path / "hub", 0)
    place = place_of(tmp_path / "hub", "mteb/biosses-sts")
    wrong = []

    def load_meanwhile() -> None:
        with read_as_keyed(place):
            pairs(tmp_path / "hub", 1)
            wrong.extend(datasets.load_dataset(place.load_from, split="test")["score"])

    with pytest.raises(ChangedContentError, match="has another content"):
        load_meanwhile()
    pairs(tmp_path / "hub", 0)
    assert load(place)[:] != wrong


def test_what_breaks_over_a_change_is_said_to_be_the_change(tmp_path):
    """A folder that is emptied while it is read raises no KeyError of the engine's."""
    pairs(tmp_path / "hub", 0)
    place = place_of(tmp_path / "hub", "mteb/biosses-sts")

    def break_off() -> None:
        with read_as_keyed(place):
            next((tmp_path / "hub").rglob("*.gz")).unlink()
            raise KeyError("test")

    with pytest.raises(ChangedContentError, match="is gone"):
        break_off()


def test_a_task_that_reads_files_beside_the_keyed_ones_is_refused(tmp_path):
    """Another folder, or a file that a key leaves out because it is hidden."""
    pairs(tmp_path / "hub", 0)
    subsets(tmp_path / "hub", 0)
    place = place_of(tmp_path / "hub", "mteb/biosses-sts")
    other = str(tmp_path / "hub/datasets/mteb/MTOPDomainClassification")
    with pytest.raises(ChangedContentError, match="not in this cell's key"), read_as_keyed(place):
        datasets.load_dataset(other, "en", split="test")
    hidden = write(Path(place.load_from) / ".rows/test.jsonl", '{"score": 1}\n')
    with pytest.raises(ChangedContentError, match="not in this cell's key"), read_as_keyed(place):
        datasets.load_dataset("json", data_files={"test": str(hidden)}, split="test")


def on_the_hub(commit: str) -> Located:
    """A dataset of the hub at a commit, as a plan names it."""
    return Located(
        kind="cache", load_from="acme/rows", revision=commit, identity={"repo": "acme/rows", "commit": commit},
        source="Hugging Face cache", vouched="pinned revision",
    )  # fmt: skip


def test_offline_the_librarys_cache_serves_the_keys_commit_and_no_newer_one(tmp_path, monkeypatch):
    """Left to itself the library takes the newest of whatever commit; of one that it lacks, nothing is read."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    for number, commit in enumerate((PINNED, OTHER)):  # the newer one last
        rows = datasets.Dataset.from_dict({"score": [number]}, split="test")
        folder = tmp_path / "rows-cache/acme___rows/default/0.0.0" / commit
        rows.info.splits = datasets.SplitDict({"test": datasets.SplitInfo(name="test", num_examples=1)})
        rows.info.config_name, rows.info.dataset_name = "default", "rows"
        rows.save_to_disk(folder.parent / "saved")
        folder.mkdir(parents=True)
        next((folder.parent / "saved").glob("*.arrow")).replace(folder / "rows-test.arrow")
        rows.info.write_to_directory(folder)
    for number, commit in enumerate((PINNED, OTHER)):
        with read_as_keyed(on_the_hub(commit)):
            assert datasets.load_dataset("acme/rows", "default", split="test", revision=commit)["score"][:] == [number]
    with pytest.raises(ConnectionError), read_as_keyed(on_the_hub("c" * 40)):
        datasets.load_dataset("acme/rows", "default", split="test", revision="c" * 40)


def in_hub_cache(folder: Path, files: dict[str, bytes]) -> Path:
    """Write a snapshot as the hub's client does: links to blobs that are called by their hashes."""
    snapshot = folder / "models--acme--tiny/snapshots" / PINNED
    for name, content in files.items():
        small = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        blob = (
            folder / "models--acme--tiny/blobs" / (hashlib.sha256(content).hexdigest() if len(content) > 9 else small)
        )
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).symlink_to(blob)
    return snapshot


@pytest.mark.parametrize("edited", ["config.json", "model.safetensors", "a link that was replaced"])
def test_a_snapshot_that_was_edited_by_hand_is_refused(tmp_path, monkeypatch, edited):
    """The key names a commit: weights that are not the commit's are not scored under it."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot = in_hub_cache(tmp_path, {"config.json": b"{}", "model.safetensors": b"weights, long enough"})
    place = replace(on_the_hub(PINNED), load_from="acme/tiny")
    with unchanged(place, "models"):
        assert edited_in_cache("models", "acme/tiny", PINNED) == []
    path = snapshot / ("config.json" if "link" in edited else edited)
    if "link" in edited:
        path.unlink()
    path.write_bytes(b"[]")
    with pytest.raises(ChangedContentError, match=path.name), unchanged(place, "models"):
        raise AssertionError("it must not be read")


def test_weights_that_change_while_they_load_are_refused(tmp_path):
    """As rows are; an adapter's and a tokenizer's files among them."""
    write(tmp_path / "model/model.safetensors", "one")
    place = Located(
        kind="folder", load_from=str(tmp_path), revision=None, identity={}, source="folder model", vouched=None,
        content=content_of(tmp_path / "model", "weights"),
    )  # fmt: skip
    with pytest.raises(ChangedContentError, match="folder model: not what this cell's key"), unchanged(place, "models"):
        write(tmp_path / "model/model.safetensors", "two")


def test_the_rows_cache_does_not_hang_on_how_rows_are_asked():
    """An edited prompt of an lm-eval task file is another key over the same rows: they are not converted again."""
    place = on_the_hub(PINNED)
    asked = [replace(place, identity=place.identity | {reading.TASK_FILES: one}) for one in ("1", "2")]
    assert len({rows_cache(Path("x"), one) for one in (place, *asked)}) == 1
