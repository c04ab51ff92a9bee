"""`harness contamination` over a task of every kind: planted overlaps are found, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from suites_support import Command, isolate, suite_file, write

import harness
from harness.candidates.candidate import Candidate
from harness.cli import contamination as cli
from harness.contamination import check
from harness.contamination.record import from_json
from harness.digests import sha256_file
from harness.errors import InputError
from harness.plan.planner import make_plan
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.load import load_suite

LONG = "aa bb cc dd ee ff gg hh ii jj kk ll mm"
BODY = """\
models:
  - {name: words, encoder: tf-idf, dimension: 256}
tasks:
  custom:
    - {name: similar, type: STS, path: sts}
    - {name: same, type: PairClassification, path: pairs}
    - {name: kinds, type: Classification, path: kinds}
    - {name: groups, type: Clustering, path: groups}
    - {name: finds, type: Retrieval, path: finds}
    - {name: ranks, type: Reranking, path: ranks}
    - {name: sums, type: Summarization, path: sums}
"""


def rows(*each: dict[str, Any]) -> str:
    """Return JSON lines."""
    return "".join(json.dumps(one) + "\n" for one in each)


def write_data(folder: Path) -> None:
    """Write the seven tasks; what is planted stands in `TRAINING`."""
    words = ("apple", "river", "stone", "cloud", "tiger")
    similar = (
        {"sentence1": f"pair{n} {' '.join(words)}", "sentence2": f"other{n} {' '.join(words[: n + 1])}", "score": n}
        for n in range(5)
    )
    write(folder / "sts/test.jsonl", rows(*similar))
    same = (
        {"sentence1": f"ask{n} one", "sentence2": f"ask{n} {'two' if n % 2 else 'one'}", "label": n % 2}
        for n in range(6)
    )
    write(folder / "pairs/test.jsonl", rows(*same))
    for split in ("train", "test"):
        kinds = ({"text": f"{split} {kind} word{n}", "label": kind} for kind in ("good", "bad") for n in range(4))
        write(folder / f"kinds/{split}.jsonl", rows(*kinds))
    groups = ({"text": f"{kind} text {n}", "label": kind} for kind in ("up", "down") for n in range(4))
    write(folder / "groups/test.jsonl", rows(*groups))
    documents = (
        {"_id": f"d{n}", "title": f"title{n}", "text": f"document number{n} {LONG if n == 2 else ''}"} for n in range(6)
    )
    write(folder / "finds/corpus.jsonl", rows(*documents))
    queries = ({"_id": f"q{n}", "text": f"find number{n}"} for n in range(4))
    write(folder / "finds/queries.jsonl", rows(*queries))
    judged = ({"query-id": f"q{n}", "corpus-id": f"d{n}", "score": 1} for n in range(4))
    write(folder / "finds/qrels.jsonl", rows(*judged))
    ranked = (
        {"query": f"asked{n}", "positive": [f"yes asked{n}"], "negative": [f"no{n}", f"never{n}"]} for n in range(3)
    )
    write(folder / "ranks/test.jsonl", rows(*ranked))
    summed = (
        {
            "text": f"text{n}",
            "human_summaries": [f"hand{n} {' '.join(words)}"],
            "machine_summaries": [f"machine{n} {' '.join(words[: k + 1])}" for k in range(3)],
            "relevance": [1, 3, 2],
        }
        for n in range(3)
    )
    write(folder / "sums/test.jsonl", rows(*summed))


TRAINING = rows(
    {"query": "PAIR3, apple river stone; cloud tiger!", "positive": "nothing"},
    {"query": "ask2 one", "positive": "train good word1"},
    {"query": "test bad word0", "positive": ["up text 1", "down text 2"]},
    {"query": "Find   number0.", "positive": f"other words, then {LONG.upper()} and an end"},
    {"query": "asked1", "positive": "yes ASKED2"},
    {"query": "title4 document number4", "positive": "machine2 apple"},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """All tasks, run; the training file beside them."""
    folder = tmp_path_factory.mktemp("contaminated")
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder)
        patch.chdir(folder)
        suite_file(folder, BODY)
        write_data(folder)
        write(folder / "training.jsonl", TRAINING)
        options = harness.RunOptions(results=folder / "results", sources=Sources(offline=True))
        outcome = harness.run(load_suite(folder / "mine.yaml").suite, options)
        assert all(one.status == "ok" for one in outcome.results.values()), outcome.results
        yield folder


@pytest.fixture
def command(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command, run in this process, in the folder."""
    isolate(monkeypatch, folder)
    monkeypatch.chdir(folder)
    return Command(monkeypatch, capsys)


FOUND = {
    # task: role -> (texts, whole, in part); items; touched
    "similar": ({"text": (10, 1, 0)}, 5, 1),
    "same": ({"text": (12, 2, 0)}, 6, 1),
    "kinds": ({"text": (8, 1, 0)}, 8, 1),
    "groups": ({"text": (8, 2, 0)}, 0, 0),
    "finds": ({"query": (4, 1, 0), "document": (6, 1, 1)}, 4, 2),
    "ranks": ({"query": (3, 1, 0), "document": (9, 1, 0)}, 3, 2),
    "sums": ({"text": (12, 1, 0)}, 3, 1),
}


