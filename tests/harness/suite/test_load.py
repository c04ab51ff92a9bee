"""From suite files to suites: merging, overrides, and every problem at once with its position."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from places import REPOSITORY
from suites_support import loaded, suite_file, write

from harness.errors import InputError
from harness.plan.tasks import resolve_tasks
from harness.suite.load import load_suite
from harness.suite.model_entries import BUILT_IN_ENCODERS, CandidateSpec, MeanPoolSpec, SentenceTransformersSpec
from harness.suite.schema import Suite
from harness.suite.shipped import shipped_folder, shipped_suites
from harness.suite.task_entries import CatalogueRef, TaskRef
from harness.tasks.catalogue import catalogue
from harness.tasks.types import EMBEDDING_TYPES

MINILM = "{name: minilm, encoder: sentence-transformers, model: some/minilm}"
BASE = "{name: base, encoder: mean-pool, model: some/base}"


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    """Make paths in messages short and the same everywhere."""
    monkeypatch.chdir(tmp_path)


def problems_of(source: Path | str, *overrides: str) -> list[str]:
    """Return the problems of a suite that must have some."""
    with pytest.raises(InputError) as caught:
        load_suite(source, overrides)
    return caught.value.problems


# --- merging ---


def test_mappings_merge_key_by_key_and_the_later_file_wins(tmp_path):
    """What the extending file does not say stays as its base has it."""
    suite_file(tmp_path, "seed: 3\nlimit: 10\ndescription: of the base\n", "base")
    suite = load_suite(suite_file(tmp_path, "extends: base.yaml\nlimit: 20\n")).suite
    assert (suite.name, suite.seed, suite.limit, suite.description) == ("mine", 3, 20, "of the base")


def test_several_bases_merge_in_the_order_they_are_named(tmp_path):
    """The second base wins over the first, and the file itself over both."""
    suite_file(tmp_path, "seed: 1\nlimit: 1\ndescription: one\n", "one")
    suite_file(tmp_path, "seed: 2\nlimit: 2\n", "two")
    suite = load_suite(suite_file(tmp_path, "extends: [one.yaml, two.yaml]\nseed: 3\n")).suite
    assert (suite.seed, suite.limit, suite.description) == (3, 2, "one")


def test_models_merge_by_name_and_new_ones_come_last(tmp_path):
    """An entry of the same name changes the base's in place."""
    suite_file(tmp_path, f"models: [{MINILM}, {BASE}]\n", "base")
    body = "extends: base.yaml\nmodels:\n  - {name: new, candidate: runs/x}\n  - {name: minilm, dtype: bfloat16}\n"
    models = load_suite(suite_file(tmp_path, body)).suite.models
    assert models == [
        SentenceTransformersSpec(name="minilm", encoder="sentence-transformers", model="some/minilm", dtype="bfloat16"),
        MeanPoolSpec(name="base", encoder="mean-pool", model="some/base"),
        CandidateSpec(name="new", candidate="runs/x"),
    ]


def test_tasks_merge_by_name_in_every_named_list(tmp_path):
    """Names, by_type, ability and custom tasks: plain text and mapping are the same entry."""
    base = """\
tasks:
  embedding:
    names: [STS12, {name: STS17, subsets: [en-en]}]
    by_type: {Retrieval: [SciFact, NFCorpus]}
  ability: [fever, {name: gsm8k, num_fewshot: 5}]
  custom: [{name: own, type: STS, path: own.jsonl}]
"""
    top = """\
extends: base.yaml
tasks:
  embedding:
    names: [{name: STS12, limit: 5}, STS13, {name: STS17, limit: 6}]
    by_type: {Retrieval: [{name: NFCorpus, limit: 7}], STS: [STS14]}
  ability: [{name: fever, limit: 8}, mmlu]
  custom: [{name: own, limit: 9}]
"""
    suite_file(tmp_path, base, "base")
    tasks = load_suite(suite_file(tmp_path, top)).suite.tasks
    assert tasks.embedding.names == [
        TaskRef(name="STS12", limit=5),
        TaskRef(name="STS17", subsets=["en-en"], limit=6),
        TaskRef(name="STS13"),
    ]
    assert tasks.embedding.by_type == {
        "Retrieval": [TaskRef(name="SciFact"), TaskRef(name="NFCorpus", limit=7)],
        "STS": [TaskRef(name="STS14")],
    }
    assert tasks.ability == [
        CatalogueRef(name="fever", limit=8),
        CatalogueRef(name="gsm8k", num_fewshot=5),
        CatalogueRef(name="mmlu"),
    ]
    assert [(task.name, task.limit) for task in tasks.custom] == [("own", 9)]


