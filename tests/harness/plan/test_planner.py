"""From a suite to its cells: which tasks, splits, limits, keys, and what is lacking."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from suites_support import biosses, dataset_head, isolate, loaded, planned, weights, write

from harness.errors import InputError
from harness.plan.cells import PlannedTask
from harness.plan.planner import make_plan
from harness.plan.tasks import resolve_tasks
from harness.sources.places import Sources
from harness.suite.load import load_suite
from harness.tasks.catalogue import catalogue

TYPES = ("Retrieval", "Reranking", "Clustering", "PairClassification", "Classification", "STS", "Summarization")
MEAN_POOL = "{name: base, encoder: mean-pool, model: weights}"
ENCODER_ONLY = "{name: minilm, encoder: sentence-transformers, model: weights}"


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """A working directory with weights, and caches of its own."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    weights(tmp_path / "weights")


def tasks_of(body: str, limit: int | None = None) -> list[PlannedTask]:
    """Return the tasks a suite resolves to."""
    return resolve_tasks(loaded(Path.cwd(), body).suite, limit)


def task_of(body: str, limit: int | None = None) -> PlannedTask:
    """Return the one task a suite resolves to."""
    (task,) = tasks_of(body, limit)
    return task


def named(entry: str) -> str:
    """Return a suite's body with embedding tasks by name."""
    return f"tasks: {{embedding: {{names: [{entry}]}}}}\n"


# --- the whole matrix ---


def test_full_has_every_cell_of_its_matrix():
    """Seven models, 56 embedding tasks and those of ability for each, models outside and tasks inside."""
    plan = make_plan(load_suite("full").suite, Sources(offline=True))
    count = 56 + len(load_suite("ability").suite.tasks.ability)
    models = [cell.model for cell in plan.cells]
    names = ("base", "base+rationale", "infonce", "infonce+kl", "infonce+pool+kl", "grace", "recommended")
    assert models == [name for name in names for _ in range(count)]
    assert len({str(cell) for cell in plan.cells}) == len(plan.cells) == 7 * count
    for name in set(models):
        of_model = Counter(
            cell.task.type for cell in plan.cells if cell.model == name and cell.task.axis == "embedding"
        )
        assert [of_model[kind] for kind in TYPES] == [15, 4, 11, 3, 12, 10, 1]


def test_full_runs_each_task_on_its_official_split_and_in_english():
    """MSMARCO on dev, all else on test; subsets in English alone."""
    tasks = [task for task in resolve_tasks(load_suite("full").suite) if task.axis == "embedding"]
    splits = {task.name: task.splits for task in tasks}
    assert splits.pop("MSMARCO") == ("dev",)
    assert set(splits.values()) == {("test",)}
    assert {subset for task in tasks for subset in task.subsets} == {"default", "en", "en-en"}
    assert {task.name: task.subsets for task in tasks if task.subsets == ("en-en",)} == {"STS17": ("en-en",)}
    assert all(task.is_official_split for task in tasks)
    assert all(task.label == task.name for task in tasks)


def test_an_untrained_candidate_is_planned_with_the_line_that_trains_it(tmp_path):
    """Its directory is not there yet: state missing, no key, and what to type."""
    body = "models: [{name: new, candidate: runs/new, config: mine.yaml}, {name: old, candidate: runs/old}]\n"
    plan = planned(tmp_path, body + named("BIOSSES"), hub=biosses(tmp_path / "hub").parents[2])
    assert [(str(cell), cell.state, cell.key) for cell in plan.cells] == [
        ("new/BIOSSES", "missing", None),
        ("old/BIOSSES", "missing", None),
    ]
    assert [cell.reason for cell in plan.cells] == [
        "candidate 'runs/new': there is no such directory yet; grace train mine.yaml --out runs/new",
        "candidate 'runs/old': there is no such directory yet; grace train CONFIG --out runs/old",
    ]
    assert [(gap.command, wanted) for gap, wanted in plan.gaps] == [
        ("grace train mine.yaml --out runs/new", ("new",)),
        ("grace train CONFIG --out runs/old", ("old",)),
    ]