def test_planted_overlaps_are_found_in_every_kind_of_task(folder: Path, command: Command) -> None:
    """Texts by role, items of which a text is found; a document nobody judged touches no query."""
    done = command("contamination", "mine.yaml", "--training", "training.jsonl", "--offline", cwd=folder)
    assert done.returncode == 0, done.stderr
    (one,) = from_json((folder / "results/contamination/mine.json").read_bytes())
    assert one.models == ("words",)
    assert [(file.file, file.texts) for file in one.training] == [("training.jsonl", 13)]
    found = {
        task.task: ({row.role: (row.texts, row.whole, row.part) for row in task.matched}, task.items, task.touched)
        for task in one.tasks
    }
    assert found == FOUND
    assert all(not task.why for task in one.tasks)
    assert "finds (document)" in done.stdout


def test_scores_stand_over_the_clean_items(folder: Path, command: Command) -> None:
    """By hand from per-item results: the mean without the queries that are touched; of sets there is none."""
    command("contamination", "mine.yaml", "--training", "training.jsonl", "--offline", cwd=folder)
    (one,) = from_json((folder / "results/contamination/mine.json").read_bytes())
    scores = {task.task: task.scores["words"][1] for task in one.tasks}
    store = Store(folder / "results")
    cells = {score.task: score for score in store.all_results()}
    items = store.items_of(cells["finds"]).to_pylist()  # type: ignore[arg-type, union-attr]
    clean = [row["score"] for row in items if row["query"] not in ("q0", "q2")]
    assert scores["finds"].clean == pytest.approx(100 * sum(clean) / len(clean))
    items = store.items_of(cells["kinds"]).to_pylist()  # type: ignore[arg-type, union-attr]
    clean = [row["score"] for row in items if row["text"] != "test bad word0"]
    assert len(clean) == 7
    assert scores["kinds"].clean == pytest.approx(100 * sum(clean) / len(clean))
    assert scores["groups"].why.startswith("its items are sets")
    assert scores["similar"].n_clean == 4