def test_other_lists_are_replaced(tmp_path):
    """Subsets, splits and types are not appended to."""
    suite_file(
        tmp_path, "tasks: {embedding: {types: [STS], names: [{name: STS17, subsets: [en-en, es-es]}]}}\n", "base"
    )
    body = "extends: base.yaml\ntasks: {embedding: {types: [Clustering], names: [{name: STS17, subsets: [es-en]}]}}\n"
    embedding = load_suite(suite_file(tmp_path, body)).suite.tasks.embedding
    assert (embedding.types, embedding.names[0].subsets) == (["Clustering"], ["es-en"])


def test_include_brings_models_and_tasks_and_nothing_else(tmp_path):
    """Seed, limit, baseline and description of an included file stay behind."""
    body = f"seed: 7\nlimit: 7\ndescription: x\nbaseline: base\nmodels: [{BASE}]\ntasks: {{ability: [fever]}}\n"
    suite_file(tmp_path, body, "part")
    suite = load_suite(suite_file(tmp_path, f"include: part.yaml\nmodels: [{MINILM}]\n")).suite
    assert [model.name for model in suite.models] == ["base", "minilm"]
    assert [task.name for task in suite.tasks.ability] == ["fever"]
    assert (suite.seed, suite.limit, suite.baseline, suite.description) == (0, None, None, None)


def test_links_reach_through_several_files(tmp_path):
    """A base may have a base; every file that was read is known, the bases first."""
    suite_file(tmp_path, "seed: 1\n", "first")
    suite_file(tmp_path, "extends: first.yaml\nlimit: 2\n", "second")
    found = load_suite(suite_file(tmp_path, "extends: second.yaml\n", "third"))
    assert (found.suite.seed, found.suite.limit) == (1, 2)
    assert [file.name for file in found.files] == ["first.yaml", "second.yaml", "third.yaml"]


def test_one_base_reached_on_two_ways_is_no_circle(tmp_path):
    """A diamond is allowed."""
    suite_file(tmp_path, "seed: 1\n", "root")
    suite_file(tmp_path, "extends: root.yaml\n", "left")
    suite_file(tmp_path, "extends: root.yaml\n", "right")
    assert load_suite(suite_file(tmp_path, "extends: [left.yaml, right.yaml]\n")).suite.seed == 1


def test_bases_are_taken_from_the_files_own_folder(tmp_path):
    """A base in another folder names its own base relative to itself."""
    suite_file(tmp_path / "deep", "seed: 4\n", "root")
    suite_file(tmp_path / "deep", "extends: root.yaml\n", "base")
    assert load_suite(suite_file(tmp_path, "extends: deep/base.yaml\n")).suite.seed == 4


def test_a_shipped_suite_can_be_extended_by_its_bare_name(tmp_path):
    """`mteb-eng-v1` and `mteb-eng-v1.yaml` are the same base wherever the file stands."""
    for spelling in ("mteb-eng-v1", "mteb-eng-v1.yaml"):
        assert len(resolve_tasks(load_suite(suite_file(tmp_path, f"extends: {spelling}\n")).suite)) == 56


def test_a_file_beside_the_suite_hides_a_shipped_one(tmp_path):
    """The user's own `ability.yaml` is what `extends: ability.yaml` means."""
    suite_file(tmp_path, "seed: 9\n", "ability")
    assert load_suite(suite_file(tmp_path, "extends: ability.yaml\n")).suite.seed == 9


def test_a_base_that_is_not_there_is_placed_and_suggested(tmp_path):
    """The entry is pointed at, and a near name offered."""
    suite_file(tmp_path, "extends: [mteb-eng-v1, abilty.yaml]\n")
    assert problems_of("mine.yaml") == [
        "mine.yaml:3:24: no suite 'abilty.yaml' in . or among the shipped; did you mean 'ability.yaml'?"
    ]


def test_a_base_that_is_no_name_is_a_problem(tmp_path):
    """A mapping or a number under extends is said to be one."""
    suite_file(tmp_path, "extends: [7]\n")
    assert problems_of("mine.yaml") == [
        "mine.yaml:3:11: expected the name of a suite file, got 7; quote it where it is text: '7'"
    ]