def test_a_directory_without_candidate_yaml_is_no_candidate_yet(tmp_path):
    """A training that was cut off leaves such a directory."""
    (tmp_path / "runs/new").mkdir(parents=True)
    plan = planned(tmp_path, "models: [{name: new, candidate: runs/new}]\n" + named("BIOSSES"))
    assert plan.cells[0].reason.startswith("candidate 'runs/new': it holds no candidate.yaml; grace train ")


def test_an_encoder_without_a_language_model_is_not_applicable_to_ability(tmp_path):
    """n/a is no gap: nothing is lacking."""
    plan = planned(tmp_path, f"models: [{ENCODER_ONLY}, {MEAN_POOL}]\ntasks: {{ability: [gsm8k]}}\n")
    states = {cell.model: (cell.state, cell.key is None) for cell in plan.cells}
    assert states["minilm"] == ("n/a", True)
    assert states["base"][0] != "n/a"
    assert plan.cells[0].reason == "no language model"
    assert not any("minilm" in wanted for _, wanted in plan.gaps)


# --- which tasks ---


def test_a_task_outside_the_benchmark_takes_english_and_test():
    """As the design has it, where the suite says nothing."""
    task = task_of(named("STSBenchmarkMultilingualSTS"))
    assert (task.splits, task.subsets) == (("test",), ("en",))
    assert task.label == "STSBenchmarkMultilingualSTS"


def test_a_named_task_takes_the_benchmarks_splits_and_subsets():
    """MSMARCO by name is run on dev."""
    msmarco, sts17 = tasks_of(named("MSMARCO, STS17"))
    assert (msmarco.splits, msmarco.subsets) == (("dev",), ("default",))
    assert (sts17.splits, sts17.subsets) == (("test",), ("en-en",))


def test_a_benchmark_is_all_its_tasks():
    """By its name in the catalogue."""
    tasks = tasks_of("tasks: {embedding: {benchmark: 'MTEB(eng, v2)'}}\n")
    assert [task.name for task in tasks] == [one.name for one in catalogue().benchmarks["MTEB(eng, v2)"]]
    assert len(tasks) == 41


def test_types_keep_a_part_of_a_benchmark():
    """Of the one that is named, else of MTEB(eng, v1)."""
    of_v1 = tasks_of("tasks: {embedding: {types: [STS, Summarization]}}\n")
    of_v2 = tasks_of("tasks: {embedding: {types: [STS], benchmark: 'MTEB(eng, v2)'}}\n")
    assert Counter(task.type for task in of_v1) == {"STS": 10, "Summarization": 1}
    assert Counter(task.type for task in of_v2) == {"STS": 9}


def test_a_tasks_own_entry_wins_over_its_benchmarks():
    """In the benchmark's place, once; a task that is not in it comes after."""
    body = "tasks: {embedding: {types: [STS], names: [{name: STS17, subsets: [es-es]}, SciFact]}}\n"
    tasks = tasks_of(body)
    names = [task.name for task in tasks]
    assert len(names) == 11
    assert names[-1] == "SciFact"
    assert [task.subsets for task in tasks if task.name == "STS17"] == [("es-es",)]


def test_an_aggregate_is_one_cell_that_reads_every_parts_data(tmp_path):
    """CQADupstackRetrieval: twelve datasets, one key."""
    plan = planned(tmp_path, f"models: [{MEAN_POOL}]\n" + named("CQADupstackRetrieval"), offline=False)
    (cell,) = plan.cells
    assert len(cell.dataset) == 12
    assert len({place["repo"] for place in cell.dataset.values()}) == 12
    assert cell.key is not None


@pytest.mark.parametrize(
    ("entry", "label", "official"),
    [
        ("STS17", "STS17", True),
        ("{name: STS17, subsets: [en-en]}", "STS17", True),
        ("{name: STS17, subsets: [en-en, es-en]}", "STS17[en-en,es-en]", True),
        ("{name: STS17, splits: [test]}", "STS17", True),
        ("{name: STSBenchmark, splits: [validation]}", "STSBenchmark@validation", False),
        ("{name: STSBenchmark, splits: [test, validation]}", "STSBenchmark@test,validation", False),
        ("{name: STS17, splits: [train], subsets: [es-es]}", "STS17@train[es-es]", False),
        (
            "{name: AmazonCounterfactualClassification, splits: [validation]}",
            "AmazonCounterfactualClassification@validation",
            True,
        ),
        ("{name: MSMARCO, splits: [train]}", "MSMARCO@train", False),
    ],
)
def test_a_label_says_what_differs_from_the_default(entry, label, official):
    """A part of a task, or another split, is never shown under the name of the whole."""
    task = task_of(named(entry))
    assert (task.label, task.is_official_split) == (label, official)


