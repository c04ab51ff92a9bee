"""Scores in other tools' formats, as those tools themselves read them."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from published_support import tiny_model, write_pairs
from stored_support import make_folder, put
from suites_support import Command, suite_file

from harness.backends.mteb import prepared
from harness.comparison.sides import Found
from harness.evaluation.options import RunOptions
from harness.evaluation.run import run
from harness.export.chosen import chosen
from harness.published.read import read_published
from harness.results.records import Metric, Score
from harness.results.store import Store
from harness.sources.places import Sources
from harness.suite.load import load_suite

NAME = "org/tiny"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Score]]]:
    """A folder with results of a tiny model on two tasks, and its scores; invented data pass for the tasks' own."""
    import datasets

    folder = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepared, "off_count", lambda *_: prepared.OffCount({}, {}))
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "datasets-cache")
        patch.setenv("HF_HUB_OFFLINE", "1")
        hub, model = write_pairs(folder / "hub"), tiny_model(folder / "model")
        entry = f"models: [{{name: tiny, encoder: sentence-transformers, model: {model}, device: cpu}}]\n"
        suite = suite_file(folder, entry + "tasks: {embedding: {names: [BIOSSES, SICK-R]}}\n")
        options = RunOptions(results=folder / "results", sources=Sources(hub=hub, offline=True))
        outcome = run(load_suite(suite).suite, options)
        yield folder, {one.task: one for one in outcome.results.values() if isinstance(one, Score)}


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command in this process."""
    return Command(monkeypatch, capsys)


def test_mtebs_own_tools_load_the_tree(place: Any, command: Command) -> None:
    """By name and revision, and with the scores that the harness has, to the decimals that mteb writes."""
    from mteb import ResultCache
    from mteb.results import TaskResult

    folder, scores = place
    done = command("export", "mteb", "tiny", "--out", "tree", "--as", NAME, "--revision", "r1", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    result = TaskResult.from_disk(folder / "tree" / "results" / "org__tiny" / "r1" / "BIOSSES.json")
    assert 100 * result.get_score() == pytest.approx(scores["BIOSSES"].score, abs=1e-4)
    loaded = ResultCache(folder / "tree").load_results(include_remote=False)
    (model,) = loaded.model_results
    assert (model.model_name, model.model_revision) == (NAME, "r1")
    assert {one.task_name for one in model.task_results} == {"BIOSSES", "SICK-R"}
    read = read_published(folder / "tree")
    assert {row.task: round(row.value, 3) for row in read.rows} == {
        name: pytest.approx(one.score, abs=2e-3) for name, one in scores.items()
    }  # fmt: skip


def test_a_card_is_read_by_the_hubs_client_with_intervals(place: Any, command: Command) -> None:
    """The score, its metric, and both ends of the interval, as the stored cell has them."""
    from huggingface_hub import ModelCard

    folder, scores = place
    assert command("export", "card", "tiny", "--out", "card", "--as", NAME, cwd=folder).returncode == 0
    card = ModelCard.load(str(folder / "card" / "README.md"))
    assert card.data.model_name == NAME
    found = {one.dataset_name: one for one in card.data.eval_results}
    one, score = found["MTEB BIOSSES"], scores["BIOSSES"]
    assert (one.metric_type, one.dataset_split, one.dataset_type) == ("cosine_spearman", "test", "mteb/biosses-sts")
    assert one.metric_value == pytest.approx(score.score, abs=1e-4)
    assert one.metric_args["ci_low"] == pytest.approx(score.ci_low, abs=1e-4)
    assert one.metric_args["ci_high"] == pytest.approx(score.ci_high, abs=1e-4)
    assert (one.metric_args["level"], one.metric_args["items"]) == (0.95, 40)
    assert {row.task for row in read_published(folder / "card").rows} == {"BIOSSES", "SICK-R"}


def test_a_card_that_is_there_keeps_its_text(place: Any, command: Command) -> None:
    """And the rest of its head; only the scores are new."""
    folder, _ = place
    readme = folder / "kept" / "README.md"
    readme.parent.mkdir()
    readme.write_text("---\nlicense: mit\n---\n# Mine\n\nMy words.\n", encoding="utf-8")
    assert command("export", "card", "tiny", "--out", "kept", cwd=folder).returncode == 0
    text = readme.read_text(encoding="utf-8")
    assert "license: mit" in text
    assert "model-index:" in text
    assert text.endswith("# Mine\n\nMy words.\n")


INDEXED = """---
license: mit
model-index:
- name: other
  results:
  - task: {type: STS}
    dataset: {name: MTEB STS12, type: mteb/sts12-sts, config: default, split: test, revision: abc}
    metrics: [{type: cosine_pearson, value: 80.1}, {type: cosine_spearman, value: 70.2}]
  - task: {type: STS}
    dataset: {name: MTEB BIOSSES, type: mteb/biosses-sts, split: test}
    metrics: [{type: cos_sim_spearman, value: 12.3}]
  - task: {type: STS}
    dataset: {name: MTEB BIOSSES, type: mteb/biosses-sts, config: default, split: dev}
    metrics: [{type: cosine_spearman, value: 45.6}]
  - task: {type: text-generation}
    dataset: {name: My own, type: x/y}
    metrics: [{type: accuracy, value: 1}]