@pytest.mark.parametrize("key", ["extends", "include"])
def test_a_circle_of_two_files_is_a_problem(tmp_path, key):
    """The link that closes the circle is pointed at."""
    suite_file(tmp_path, "extends: two.yaml\n", "one")
    suite_file(tmp_path, f"{key}: [mteb-eng-v2, one.yaml]\n", "two")
    where = 3, len(f"{key}: [mteb-eng-v2, ") + 1
    assert problems_of("one.yaml") == [
        f"two.yaml:{where[0]}:{where[1]}: the files extend each other in a circle: "
        "one.yaml -> two.yaml -> one.yaml; take one of the links out"
    ]


def test_a_circle_of_three_files_is_a_problem_that_names_only_them(tmp_path):
    """The file that leads into the circle is not part of it."""
    suite_file(tmp_path, "extends: a.yaml\n", "entry")
    for name, base in (("a", "b"), ("b", "c"), ("c", "a")):
        suite_file(tmp_path, f"extends: {base}.yaml\n", name)
    assert problems_of("entry.yaml") == [
        "c.yaml:3:10: the files extend each other in a circle: a.yaml -> b.yaml -> c.yaml -> a.yaml"
        "; take one of the links out"
    ]


def test_a_file_that_extends_itself_is_a_problem(tmp_path):
    """The smallest circle."""
    suite_file(tmp_path, "extends: mine.yaml\n")
    assert "mine.yaml -> mine.yaml" in problems_of("mine.yaml")[0]


def test_the_version_of_every_file_is_checked(tmp_path):
    """A base of another version is refused at its own line."""
    write(tmp_path / "old.yaml", "name: old\nversion: 0\n")
    suite_file(tmp_path, "extends: old.yaml\n")
    assert problems_of("mine.yaml") == ["old.yaml:2:10: version 0 is not supported; this release reads version: 1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\n", "x.yaml:1:1: missing key 'version'; this release reads version: 1"),
        ("version: true\n", "x.yaml:1:10: version true is not supported; this release reads version: 1"),
        ("version: '1'\n", "x.yaml:1:10: version '1' is not supported; this release reads version: 1"),
        ("version: [1]\n", "x.yaml:1:10: version [1] is not supported; this release reads version: 1"),
        ("- version\n", "x.yaml:1:1: a suite is a mapping of keys to values, this file is not"),
        ("version: 1\n", "x.yaml:1:1: suite: missing key 'name'"),
    ],
)
def test_a_file_that_is_no_suite_is_a_problem(tmp_path, text, message):
    """No version, another one, no mapping, no name."""
    write(tmp_path / "x.yaml", text)
    assert problems_of("x.yaml") == [message]


# --- where a suite comes from ---


def test_a_shipped_suite_is_found_by_its_bare_name_anywhere():
    """`full` works without a path, and is shown as it was typed."""
    found = load_suite("full")
    assert (found.suite.name, found.spelling, found.file) == ("full", "full", shipped_folder() / "full.yaml")


def test_a_file_of_the_users_own_is_spelled_as_its_path(tmp_path):
    """Relative to the working directory."""
    assert load_suite(suite_file(tmp_path / "sub", "")).spelling == "sub/mine.yaml"


def test_an_unknown_bare_name_lists_the_shipped_suites():
    """What is shipped, and what is near."""
    assert problems_of("ful") == [
        f"ful: neither a file nor a shipped suite; shipped: {', '.join(shipped_suites())}; did you mean 'full'?"
    ]


def test_custom_paths_are_relative_to_the_file_that_names_them(tmp_path):
    """Also through extends, and wherever the command is run."""
    suite_file(tmp_path / "data", "tasks: {custom: [{name: a, type: STS, path: a.jsonl}]}\n", "base")
    entries = "{name: b, type: STS, path: b.jsonl}, {name: c, type: STS, path: /c}"
    top = suite_file(tmp_path, f"extends: data/base.yaml\ntasks: {{custom: [{entries}]}}\n")
    custom = load_suite(top).suite.tasks.custom
    assert [task.path for task in custom] == [str(tmp_path / "data" / "a.jsonl"), str(tmp_path / "b.jsonl"), "/c"]