# --- limits and counts ---


@pytest.mark.parametrize(
    ("flag", "of_task", "of_suite", "limit"),
    [
        (None, None, None, None),
        (None, None, 30, 30),
        (None, 20, 30, 20),
        (None, 20, None, 20),
        (10, 20, 30, 10),
        (10, None, None, 10),
        (40, 20, 30, 40),
    ],
)
def test_the_flag_wins_over_the_task_and_the_task_over_the_suite(flag, of_task, of_suite, limit):
    """On all three kinds of tasks."""
    own = f", limit: {of_task}" if of_task else ""
    write(
        Path("own.jsonl"),
        "".join(json.dumps({"sentence1": "a", "sentence2": "b", "score": n}) + "\n" for n in range(3)),
    )
    body = (f"limit: {of_suite}\n" if of_suite else "") + (
        f"tasks:\n  embedding: {{names: [{{name: BIOSSES{own}}}]}}\n  ability: [{{name: gsm8k{own}}}]\n"
        f"  custom: [{{name: own, type: STS, path: own.jsonl{own}}}]\n"
    )
    assert [task.limit for task in tasks_of(body, flag)] == [limit] * 3


def test_the_limit_of_a_suite_holds_for_a_benchmark():
    """Members of a benchmark have no limit of their own."""
    assert {task.limit for task in tasks_of("limit: 7\ntasks: {embedding: {types: [STS]}}\n")} == {7}


def test_items_are_those_that_are_scored():
    """STSBenchmark: 1379 pairs, 2758 texts; a limit cuts the items, never adds any."""
    body = named("{name: STSBenchmark%s}")
    whole = task_of(body % "").counts()
    assert (whole.items, whole.encoded, whole.characters) == (1379, 2758, 147886)
    assert task_of(body % ", limit: 100").counts().items == 100
    assert task_of(body % ", limit: 5000").counts().items == 1379


def test_the_limit_leaves_about_a_dozen_documents_a_query():
    """SciFact: ten of 300 queries, and not all of the 5183 documents; training texts of classification shrink too."""
    limited = task_of(named("SciFact"), 10).counts()
    assert (limited.items, limited.encoded) == (10, 10 + 10 * (10 + 2))
    banking = "Banking77Classification"
    assert task_of(named(banking), 10).counts().training_texts < task_of(named(banking)).counts().training_texts


def test_items_add_up_over_splits_subsets_and_parts():
    """STS17: 250 pairs in each of three subsets; CQADupstack: the queries of its twelve parts."""
    assert task_of(named("STS17")).counts().items == 250
    assert task_of(named("{name: STS17, subsets: [en-en, es-es, es-en]}")).counts().items == 750
    parts = catalogue().tasks["CQADupstackRetrieval"].parts
    queries = sum(catalogue().tasks[name].counts["test"]["default"].items for name in parts)
    assert task_of(named("CQADupstackRetrieval")).counts().items == queries == 13145


def test_what_is_not_counted_is_unknown_not_zero():
    """The catalogue has no counts of splits that no one evaluates on."""
    task = task_of(named("{name: STSBenchmark, splits: [train]}"))
    assert task.counts() is None


# --- filters ---


def test_models_and_tasks_can_be_picked(tmp_path):
    """--models and --tasks keep the suite's own order."""
    suite = loaded(tmp_path, f"models: [{MEAN_POOL}, {ENCODER_ONLY}]\n" + named("STS12, STS13, STS14")).suite
    plan = make_plan(suite, Sources(offline=True), models=["minilm"], tasks=["STS14", "STS12"])
    assert [str(cell) for cell in plan.cells] == ["minilm/STS12", "minilm/STS14"]