def test_the_report_shows_it(folder: Path, command: Command) -> None:
    """In report.md and the page; a cell that was scored again since has no clean score there."""
    command("contamination", "mine.yaml", "--training", "training.jsonl", "--offline", cwd=folder)
    done = command("report", "mine.yaml", "--offline", "--out", "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    text = (folder / "out/report.md").read_text(encoding="utf-8")
    assert "## Test texts in training files" in text
    assert "### training.jsonl (13 texts): words" in text
    page = (folder / "out/index.html").read_text(encoding="utf-8")
    assert "Test texts in training.jsonl (13 texts): words" in page
    kept = folder / "results/contamination/mine.json"
    record = json.loads(kept.read_text(encoding="utf-8"))
    for task in record["overlaps"][0]["tasks"]:
        for of in task["scores"].values():
            of[0] = "another key"
    kept.write_text(json.dumps(record), encoding="utf-8")
    command("report", "mine.yaml", "--offline", "--out", "out", cwd=folder)
    text = (folder / "out/report.md").read_text(encoding="utf-8")
    assert "over clean items" not in text
    assert "found whole" in text


def test_chunks_of_a_test_give_the_same(folder: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little of it is in memory at once: the training file is read again for each chunk, and counted once."""
    command("contamination", "mine.yaml", "--training", "training.jsonl", "--offline", cwd=folder)
    kept = folder / "results/contamination/mine.json"
    before = kept.read_bytes()
    monkeypatch.setattr(check, "MOST_HASHES", 3)
    command("contamination", "mine.yaml", "--training", "training.jsonl", "--offline", cwd=folder)
    assert kept.read_bytes() == before


def test_a_part_of_a_suite_replaces_nothing_else(folder: Path, command: Command) -> None:
    """Other tasks of the same training files stay, and other models whatever they are compared with."""
    two = BODY.replace("models:\n", "models:\n  - {name: more, encoder: tf-idf, dimension: 512}\n")
    suite_file(folder, two, "two")
    kept = folder / "results/contamination/two.json"
    run = ("contamination", "two.yaml", "--offline", "--training")
    command(*run, "training.jsonl", cwd=folder)
    (whole,) = from_json(kept.read_bytes())
    done = command(*run, "training.jsonl", "--tasks", "similar", cwd=folder)
    assert "kinds" not in done.stdout
    assert from_json(kept.read_bytes()) == (whole,)
    (folder / "pairs").rename(folder / "away")
    assert command(*run, "training.jsonl", "--tasks", "similar,same", cwd=folder).returncode == 4
    (folder / "away").rename(folder / "pairs")
    assert from_json(kept.read_bytes()) == (whole,)
    write(folder / "other.jsonl", rows({"query": "ask1 one", "number": 3}))
    command(*run, "other.jsonl", "--tasks", "same", "--models", "more", "--columns", "query", cwd=folder)
    more, words = from_json(kept.read_bytes())
    assert (more.models, [one.task for one in more.tasks]) == (("more",), ["same"])
    assert more.training[0].columns == ("query",)
    assert (words.models, words.training) == (("words",), whole.training)
    assert [one.scores for one in words.tasks] == [
        {name: of for name, of in one.scores.items() if name == "words"} for one in whole.tasks
    ]
    command(*run, "training.jsonl", cwd=folder)
    assert from_json(kept.read_bytes()) == (whole,)


def test_mistakes_are_said(folder: Path, command: Command) -> None:
    """No file named and none known of; a file that is not there; a bad row."""
    done = command("contamination", "mine.yaml", "--offline", cwd=folder)
    assert (done.returncode, "name files with --training" in done.stderr) == (2, True)
    done = command("contamination", "mine.yaml", "--offline", "--training", "none.jsonl", cwd=folder)
    assert (done.returncode, "none.jsonl: no such file" in done.stderr) == (2, True)
    write(folder / "bad.jsonl", "nonsense\n")
    done = command("contamination", "mine.yaml", "--offline", "--training", "bad.jsonl", cwd=folder)
    assert (done.returncode, "bad.jsonl:1" in done.stderr) == (2, True)


def test_results_that_cannot_be_written_are_refused_before_texts_are_read(folder: Path, command: Command) -> None:
    """And what was found is shown where they fail at the end."""
    named = ("contamination", "mine.yaml", "--training", "training.jsonl", "--offline", "--tasks", "similar")
    write(folder / "file", "")
    done = command(*named, "--results", "file", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--results file: cannot be written (not a folder)" in done.stderr
    write(folder / "late" / "contamination", "")
    done = command(*named, "--results", "late", cwd=folder)
    assert done.returncode != 0
    assert "found whole" in done.stdout
    assert "contamination: cannot be written" in done.stderr


def test_a_training_file_without_texts_is_a_mistake(folder: Path, command: Command) -> None:
    """All of them are named, before anything is compared; so is one whose named column holds none."""
    write(folder / "empty.txt", "")
    write(folder / "blank.jsonl", rows({"query": " ", "number": 3}))
    named = ("--training", "empty.txt", "--training", "training.jsonl", "--training", "blank.jsonl")
    done = command("contamination", "mine.yaml", "--offline", *named, "--results", "none", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "empty.txt: no text in it" in done.stderr
    assert "blank.jsonl: no text in it" in done.stderr
    assert not (folder / "none/contamination").exists()
    more = ("--training", "blank.jsonl", "--columns", "number", "--results", "none")
    done = command("contamination", "mine.yaml", "--offline", *more, cwd=folder)
    assert (done.returncode, "blank.jsonl: no text in its number" in done.stderr) == (2, True)


def test_tasks_without_their_data_are_an_end_of_a_machine_that_lacks_them(folder: Path, command: Command) -> None:
    """Exit 4, as of a run; where no task has its data nothing is said of files that nobody read, and nothing kept."""
    lacking = BODY.replace("path: sts}", "path: gone}").replace("path: pairs}", "path: gone}")
    suite_file(folder, lacking, "some")
    named = ("--training", "training.jsonl", "--offline", "--results", "apart")
    done = command("contamination", "some.yaml", *named, cwd=folder)
    assert done.returncode == 4, done.stderr
    assert "similar: not compared: its data are not here" in done.stdout
    assert "training.jsonl (13 texts)" in done.stdout
    done = command("contamination", "some.yaml", *named, "--tasks", "similar,same", "--results", "bare", cwd=folder)
    assert (done.returncode, done.stdout) == (4, "")
    assert "similar: its data are not here" in done.stderr
    assert "same: its data are not here" in done.stderr
    assert not (folder / "bare/contamination").exists()


def test_candidates_name_their_own_files(folder: Path) -> None:
    """Each is held against what it was trained on; a file that is gone, or another one now, is said."""
    plan = make_plan(load_suite(folder / "mine.yaml").suite, Sources(offline=True))
    (words,) = plan.candidates
    assert isinstance(words, Candidate)
    file = folder / "training.jsonl"

    def trained(name: str, data: str, sha256: str) -> Candidate:
        return replace(words, name=name, training={"data": data, "data_identity": {"sha256": sha256}})

    right = trained("tuned", str(file), sha256_file(file))
    (found,) = cli._training(replace(plan, candidates=(words, right)), (), ())
    assert (found.models, found.files) == (("tuned",), (file,))
    changed, gone = trained("changed", str(file), "0" * 64), trained("gone", "there/none.jsonl", "0" * 64)
    with pytest.raises(InputError) as refused:
        cli._training(replace(plan, candidates=(right, changed, gone)), (), ())
    assert len(refused.value.problems) == 2
    assert "is not the file it was trained on any more" in refused.value.problems[0]
    assert "gone was trained on there/none.jsonl" in refused.value.problems[1]