---
# Mine
"""


def test_results_of_other_tasks_that_a_card_has_stay(place: Any, command: Command) -> None:
    """Those of the same task, split and subset are replaced, which is said; again, and nothing is there twice."""
    import yaml

    folder, scores = place
    readme = folder / "indexed" / "README.md"
    readme.parent.mkdir()
    readme.write_text(INDEXED, encoding="utf-8")
    before = yaml.safe_load(INDEXED.split("---")[1])["model-index"][0]["results"]
    for said in ("3 result(s) of other tasks kept, 1 replaced", "3 result(s) of other tasks kept, 2 replaced"):
        done = command("export", "card", "tiny", "--out", "indexed", "--as", NAME, cwd=folder)
        assert (done.returncode, done.stderr) == (0, f"README.md: {said}\n")
        ((entry,),) = [yaml.safe_load(readme.read_text(encoding="utf-8").split("---")[1])["model-index"]]
        assert entry["name"] == NAME
        assert entry["results"][:3] == [before[0], *before[2:]]
        new = {one["dataset"]["name"]: one["metrics"][0]["value"] for one in entry["results"][3:]}
        assert new == {f"MTEB {name}": pytest.approx(one.score, abs=1e-4) for name, one in scores.items()}
    assert readme.read_text(encoding="utf-8").endswith("# Mine\n")


def test_of_a_card_with_several_models_only_ones_own_entry_is_touched(place: Any, command: Command) -> None:
    """It is added where there is none of the name."""
    import yaml

    folder, _ = place
    readme = folder / "several" / "README.md"
    readme.parent.mkdir()
    second = INDEXED.replace("---\n# Mine", "- name: third\n  results: []\n---\n# Mine")
    readme.write_text(second, encoding="utf-8")
    assert command("export", "card", "tiny", "--out", "several", "--as", NAME, cwd=folder).returncode == 0
    head = yaml.safe_load(readme.read_text(encoding="utf-8").split("---")[1])["model-index"]
    assert [(one["name"], len(one["results"])) for one in head] == [("other", 4), ("third", 0), (NAME, 2)]


@pytest.mark.parametrize("content", [b"---\nlicense: mit\n---\n# \xe9\n", b"---\nlicense: [mit\n---\n"])
def test_a_card_that_cannot_be_read_is_left_alone(place: Any, command: Command, content: bytes) -> None:
    """Not in UTF-8, or no YAML at its head: a mistake in words."""
    folder, _ = place
    readme = folder / "latin" / "README.md"
    readme.parent.mkdir(exist_ok=True)
    readme.write_bytes(content)
    done = command("export", "card", "tiny", "--out", "latin", cwd=folder)
    assert done.returncode == 2
    assert "README.md: the card that is there cannot be read (" in done.stderr
    assert "Traceback" not in done.stderr
    assert readme.read_bytes() == content


def test_own_tasks_of_one_type_are_each_a_result_of_their_own(tmp_path: Path, command: Command) -> None:
    """By their own names, not as tasks of mteb; their data have no name in the hub to tell them apart by."""
    from huggingface_hub import ModelCard

    make_folder(tmp_path)
    put(tmp_path, "base/pairs-a", 70.0)
    put(tmp_path, "base/pairs-b", 60.0)
    assert command("export", "card", "base", "--out", "out", cwd=tmp_path).returncode == 0
    data = ModelCard.load(str(tmp_path / "out" / "README.md")).data
    assert {one.dataset_name: one.metric_value for one in data.eval_results} == {"pairs-a": 70.0, "pairs-b": 60.0}
    assert not data.get("tags")


def exported_log(folder: Path, command: Command) -> tuple[Path, dict[str, Any]]:
    """Export an Every Eval Ever log; return its file and what is in it."""
    done = command("export", "every-eval-ever", "tiny", "--out", "eee", "--as", NAME, cwd=folder)
    assert done.returncode == 0, done.stderr
    (file,) = (folder / "eee").rglob("*.json")
    return file, json.loads(file.read_text(encoding="utf-8"))


def test_the_log_has_every_score_with_its_uncertainty(place: Any, command: Command) -> None:
    """Where the schema wants it; the same scores give the same file, whose name is a UUID of version 4."""
    folder, scores = place
    file, log = exported_log(folder, command)
    assert file.parent == folder / "eee" / "data" / "encoder-verdict" / "org" / "tiny"
    assert uuid.UUID(file.stem).version == 4
    assert {
        "schema_version",
        "evaluation_id",
        "retrieved_timestamp",
        "source_metadata",
        "model_info",
        "eval_library",
    } < (set(log))
    assert [one["evaluation_name"] for one in log["evaluation_results"]] == ["BIOSSES", "SICK-R"]
    for one in log["evaluation_results"]:
        score, details = scores[one["evaluation_name"]], one["score_details"]
        within = details["uncertainty"]["confidence_interval"]
        assert (details["score"], within["lower"], within["upper"]) == (score.score, score.ci_low, score.ci_high)
        assert one["metric_config"]["lower_is_better"] is False
        assert all(isinstance(text, str) for text in details["details"].values())
    assert exported_log(folder, command)[0] == file


def test_the_log_is_valid_by_its_own_package(place: Any, command: Command) -> None:
    """`pip install every-eval-ever` (Python 3.12 and later); skipped where it is not there."""
    validation = pytest.importorskip("every_eval_ever.validator.validation_core")
    file, _ = exported_log(place[0], command)
    report = validation.validate_file(file)
    assert report.valid, report.errors


def test_lm_evals_own_table_and_readers_take_its_files(tmp_path: Path, command: Command) -> None:
    """A row a question and filter, named as lm-eval looks for them; embedding tasks are left, which is said."""
    from lm_eval.utils import get_file_task_name, get_results_filenames, get_sample_results_filenames, make_table

    make_folder(tmp_path)
    put(
        tmp_path,
        "base/sums",
        50.0,
        metric="acc",
        filtered=["2", "3"],
        provenance={"began": "2026-01-02T03:04:05+00:00"},
        metrics=(Metric(name="acc", value=50.0, split="test", subset="sums"),),
    )
    put(tmp_path, "base/pairs-a", 70.0)
    done = command("export", "lm-eval", "base", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "left: pairs-a: lm-eval has no embedding tasks\n"
    names = [str(one) for one in sorted((tmp_path / "out" / "harness__base").iterdir())]
    (results,), (samples,) = get_results_filenames(names), get_sample_results_filenames(names)
    assert get_file_task_name(Path(samples).name) == "sums"
    rows = [json.loads(line) for line in Path(samples).read_text(encoding="utf-8").splitlines()]
    assert [(one["doc_id"], one["filter"], one["filtered_resps"]) for one in rows] == [
        (0, "none", ["2"]), (1, "none", ["3"])
    ]  # fmt: skip
    table = make_table(json.loads(Path(results).read_text(encoding="utf-8")))
    (row,) = (line for line in table.splitlines() if "sums" in line)
    assert [cell.strip() for cell in row.split("|")[1:9]] == ["sums", "", "none", "None", "acc", "↑", "0.5", "±"]


def lm_eval_cell(folder: Path, key: str, cell: str, score: float, **changes: Any) -> Score:
    """Store a cell of the ability axis under a name of `lm`."""
    task = changes.pop("task")
    common = {"key": key, "model": "lm", "axis": "ability", "type": "Knowledge", "task": task, "stderr": 4.0}
    facts = {"cell": f"lm/{cell}", "began": "2026-01-02T03:04:05+00:00"} | changes.pop("facts", {})
    rest = {"metric": "acc", "ci_low": 1.0, "ci_high": 99.0, "n": 9, "limit": None, "provenance": facts} | changes
    return Store(folder / "results").put_score(Score(**common, score=score, **rest), None, "question")


def lm_eval_results(folder: Path, command: Command, *arguments: str) -> tuple[dict[str, Any], str]:
    """Export `lm` in lm-eval's form; return its results and what was said to be left."""
    done = command("export", "lm-eval", "lm", "--out", "out", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    (file,) = (folder / "out" / "harness__lm").glob("results_*.json")
    return json.loads(file.read_text(encoding="utf-8")), done.stderr


def test_lm_evals_standard_error_stands_on_the_filter_of_the_main_metric(tmp_path: Path, command: Command) -> None:
    """Two filters have a metric of that name; the error is that of the one which the cell is scored by."""
    both = [("strict-match", 0.0), ("flexible-extract", 16.0)]
    metrics = tuple(
        Metric(name="exact_match", value=value, split="test", subset="main", filter=one) for one, value in both
    )
    settings = {"filters": [one for one, _ in both], "filter": "flexible-extract"}
    about = {"ability": {"settings": settings}}
    lm_eval_cell(tmp_path, "a", "gsm8k", 16.0, task="gsm8k", metric="exact_match", metrics=metrics, facts=about)
    found, _ = lm_eval_results(tmp_path, command)
    assert found["results"]["gsm8k"] == {
        "alias": "gsm8k",
        "exact_match,strict-match": 0.0,
        "exact_match,flexible-extract": 0.16,
        "exact_match_stderr,flexible-extract": 0.04,
    }


def test_lm_evals_files_leave_out_a_part_of_a_group(tmp_path: Path, command: Command) -> None:
    """Two parts of one group are no row of its name, and of a whole group its tasks are named as lm-eval has them."""
    lm_eval_cell(tmp_path, "a", "mmlu[2/57]", 20.0, task="mmlu")
    lm_eval_cell(tmp_path, "b", "mmlu[1/57]", 40.0, task="mmlu")
    lm_eval_cell(tmp_path, "c", "bbh", 60.0, task="bbh")
    found, said = lm_eval_results(tmp_path, command)
    assert list(found["results"]) == ["bbh"]
    assert len(found["group_subtasks"]["bbh"]) == 27
    assert "bbh_cot_fewshot_navigate" in found["group_subtasks"]["bbh"]
    for label in ("mmlu[1/57]", "mmlu[2/57]"):
        assert f"left: {label}: a part of mmlu, which lm-eval's tools would take for the whole\n" in said


def test_lm_evals_files_have_one_limit(tmp_path: Path, command: Command) -> None:
    """lm-eval says one for all tasks: what has another one is left, and may be exported alone."""
    whole = {"ability": {"settings": {"filter": "none"}}, "off_count": {"humaneval": [9, 164]}}
    lm_eval_cell(tmp_path, "a", "gsm8k", 20.0, task="gsm8k", n=5, limit=5)
    lm_eval_cell(tmp_path, "b", "humaneval", 40.0, task="humaneval", facts=whole)
    found, said = lm_eval_results(tmp_path, command)
    assert list(found["results"]) == ["humaneval"]
    assert found["config"]["limit"] is None
    assert found["n-samples"] == {"humaneval": {"original": 164, "effective": 9}}
    assert "left: gsm8k: limited to 5 items, the others to none; export it alone with --tasks\n" in said
    (tmp_path / "out").rename(tmp_path / "before")
    found, said = lm_eval_results(tmp_path, command, "--tasks", "gsm8k")
    assert (found["config"]["limit"], said.count("limited")) == (5, 0)
    assert found["n-samples"] == {"gsm8k": {"original": 1319, "effective": 5}}


OTHER_DATA = "40 of 100 items: not the data that published figures are over"


@pytest.fixture
def on_other_data(place: Any, tmp_path: Path) -> Path:
    """The results again, as if BIOSSES had been scored over other data than the benchmark's."""
    folder, scores = place
    shutil.copytree(folder / "results", tmp_path / "results")
    one = scores["BIOSSES"]
    changed = replace(one, provenance=one.provenance | {"off_count": {"BIOSSES test/default": [40, 100]}})
    store = Store(tmp_path / "results")
    store.put_score(changed, store.items_of(one), "pair")
    return tmp_path


@pytest.mark.parametrize(("form", "name"), [("mteb", "results/org__tiny/r/{}.json"), ("card", "README.md")])
def test_a_cell_over_other_data_is_no_score_of_the_benchmark(
    on_other_data: Path, command: Command, form: str, name: str
) -> None:
    """It is left with why, as a limited one is."""
    named = ("--out", "out", "--as", NAME, "--revision", "r")
    done = command("export", form, "tiny", *named, cwd=on_other_data)
    assert (done.returncode, done.stderr) == (0, f"left: BIOSSES: {OTHER_DATA}\n")
    assert (on_other_data / "out" / name.format("SICK-R")).is_file()
    assert {row.task for row in read_published(on_other_data / "out").rows} == {"SICK-R"}


def test_the_log_does_not_give_other_data_the_benchmarks_name(on_other_data: Path, command: Command) -> None:
    """Of which repository they are is not said, and that they are other data is."""
    done = command("export", "every-eval-ever", "tiny", "--out", "out", cwd=on_other_data)
    assert done.returncode == 0, done.stderr
    (file,) = (on_other_data / "out").rglob("*.json")
    found = {one["evaluation_name"]: one for one in json.loads(file.read_text("utf-8"))["evaluation_results"]}
    assert found["BIOSSES"]["source_data"]["source_type"] == "other"
    assert "hf_repo" not in found["BIOSSES"]["source_data"]
    assert found["BIOSSES"]["score_details"]["details"]["data"] == OTHER_DATA
    assert found["SICK-R"]["source_data"]["hf_repo"] == "mteb/sickr-sts"
    assert "data" not in found["SICK-R"]["score_details"]["details"]


def test_a_card_leaves_out_a_part_of_a_group(tmp_path: Path, command: Command) -> None:
    """Which would stand there under the name of the whole."""
    lm_eval_cell(tmp_path, "a", "mmlu[2/57]", 20.0, task="mmlu")
    lm_eval_cell(tmp_path, "b", "gsm8k", 40.0, task="gsm8k")
    done = command("export", "card", "lm", "--out", "out", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        0,
        "left: mmlu[2/57]: a part of mmlu, which a reader would take for the whole\n",
    )
    assert "gsm8k" in (tmp_path / "out/README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("mteb", "nobody"), "no model 'nobody' in results; there are: tiny"),
        (("lm-eval", "tiny"), "nothing to export as lm-eval\nBIOSSES: lm-eval has no embedding tasks"),
        (("every-eval-ever", "tiny", "--relationship", "mine"), "--relationship 'mine': expected one of first_party"),
    ],
)
def test_a_mistake_is_said_in_words(place: Any, command: Command, arguments: tuple, said: str) -> None:
    """Exit 2, and nothing written."""
    folder, _ = place
    done = command("export", *arguments, "--out", "nothing", cwd=folder)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (folder / "nothing").exists()