@pytest.mark.parametrize(
    ("picked", "message"),
    [
        (
            {"models": ["bose"]},
            "--models bose: no such model in the suite; there are: base, minilm; did you mean 'base'?",
        ),
        (
            {"tasks": ["STS1"]},
            "--tasks STS1: no such task in the suite; there are: STS12, SciFact; did you mean 'STS12'?",
        ),
        ({"tasks": ["xyzzy"]}, "--tasks xyzzy: no such task in the suite; there are: STS12, SciFact"),
    ],
)
def test_a_name_that_is_not_in_the_suite_is_refused(tmp_path, picked, message):
    """With the names that are, and the nearest."""
    suite = loaded(tmp_path, f"models: [{MEAN_POOL}, {ENCODER_ONLY}]\n" + named("STS12, SciFact")).suite
    with pytest.raises(InputError) as caught:
        make_plan(suite, Sources(offline=True), **picked)
    assert caught.value.problems == [message]


# --- data ---


def test_data_in_the_local_hub_makes_a_cell(tmp_path):
    """A folder that no lock vouches for is keyed by its content."""
    hub = biosses(tmp_path / "hub").parents[2]
    (cell,) = planned(tmp_path, f"models: [{MEAN_POOL}]\n" + named("BIOSSES"), hub=hub).cells
    assert cell.state == "to run"
    assert list(cell.dataset) == ["BIOSSES"]
    assert list(cell.dataset["BIOSSES"]) == ["files_sha256"]
    assert len(cell.key) == 20


def test_data_on_the_hub_is_keyed_by_the_pinned_revision(tmp_path):
    """Without any network: the catalogue knows the commit."""
    (cell,) = planned(tmp_path, f"models: [{MEAN_POOL}]\n" + named("BIOSSES"), offline=False).cells
    info = catalogue().tasks["BIOSSES"]
    assert cell.dataset == {"BIOSSES": {"repo": info.dataset, "commit": info.revision}}
    assert cell.state == "to run"


def test_data_that_is_missing_offline_is_a_gap_with_its_command(tmp_path):
    """The command names the repository, the revision and the folder of the local hub."""
    hub = biosses(tmp_path / "hub").parents[2]
    plan = planned(tmp_path, f"models: [{MEAN_POOL}, {ENCODER_ONLY}]\n" + named("BIOSSES, STS12"), hub=hub)
    assert [(str(cell), cell.state) for cell in plan.cells] == [
        ("base/BIOSSES", "to run"),
        ("base/STS12", "missing"),
        ("minilm/BIOSSES", "to run"),
        ("minilm/STS12", "missing"),
    ]
    ((gap, wanted),) = plan.gaps
    revision = catalogue().tasks["STS12"].revision
    assert wanted == ("STS12",)
    assert gap.what == "dataset mteb/sts12-sts"
    where = f"--revision {revision} --local-dir {hub}/datasets/mteb/sts12-sts"
    assert gap.command == f"hf download mteb/sts12-sts --repo-type dataset {where}"
    assert plan.cells[1].key is None
    assert plan.cells[1].reason.startswith("dataset mteb/sts12-sts: ")


def test_one_missing_dataset_is_named_once_with_all_who_want_it(tmp_path):
    """Each part of an aggregate has its own; two tasks over one dataset share one gap."""
    plan = planned(tmp_path, f"models: [{MEAN_POOL}]\n" + named("BIOSSES, CQADupstackRetrieval"))
    assert Counter(wanted for _, wanted in plan.gaps) == {("BIOSSES",): 1, ("CQADupstackRetrieval",): 12}


def test_a_folder_that_lacks_the_subset_is_a_gap(tmp_path):
    """What its README declares is held against what the task reads, before anything runs."""
    folder = tmp_path / "hub/datasets/mteb/sts17-crosslingual-sts"
    write(folder / "README.md", dataset_head({"ar-ar": {"test": "ar-ar.jsonl"}}))
    write(folder / "ar-ar.jsonl", "x")
    plan = planned(tmp_path, f"models: [{MEAN_POOL}]\n" + named("STS17"), hub=tmp_path / "hub")
    assert plan.cells[0].state == "missing"
    assert "has no subset 'en-en'; it has: ar-ar" in plan.cells[0].reason