def test_a_custom_path_below_the_home_folder_is_expanded(tmp_path, monkeypatch):
    """`~/x` is no folder named `~` beside the suite."""
    monkeypatch.setenv("HOME", "/home/me")
    custom = load_suite(suite_file(tmp_path, "tasks: {custom: [{name: a, type: STS, path: ~/x}]}\n")).suite.tasks.custom
    assert custom[0].path == "/home/me/x"


# --- overrides ---


@pytest.mark.parametrize(
    ("override", "read", "value"),
    [
        ("limit=5", lambda suite: suite.limit, 5),
        ("limit=", lambda suite: suite.limit, None),
        ("limit=null", lambda suite: suite.limit, None),
        ("description=a=b", lambda suite: suite.description, "a=b"),
        ("models.base.dtype=bfloat16", lambda suite: suite.models[0].dtype, "bfloat16"),
        ("models.1.dtype=float16", lambda suite: suite.models[1].dtype, "float16"),
        ("models.v2.5.dtype=float16", lambda suite: suite.models[1].dtype, "float16"),
        ("models.v2.dtype=float16", lambda suite: suite.models[2].dtype, "float16"),
        ("models.base.prompts.query=q", lambda suite: suite.models[0].prompts, {"query": "q"}),
        ("models.base.prompts={query: q}", lambda suite: suite.models[0].prompts, {"query": "q"}),
        (
            "tasks.embedding.names.STS17.subsets=[es-en]",
            lambda suite: suite.tasks.embedding.names[0].subsets,
            ["es-en"],
        ),
        ("tasks.embedding.names.0.limit=3", lambda suite: suite.tasks.embedding.names[0].limit, 3),
        ("tasks.embedding.names=[STS12]", lambda suite: suite.tasks.embedding.names, [TaskRef(name="STS12")]),
        ("tasks.embedding.by_type.STS=[STS12]", lambda suite: suite.tasks.embedding.by_type["STS"][0].name, "STS12"),
        ("tasks.ability=[{name: mmlu, num_fewshot: 0}]", lambda suite: suite.tasks.ability[0].num_fewshot, 0),
    ],
)
def test_an_override_sets_one_value(tmp_path, override, read, value):
    """Nested keys, list elements by name (dots and all) and by index, values of any YAML kind."""
    models = ["base", "v2.5", "v2"]
    entries = "\n".join(f"  - {{name: {name}, encoder: mean-pool, model: some/model}}" for name in models)
    path = suite_file(tmp_path, f"limit: 100\nmodels:\n{entries}\ntasks: {{embedding: {{names: [STS17]}}}}\n")
    before, after = load_suite(path).suite, load_suite(path, [override]).suite
    assert read(after) == value
    assert before != after


def test_overrides_apply_in_order(tmp_path):
    """The last one wins, and a later one sees what an earlier one made."""
    path = suite_file(tmp_path, "")
    overrides = ["tasks.embedding.names=[STS17]", "tasks.embedding.names.STS17.limit=3", "limit=1", "limit=2"]
    suite = load_suite(path, overrides).suite
    assert (suite.limit, suite.tasks.embedding.names) == (2, [TaskRef(name="STS17", limit=3)])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("limit", "-o limit: expected key=value, such as -o limit=50 or -o models.base.dtype=bfloat16"),
        ("=5", "-o =5: expected key=value, such as -o limit=50 or -o models.base.dtype=bfloat16"),
        ("models.bose.dtype=x", "-o models.bose.dtype=x: no element 'bose'; there are: base; did you mean 'base'?"),
        ("models.1.dtype=x", "-o models.1.dtype=x: no element '1'; there are: base"),
        ("limit=many", "-o limit=many: limit: expected a whole number, got 'many'"),
        ("limits=5", None),
    ],
)
def test_an_override_that_cannot_be_is_a_problem_that_names_it(tmp_path, override, message):
    """The override stands where a file's position would."""
    found = problems_of(suite_file(tmp_path, f"models: [{BASE}]\n"), override)
    if message is None:
        assert found[0].startswith("-o limits=5: unknown key 'limits'; valid: version, name, ")
        assert found[0].endswith("; did you mean 'limit'?")
    else:
        assert found == [message]


def test_an_override_whose_value_is_no_yaml_is_a_problem(tmp_path):
    """An open bracket on the command line."""
    found = problems_of(suite_file(tmp_path, ""), "models=[")
    assert len(found) == 1
    assert found[0].startswith("-o models=[:1:2: not YAML: while parsing a flow")


