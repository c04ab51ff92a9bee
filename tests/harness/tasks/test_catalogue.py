"""What is known of every task without importing an engine."""

from __future__ import annotations

import re

import pytest
from places import REPOSITORY
from suites_support import ENGINES, python

from harness.tasks import engines
from harness.tasks.catalogue import DEFAULT_BENCHMARK, Member, TaskInfo, catalogue
from harness.tasks.types import EMBEDDING_TYPES

ABILITY = {"gsm8k", "mmlu", "bbh", "triviaqa", "fever", "humaneval", "humaneval_instruct"}


def info(**changes: object) -> TaskInfo:
    """Return a made-up task with `changes`."""
    values = {
        "name": "Made",
        "axis": "embedding",
        "type": "STS",
        "engine": "mteb",
        "main_score": "cosine_spearman",
        "splits": ("test",),
        "subsets": {"default": ("eng-Latn",)},
        "prompt": None,
        "dataset": "some/data",
        "revision": None,
        "parts": (),
        "counts": {},
    }
    return TaskInfo(**(values | changes))


def test_the_catalogue_is_read_without_an_engine():
    """In a fresh interpreter, nothing that costs seconds is imported."""
    done = python(
        "import sys; from harness.tasks.catalogue import catalogue; "
        "assert len(catalogue().tasks) > 1000; print(*sys.modules)"
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()).isdisjoint({*ENGINES, "pandas", "numpy", "pydantic"})


def test_every_embedding_task_has_one_of_the_seven_types():
    """And splits, subsets, a main score, and data of its own or parts."""
    tasks = catalogue().of_axis("embedding")
    assert {task.type for task in tasks.values()} == set(EMBEDDING_TYPES)
    for task in tasks.values():
        assert task.splits, task.name
        assert task.subsets, task.name
        assert task.main_score, task.name
        assert (task.dataset is None) == bool(task.parts), task.name


def test_parts_and_members_are_tasks_of_the_catalogue():
    """No name in it leads nowhere; a member's splits and subsets are the task's own."""
    known = catalogue()
    for task in known.tasks.values():
        assert set(task.parts) <= set(known.tasks), task.name
    for benchmark, members in known.benchmarks.items():
        for member in members:
            task = known.tasks[member.name]
            assert set(member.subsets) <= set(task.subsets), (benchmark, member.name)
            assert member.splits, (benchmark, member.name)


@pytest.mark.parametrize("benchmark", ["MTEB(eng, v1)", "MTEB(eng, v2)"])
def test_the_data_of_the_shipped_benchmarks_are_pinned_to_commits(benchmark):
    """Forty hex digits each (of all of mteb, three tasks name a branch or a short commit)."""
    known = catalogue()
    names = [name for one in known.benchmarks[benchmark] for name in known.tasks[one.name].parts or (one.name,)]
    revisions = {name: known.tasks[name].revision for name in names}
    assert len(revisions) >= 41
    assert {name: one for name, one in revisions.items() if not re.fullmatch("[0-9a-f]{40}", str(one))} == {}


def test_the_ability_axis_has_its_tasks():
    """By the names a suite gives them."""
    assert set(catalogue().of_axis("ability")) >= ABILITY


def test_counts_of_stsbenchmark():
    """1379 pairs are 2758 texts; STS trains nothing."""
    counts = catalogue().tasks["STSBenchmark"].counts["test"]["default"]
    assert (counts.items, counts.texts, counts.characters, counts.training_texts) == (1379, 2758, 147886, 0)
    assert counts.unique_texts <= counts.texts


@pytest.mark.parametrize(
    ("name", "subset", "items"),
    [
        ("SciFact", "default", 300),
        ("Banking77Classification", "default", 3080),
        ("SICK-R", "default", 9927),
        ("STS17", "en-en", 250),
        ("BIOSSES", "default", 100),
        ("SummEval", "default", 100),
    ],
)
def test_counts_of_well_known_test_sets(name, subset, items):
    """The official numbers of queries, texts, pairs and documents."""
    assert catalogue().tasks[name].counts["test"][subset].items == items


def test_no_count_is_negative_or_contradicts_itself():
    """Distinct texts are at most as many as texts."""
    for task in catalogue().tasks.values():
        for subsets in task.counts.values():
            for counts in subsets.values():
                assert 0 <= counts.unique_texts <= counts.texts, task.name
                assert counts.items >= 0, task.name


def test_the_default_of_a_member_is_the_benchmarks():
    """MTEB(eng, v1) says dev for MSMARCO and en-en for STS17, which has eleven subsets."""
    known = catalogue()
    assert known.default_member("MSMARCO") == Member(name="MSMARCO", splits=("dev",), subsets=("default",))
    assert known.default_member("STS17") == Member(name="STS17", splits=("test",), subsets=("en-en",))
    assert len(known.tasks["STS17"].subsets) == 11
    assert [known.default_member(one.name) for one in known.benchmarks[DEFAULT_BENCHMARK]] == list(
        known.benchmarks[DEFAULT_BENCHMARK]
    )


def test_the_default_of_any_other_task_is_english_and_test():
    """STS17 is a member; STSBenchmarkMultilingualSTS is none."""
    default = catalogue().default_member("STSBenchmarkMultilingualSTS")
    assert (default.splits, default.subsets) == (("test",), ("en",))


@pytest.mark.parametrize(
    ("subsets", "english"),
    [
        ({"default": ("eng-Latn",)}, ("default",)),
        ({"en-en": ("eng-Latn", "eng-Latn"), "en-de": ("eng-Latn", "deu-Latn")}, ("en-en",)),
        ({"en": ("eng-Latn",), "en-ext": ("eng-Latn",), "de": ("deu-Latn",)}, ("en", "en-ext")),
        ({"de": ("deu-Latn",), "fr": ("fra-Latn",)}, ("de", "fr")),
    ],
)
def test_english_subsets_are_those_in_english_alone(subsets, english):
    """A pair of languages is none of them; a task without any English keeps all it has."""
    assert info(subsets=subsets).english_subsets() == english


@pytest.mark.parametrize(
    ("splits", "default"),
    [(("test",), ("test",)), (("validation", "test"), ("test",)), (("dev", "dev2"), ("dev", "dev2"))],
)
def test_default_splits_are_test_where_there_is_one(splits, default):
    """Else every split the task is evaluated on."""
    assert info(splits=splits).default_splits() == default


@pytest.mark.parametrize(
    ("prompt", "role", "instruction"),
    [
        (None, None, None),
        (None, "query", None),
        ("Find it.", None, "Find it."),
        ("Find it.", "query", "Find it."),
        ("Find it.", "document", "Find it."),
        ({"query": "Find it."}, "query", "Find it."),
        ({"query": "Find it."}, "document", None),
        ({"query": "Find it."}, None, None),
    ],
)
def test_instructions_are_looked_up_by_role(prompt, role, instruction):
    """One text holds for all roles; a mapping has one a role."""
    assert info(prompt=prompt).instruction(role) == instruction


def test_the_catalogues_engines_are_the_pinned_ones():
    """constraints.txt, pyproject.toml and the catalogue name the same releases."""
    constraints = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8")
    pyproject = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert set(catalogue().engines) == set(engines.ENGINES)
    for engine, version in catalogue().engines.items():
        assert f"\n{engine}=={version}\n" in constraints
        assert f'"{engine}=={version}"' in pyproject