def test_missing_weights_are_a_gap_of_their_model_alone(tmp_path):
    """The other models' cells are planned as ever."""
    hub = biosses(tmp_path / "hub").parents[2]
    gone = "{name: gone, encoder: mean-pool, model: some-org/gone}"
    plan = planned(tmp_path, f"models: [{gone}, {MEAN_POOL}]\n" + named("BIOSSES"), hub=hub)
    assert [(cell.model, cell.state) for cell in plan.cells] == [("gone", "missing"), ("base", "to run")]
    ((gap, wanted),) = plan.gaps
    assert (gap.command, wanted) == (f"hf download some-org/gone --local-dir {hub}/models/some-org/gone", ("gone",))


def test_own_data_is_keyed_by_content_and_its_absence_is_a_gap(tmp_path):
    """A path that is not there is named as the user would type it."""
    rows = [{"sentence1": "a", "sentence2": "b", "score": score} for score in (1, 2, 3)]
    write(tmp_path / "own/test.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    entries = "{name: own, type: STS, path: own}, {name: gone, type: STS, path: gone.jsonl}"
    plan = planned(tmp_path, f"models: [{MEAN_POOL}]\ntasks: {{custom: [{entries}]}}\n")
    there, gone = plan.cells
    assert (there.state, list(there.dataset["own"])) == ("to run", ["files_sha256"])
    assert (gone.state, gone.key) == ("missing", None)
    assert gone.reason == "data of custom task 'gone': no such file or folder: gone.jsonl"


def test_prompts_of_a_cell_are_resolved_by_role(tmp_path):
    """Queries get the instruction, documents none; a task without roles has one text prompt."""
    hub = biosses(tmp_path / "hub").parents[2]
    model = "{name: base, encoder: mean-pool, model: weights, instruction: 'Instruct: {instruction}\\nQuery: '}"
    plan = planned(tmp_path, f"models: [{model.replace(chr(39), chr(34))}]\n" + named("BIOSSES, SciFact"), hub=hub)
    assert [cell.prompts for cell in plan.cells] == [
        {"text": "Instruct: Retrieve semantically similar text.\nQuery: "},
        {
            "query": f"Instruct: {catalogue().tasks['SciFact'].instruction('query')}\nQuery: ",
            "document": None,
        },
    ]


# --- one language model behind two encoders ---


def test_the_ability_axis_is_keyed_by_the_language_model_alone(tmp_path):
    """With and without a rationale the same weights answer alike: one key, one run; another dtype is another key."""
    write(tmp_path / "texts.jsonl", '{"text": "a cat sat on the mat"}\n')
    models = (
        MEAN_POOL,
        "{name: base+rationale, encoder: rationale, model: weights, max_text_tokens: 8}",
        "{name: half, encoder: mean-pool, model: weights, dtype: bfloat16}",
    )
    body = f"models: [{', '.join(models)}]\ntasks:\n  embedding: {{names: [BIOSSES]}}\n"
    body += "  ability: [{name: lm_nll, file: texts.jsonl, column: text}]\n"
    plan = planned(tmp_path, body, hub=biosses(tmp_path / "hub").parents[2])
    keys = {str(cell): cell.key for cell in plan.cells}
    assert None not in keys.values()
    assert keys["base/lm_nll"] == keys["base+rationale/lm_nll"] != keys["half/lm_nll"]
    assert len({keys[f"{name}/BIOSSES"] for name in ("base", "base+rationale", "half")}) == 3


def test_a_package_that_is_not_installed_is_lacking_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each by its name, with the command that brings it; the cell's key is known all the same."""
    body = "models: [{name: b, encoder: bm25}]\ntasks: {embedding: {names: [SciFact]}}\n"
    monkeypatch.setattr("harness.suite.encoder_kinds.is_installed", lambda _: False)
    plan = planned(tmp_path, body)
    lacking = [(gap.what, gap.command) for gap, wanted_by in plan.gaps if wanted_by == ("b",)]
    assert lacking == [(f"package {name}", "pip install 'encoder-verdict[bm25]'") for name in ("bm25s", "PyStemmer")]
    monkeypatch.setattr("harness.suite.encoder_kinds.is_installed", lambda _: True)
    assert [gap for gap, wanted_by in planned(tmp_path, body).gaps if wanted_by == ("b",)] == []