def test_all_bad_overrides_are_named_at_once(tmp_path):
    """Two mistakes on one command line are two lines."""
    assert [line.split(":")[0] for line in problems_of(suite_file(tmp_path, ""), "a", "b")] == ["-o a", "-o b"]


# --- problems ---


def test_all_problems_of_a_file_come_at_once_sorted_by_position(tmp_path):
    """Schema and catalogue find five different things; they are listed as they stand in the file."""
    body = """\
baseline: nobody
seed: -1
models:
  - {name: base, encoder: mean-pool, model: some/base, poolng: mean}
tasks:
  embedding: {names: [STSBenchmrk]}
  ability: [{name: gsm8k, num_fewshot: few}]
"""
    found = problems_of(suite_file(tmp_path, body))
    assert [line.split(": ")[0] for line in found] == [
        "mine.yaml:3:11",
        "mine.yaml:4:7",
        "mine.yaml:6:56",
        "mine.yaml:8:23",
        "mine.yaml:9:40",
    ]
    assert found[0] == "mine.yaml:3:11: baseline 'nobody' is no model here; models: base"
    assert found[1] == "mine.yaml:4:7: seed: expected 0 or more, got -1"
    assert found[2].startswith("mine.yaml:6:56: unknown key 'poolng'; valid: name, note, ")
    assert "unknown embedding task 'STSBenchmrk'" in found[3]
    assert found[4] == "mine.yaml:9:40: tasks.ability.0.num_fewshot: expected a whole number, got 'few'"


def test_a_problem_in_a_base_names_the_base(tmp_path):
    """The position is that of the file where the value was written, not of the one that extends it."""
    suite_file(tmp_path, f"limit: 0\nmodels: [{BASE}]\n", "base")
    suite_file(tmp_path, "extends: base.yaml\nmodels:\n  - {name: base, dtype: float8}\n")
    assert problems_of("mine.yaml") == [
        "base.yaml:3:8: limit: expected more than 0, got 0",
        "mine.yaml:5:25: models.0.dtype: 'float8' is not one of float32, bfloat16, float16; did you mean 'float32'?",
    ]


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        (
            "models: [{name: a, encoder: men-pool, model: m, adapter: x}]",
            ["3:29: encoder 'men-pool' is not one of ENCODERS; did you mean 'mean-pool'?"],
        ),
        (
            "models: [{name: a}]",
            ["3:10: a model needs 'encoder' (ENCODERS) or 'candidate' (a directory of `grace train`)"],
        ),
        (
            "models: [{name: a, encoder: mean-pool, model: m, candidate: c}]",
            ["3:50: 'candidate' and 'encoder' exclude each other: a candidate says its own"],
        ),
        (
            "models: [{name: a, candidate: c, conf: x}]",
            ["3:34: unknown key 'conf'; valid: KEYS; did you mean 'config'?"],
        ),
        ("models: [{encoder: mean-pool, model: m}]", ["3:10: models.0: missing key 'name'"]),
        ("models: [{name: a, encoder: mean-pool}]", ["3:10: models.0: missing key 'model'"]),
        ("models: a", ["3:9: models: expected a list, got 'a'"]),
        ("models: [a]", ["3:10: models.0: expected a mapping, got 'a'"]),
        (
            "models: [{name: a, encoder: mean-pool, model: m, sha256: abc}]",
            ["3:58: models.0.sha256: expected 64 hex digits in lower case, got 'abc'"],
        ),
        (
            "models: [{name: a, encoder: mean-pool, model: m, instruction: 'do it'}]",
            ["3:63: instruction 'do it' has no place for {instruction}"],
        ),
        (
            "models: [{name: a, encoder: mean-pool, model: m, prompts: {STS21: q, SciFact-query: q, sts: q}}]",
            [
                "3:60: prompt for 'STS21': no such task, type or role; did you mean 'STS22'?",
                "3:88: prompt for 'sts': no such task, type or role; did you mean 'STS'?",
            ],
        ),
        (
            "models: [{name: a, encoder: rationale, model: m, generation: {temperature: -1}}]",
            ["3:76: models.0.generation.temperature: expected 0 or more, got -1"],
        ),
        (
            "tasks: {embedding: {by_type: {Sts: [STS12]}}}",
            ["3:36: tasks.embedding.by_type.Sts: 'Sts' is not one of TYPES; did you mean 'STS'?"],
        ),
        (
            "tasks: {embedding: {names: [STS12, STS12], by_type: {STS: [STS12]}}}",
            [
                "3:36: task 'STS12' is named twice; the first is at mine.yaml:3:29",
                "3:60: task 'STS12' is named twice; the first is at mine.yaml:3:29",
            ],
        ),
        (
            "tasks: {custom: [{name: STS12, type: STS, path: x}, {name: a, type: STS, path: x}, "
            "{name: a, type: STS, path: y}]}",
            [
                "3:25: custom task 'STS12' has the name of a task of the catalogue; choose another",
                "3:91: custom task 'a' is named twice; first at mine.yaml:3:60",
            ],
        ),
    ],
)
def test_each_mistake_is_said_once_with_its_cause(tmp_path, body, messages):
    """What only follows from a mistake is not said beside it: an unknown encoder has no unknown keys."""
    said = {
        "ENCODERS": ", ".join(BUILT_IN_ENCODERS),
        "KEYS": ", ".join(CandidateSpec.model_fields),
        "TYPES": ", ".join(EMBEDDING_TYPES),
    }
    expected = "\n".join(f"mine.yaml:{message}" for message in messages)
    for word, text in said.items():
        expected = expected.replace(word, text)
    assert "\n".join(problems_of(suite_file(tmp_path, f"{body}\n"))) == expected