HUB = {"weights": {"kind": "hub", "source": "org/base", "revision": "c0ffee"}, "fingerprint": "f" * 64}
AS_IT_IS = {"spec": {"encoder": "mean-pool", "model": "org/base"}, "identity": {"weights": {}}}


@pytest.mark.parametrize(
    ("model", "provenance", "other", "dimension"),
    [
        ("mine", {}, "", 16),
        ("words", {"identity": {"dimension": 8}}, "", 16),
        ("mine", {"spec": AS_IT_IS["spec"] | {"adapter": "runs/mine/adapter"}}, "org/base with an adapter", 16),
        ("mine", {"spec": AS_IT_IS["spec"] | {"encoder": "rationale"}}, "org/base with rationales", 16),
        ("mine", {"spec": AS_IT_IS["spec"] | {"soft_tokens": {"file": "s"}}}, "org/base with soft tokens", 16),
        ("mine", {"spec": AS_IT_IS["spec"] | {"suffix": " or so"}}, "org/base with a suffix", 16),
        (
            "mine@8-int8",
            {"identity": {"weights": {}, "dimension": 8, "precision": "int8"}},
            "org/base cut to 8 dimensions, as int8",
            8,
        ),
        ("mine@prompt-1", {}, "org/base under other prompts", 16),
    ],
)
def test_what_is_not_a_repository_as_it_is_does_not_get_its_name(
    place: Any, tmp_path: Path, model: str, provenance: dict[str, Any], other: str, dimension: int
) -> None:
    """An adapter's scores, or those of its first dimensions, would stand there as the base's own, at its revision."""
    one = place[1]["BIOSSES"]
    held = one.provenance | AS_IT_IS | HUB | provenance
    score = replace(one, provenance=held | {"encoder": one.provenance["encoder"] | {"dimension": 16}})
    own = chosen(
        model, {one.task: Found(axis=one.axis, type=one.type, result=score)}, tmp_path, name=None, revision=None
    )
    assert own.other_than == other
    assert (own.name, own.revision) == ((f"harness/{model}", "f" * 16) if other else ("org/base", "c0ffee"))
    assert own.dimension == dimension
    said = chosen(
        model, {one.task: Found(axis=one.axis, type=one.type, result=score)}, tmp_path, name="a/b", revision="r"
    )
    assert (said.name, said.revision, said.other_than) == ("a/b", "r", "")


@pytest.mark.parametrize("name", ["../../out/of/it", "a/b/c", "", "org/", "/abs", "..", "a b"])
def test_a_name_that_leads_elsewhere_is_refused(place: Any, command: Command, name: str) -> None:
    """Folders are called by it, and a tool that reads them splits it at its slash."""
    done = command("export", "every-eval-ever", "tiny", "--out", "never", "--as", name, cwd=place[0])
    assert done.returncode == 2
    assert f"--as {name!r}: expected org/name or a name" in done.stderr
    done = command("export", "mteb", "tiny", "--out", "never", "--revision", f"r/{name}", cwd=place[0])
    assert done.returncode == 2
    assert f"--revision 'r/{name}': a folder is called by it" in done.stderr
    assert not (place[0] / "never").exists()