# --- what ships ---


@pytest.mark.parametrize("name", shipped_suites())
def test_every_shipped_suite_loads(name):
    """And bears its file's name."""
    assert load_suite(name).suite.name == name


def test_the_suites_the_issue_asks_for_are_shipped():
    """By these names."""
    wanted = {"mteb-eng-v1", "mteb-eng-v2", "grace-subset", "ability", "full", "full-small", "regress"}
    assert wanted <= set(shipped_suites())


def test_every_yaml_file_in_suites_begins_with_its_schema():
    """Editors then complete and check keys while typing."""
    files = sorted((REPOSITORY / "suites").glob("*.yaml"))
    first = {file.name: file.read_text(encoding="utf-8").split("\n", 1)[0] for file in files}
    assert len(first) >= 6
    assert set(first.values()) == {"# yaml-language-server: $schema=suite.schema.json"}


def test_the_shipped_json_schema_is_that_of_the_code():
    """`suites/suite.schema.json` is what `harness schema` prints: write it anew with that command."""
    shipped = (REPOSITORY / "suites" / "suite.schema.json").read_text(encoding="utf-8")
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Suite.model_json_schema()}
    assert shipped == json.dumps(made, indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("mteb-eng-v1", [15, 4, 11, 3, 12, 10, 1]),
        ("mteb-eng-v2", [10, 2, 8, 3, 8, 9, 1]),
        ("grace-subset", [3, 2, 3, 1, 3, 3, 1]),
    ],
)
def test_a_shipped_benchmark_has_its_tasks_by_type(name, counts):
    """15/4/11/3/12/10/1 in v1 (56), 41 in v2, the paper's 16."""
    found = Counter(task.type for task in resolve_tasks(load_suite(name).suite))
    types = ("Retrieval", "Reranking", "Clustering", "PairClassification", "Classification", "STS", "Summarization")
    assert [found[kind] for kind in types] == counts
    assert sum(counts) == {"mteb-eng-v1": 56, "mteb-eng-v2": 41, "grace-subset": 16}[name]


@pytest.mark.parametrize(
    ("name", "benchmark"),
    [("mteb-eng-v1", "MTEB(eng, v1)"), ("mteb-eng-v2", "MTEB(eng, v2)"), ("long", "LongEmbed")],
)
def test_a_shipped_benchmark_is_the_engines_own(name, benchmark):
    """The same tasks with the same splits and subsets as the catalogue has for the benchmark."""
    planned = {task.name: (task.splits, set(task.subsets)) for task in resolve_tasks(load_suite(name).suite)}
    members = {one.name: (one.splits, set(one.subsets)) for one in catalogue().benchmarks[benchmark]}
    assert planned == members


def test_bright_is_the_short_half_of_the_benchmark() -> None:
    """With documents that are excluded for a query; the tasks that mteb calls older are none of them."""
    planned = {task.name: task.splits for task in resolve_tasks(load_suite("bright").suite)}
    members = {one.name: one.splits for one in catalogue().benchmarks["BRIGHT(v1.1)"] if one.splits == ("standard",)}
    assert planned == members
    assert len(planned) == 12


def test_full_is_the_benchmark_and_general_ability():
    """56 embedding tasks and all of ability, for seven models of five trainings; small, the same and nats a token."""
    suite, small = load_suite("full").suite, load_suite("full-small").suite
    tasks = resolve_tasks(suite)
    ability = [task.name for task in resolve_tasks(load_suite("ability").suite)]
    assert [task.name for task in tasks if task.axis == "ability"] == ability
    assert {"gsm8k", "mmlu", "bbh", "fever", "humaneval"} <= set(ability)
    assert len(tasks) == 56 + len(ability)
    names = ["base", "base+rationale", "infonce", "infonce+kl", "infonce+pool+kl", "grace", "recommended"]
    assert [model.name for model in suite.models] == [model.name for model in small.models] == names
    assert suite.baseline == small.baseline == "base"
    assert [task.name for task in resolve_tasks(small)] == [*(task.name for task in tasks), "nll-solutions"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("limit: true\n", "mine.yaml:3:8: limit: expected a whole number, got true"),
        ("seed: no\n", "mine.yaml:3:7: seed: expected a whole number, got no"),
        ("retention: {margin: on}\n", "mine.yaml:3:21: retention.margin: expected a number, got on"),
        ("description: 2.10\n", "mine.yaml:3:14: description: expected text, got 2.10, which YAML reads as 2.1; quote"),
        ("description: 12345\n", "mine.yaml:3:14: description: expected text, got 12345; quote it where it is text"),
        ("baseline: off\n", "mine.yaml:3:11: baseline: expected text, got off, which YAML reads as false; quote it"),
        ("baseline: 2024-05-06\n", "mine.yaml:3:11: YAML reads 2024-05-06 as a date; quote it: '2024-05-06'"),
        (
            "tasks: {ability: [{name: gsm8k, until: [yes]}]}\n",
            "mine.yaml:3:41: tasks.ability.0.until.0: expected text, got yes, which YAML reads as true; quote it",
        ),
        (
            "tasks: {ability: [{name: gsm8k, chat_template: 1}]}\n",
            "mine.yaml:3:48: tasks.ability.0.chat_template: expected true or false, got 1",
        ),
        (
            "tasks: {ability: [{name: gsm8k, chat_template: 'no'}]}\n",
            "mine.yaml:3:48: tasks.ability.0.chat_template: expected true or false, got 'no'",
        ),
        ("limit: 1.5\n", "mine.yaml:3:8: limit: expected a whole number, got 1.5"),
    ],
)
def test_what_yaml_reads_as_something_else_is_said_as_it_was_written(tmp_path, body, message):
    """Neither true in the place of a number, nor 1 in that of true, nor a number in that of text passes."""
    suite_file(tmp_path, body)
    (line,) = problems_of("mine.yaml")
    assert line.startswith(message)


def test_a_whole_number_may_have_an_exponent(tmp_path):
    """As YAML 1.2 and everybody else reads it."""
    assert loaded(tmp_path, "limit: 1e3\n").suite.limit == 1000


def test_all_that_is_wrong_is_said_at_once_the_misread_numbers_too(tmp_path):
    """In the order of the file, and a value that cannot be read is complained of once."""
    suite_file(tmp_path, "limit: 040\nmodels:\n  - {name: 2024-01-01, encoder: tf-idf}\nseed: many\n")
    assert [line.partition(": ")[0] for line in problems_of("mine.yaml")] == [
        "mine.yaml:3:8",
        "mine.yaml:5:12",
        "mine.yaml:6:7",
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("limit=010", "-o limit=010: YAML reads 010 as the octal number 8; write 10, or quote it if it is text"),
        ("limit=yes", "-o limit=yes: limit: expected a whole number, got yes"),
        ("name=1.10", "-o name=1.10: name: expected text, got 1.10, which YAML reads as 1.1; quote it"),
    ],
)
def test_overrides_are_read_as_files_are(tmp_path, override, message):
    """With the override in the place of line and column."""
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, "", overrides=(override,))
    (line,) = caught.value.problems
    assert line.startswith(message)
