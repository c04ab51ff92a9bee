"""The key of a cell: everything that can change its score changes it, and nothing else does."""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from suites_support import biosses, isolate, loaded, planned, weights, write

from harness.candidates.candidate import Candidate
from harness.digests import canonical, digest
from harness.plan.cells import Cell
from harness.plan.keys import KEY_LENGTH, KeyParts, key_of
from harness.plan.planner import make_plan
from harness.sources.places import Sources
from harness.suite.model_entries import MeanPoolSpec, SentenceTransformersSpec
from harness.tasks.catalogue import catalogue

PARTS = KeyParts(
    candidate={"kind": "mean-pool", "weights": {"files_sha256": "ab"}, "options": {"dtype": "float32"}},
    task="STS17",
    splits=("test",),
    subsets=("en-en",),
    prompts={"text": "Represent: "},
    dataset={"STS17": {"repo": "mteb/sts17", "commit": "cd"}},
    seed=0,
    limit=None,
    engine="mteb==2.26.24",
    scoring_version=1,
    settings={"num_fewshot": 5},
)
OTHER_VALUES: dict[str, list[Any]] = {
    "candidate": [{}, {**PARTS.candidate, "kind": "rationale"}, {**PARTS.candidate, "options": {"dtype": "bfloat16"}}],
    "task": ["STS16"],
    "splits": [("validation",), ("test", "validation"), ()],
    "subsets": [("es-es",), ("en-en", "es-es")],
    "prompts": [{}, {"text": None}, {"text": "Represent:"}, {"query": "Represent: "}],
    "dataset": [{}, {"STS17": {"repo": "mteb/sts17", "commit": "ce"}}, {"STS17": {"files_sha256": "cd"}}],
    "seed": [1],
    "limit": [0, 1, 100],
    "engine": ["mteb==2.26.25", "lm-eval==2.26.24"],
    "scoring_version": [2],
    "settings": [{}, {"num_fewshot": 4}, {"num_fewshot": "5"}, {"num_fewshot": 5, "subtasks": ["anatomy"]}],
}
HUB_MODEL = "some-org/some-model"
WHEEL = "wheel:some-dist==1.0/model"


# --- the parts ---


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in OTHER_VALUES.items() for value in values]
)
def test_every_part_changes_the_key(name, value):
    """One field changed is another key."""
    assert key_of(replace(PARTS, **{name: value})) != key_of(PARTS)


def test_the_table_of_parts_is_complete():
    """A field that is added to the key must be added to the table above."""
    assert set(OTHER_VALUES) == {one.name for one in fields(KeyParts)}


def test_different_parts_have_different_keys():
    """No two rows of the table share a key: a value does not count the same in two fields."""
    changed = [replace(PARTS, **{name: value}) for name, values in OTHER_VALUES.items() for value in values]
    assert len({key_of(parts) for parts in [PARTS, *changed]}) == len(changed) + 1


def test_the_key_of_fixed_parts_is_pinned():
    """If this changes, every stored result is orphaned: raise a scoring version on purpose instead."""
    assert key_of(PARTS) == "56b9f8e8bcef486ccf8b"
    assert len(key_of(PARTS)) == KEY_LENGTH


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def turned(value: Any) -> Any:
    """Return `value` with every mapping in the opposite order."""
    if isinstance(value, dict):
        return {key: turned(one) for key, one in reversed(value.items())}
    return [turned(one) for one in value] if isinstance(value, list) else value


@settings(deadline=None, derandomize=True, database=None)
@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_the_key_does_not_depend_on_the_order_of_mappings(mapping):
    """At any depth, in every mapping of the parts."""
    there = replace(PARTS, settings=mapping, candidate=mapping, dataset=mapping)
    back = replace(PARTS, settings=turned(mapping), candidate=turned(mapping), dataset=turned(mapping))
    assert key_of(there) == key_of(back)


@settings(deadline=None, derandomize=True, database=None)
@given(JSON)
def test_canonical_text_reads_back_as_the_value(value):
    """Nothing is lost on the way, so two values that differ have two texts."""
    assert json.loads(canonical(value)) == value


def test_canonical_text_by_hand():
    """Sorted keys, no spaces, ASCII: the same bytes on every machine."""
    assert canonical({"b": [1, None], "a": "é"}) == '{"a":"\\u00e9","b":[1,null]}'
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_a_number_that_is_none_has_no_key():
    """NaN in a setting is refused: it equals nothing, not even itself."""
    with pytest.raises(ValueError, match="Out of range float"):
        key_of(replace(PARTS, settings={"temperature": float("nan")}))


# --- from a suite ---


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with weights, an adapter, soft tokens and a local hub that holds the data of BIOSSES."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    weights(tmp_path / "weights")
    weights(tmp_path / "other-weights", "others")
    weights(tmp_path / "adapter", "adapter")
    weights(tmp_path / "other-adapter", "other adapter")
    biosses(tmp_path / "hub")
    (tmp_path / "soft_tokens.safetensors").write_bytes(b"soft")
    return tmp_path


def cell_of(folder: Path, model: dict[str, Any], task: Any = "BIOSSES", **suite: Any) -> Cell:
    """Plan one model on one task; of several sizes of its vectors, the whole ones."""
    body = {"models": [model], "tasks": {"embedding": {"names": [task]}}, **suite}
    text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in body.items())
    plan = make_plan(loaded(folder, text).suite, Sources(hub=folder / "hub"))
    assert isinstance(plan.candidates[0], Candidate)
    (cell,) = (one for one in plan.cells if one.model == model["name"])
    return cell


def key(folder: Path, model: dict[str, Any], task: Any = "BIOSSES", **suite: Any) -> str:
    """Return the key of one model on one task, which must have one."""
    found = cell_of(folder, model, task, **suite).key
    assert found is not None
    return found


MEAN_POOL = {"name": "m", "encoder": "mean-pool", "model": "weights"}
SENTENCE_TRANSFORMERS = {"name": "m", "encoder": "sentence-transformers", "model": "weights"}
OF_LOADED: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
    "model": [({}, {"model": "other-weights"}), ({}, {"model": HUB_MODEL, "revision": "a" * 40})],
    "revision": [({"model": HUB_MODEL, "revision": "a" * 40}, {"revision": "b" * 40})],
    "sha256": [({"model": WHEEL, "sha256": "a" * 64}, {"sha256": "b" * 64})],
    "dtype": [({}, {"dtype": "bfloat16"})],
    "store_dtype": [({}, {"store_dtype": "float16"})],
    "attn_implementation": [({}, {"attn_implementation": "eager"})],
    "trust_remote_code": [({}, {"trust_remote_code": True})],
    "max_text_tokens": [({}, {"max_text_tokens": 100}), ({"max_text_tokens": 100}, {"max_text_tokens": 101})],
    "similarity": [({}, {"similarity": "dot"}), ({"similarity": "cosine"}, {"similarity": "dot"})],
    "prompts": [
        ({}, {"prompts": {"BIOSSES": "a "}}),
        ({}, {"prompts": {"STS": "a "}}),
        ({"prompts": {"STS": "a "}}, {"prompts": {"STS": "b "}}),
    ],
    "instruction": [({}, {"instruction": "Instruct: {instruction} "})],
}
"""Field -> base and change: each change makes another key."""


def soft(digit: str) -> dict[str, str]:
    """Return what an entry says of its soft tokens."""
    return {"file": "soft_tokens.safetensors", "sha256": digit * 64}


CHANGES: dict[str, dict[str, list[tuple[dict[str, Any], dict[str, Any]]]]] = {
    "mean-pool": {
        **OF_LOADED,
        "encoder": [({}, {"encoder": "sentence-transformers"})],
        "adapter": [({}, {"adapter": "adapter"}), ({"adapter": "adapter"}, {"adapter": "other-adapter"})],
        "adapter_scale": [({"adapter": "adapter"}, {"adapter_scale": 0.5})],
        "soft_tokens": [({}, {"soft_tokens": soft("a")}), ({"soft_tokens": soft("a")}, {"soft_tokens": soft("b")})],
        "suffix": [({}, {"suffix": " or so"}), ({"suffix": " or so"}, {"suffix": "or so"})],
    },
    "sentence-transformers": {**OF_LOADED, "encoder": [({}, {"encoder": "mean-pool"})]},
}
SAME: dict[str, Any] = {
    "name": "renamed",
    "note": "a remark",
    "device": "cpu",
    "batch_tokens": 64,
    "search_precision": "int8",
    "dimensions": [64],
    "precision": ["int8"],
    "prompt_variants": ["a "],
}
"""Fields that must not change a key of STS: they can change no score of it beyond its last digit."""
ABILITY_ONLY: dict[str, Any] = {"ability": {"gsm8k": {"num_fewshot": 3}}, "serving": "switched"}
"""Fields that change keys of the ability axis alone."""
OF_BITS = {"rescore"}
"""Fields that mean something beside another alone."""
PRECISIONS = ("float32", "int8", "binary")
BASES = {"mean-pool": MEAN_POOL, "sentence-transformers": SENTENCE_TRANSFORMERS}


@pytest.mark.parametrize(
    ("kind", "base", "change"),
    [
        pytest.param(kind, base, change, id=f"{kind}-{name}-{number}")
        for kind, table in CHANGES.items()
        for name, pairs in table.items()
        for number, (base, change) in enumerate(pairs)
    ],
)
def test_every_field_of_a_model_that_can_change_a_score_changes_the_key(folder, kind, base, change):
    """One line of a model's entry changed is another key."""
    before = BASES[kind] | base
    assert key(folder, before) != key(folder, before | change)


@pytest.mark.parametrize("kind", list(CHANGES))
@pytest.mark.parametrize("name", list(SAME))
def test_fields_that_change_no_score_leave_the_key(folder, kind, name):
    """A result is found again under another name, on another device, with other batches."""
    assert key(folder, BASES[kind]) == key(folder, BASES[kind] | {name: SAME[name]})


@pytest.mark.parametrize("kind", list(BASES))
@pytest.mark.parametrize("task", ["SciFact", "AskUbuntuDupQuestions"])
def test_the_precision_of_the_search_is_in_the_keys_of_ranking_tasks_alone(folder, kind, task):
    """float32, said or not, leaves the key; int8 and binary have one each."""
    found = [key(folder, BASES[kind] | more, task) for more in ({}, *({"search_precision": one} for one in PRECISIONS))]
    assert found[0] == found[1]
    assert len(set(found)) == len(PRECISIONS)
    assert cell_of(folder, BASES[kind] | {"search_precision": "int8"}, task).search_precision == "int8"
    assert cell_of(folder, BASES[kind] | {"search_precision": "int8"}).search_precision == "float32"


@pytest.mark.parametrize("task", ["MedrxivClusteringS2S", "BIOSSES"])
@pytest.mark.parametrize(("limit", "counts"), [(None, False), (1, False), (2, True), (199, True), (200, False)])
def test_only_small_limits_on_clustering_have_other_keys_than_before(folder, monkeypatch, task, limit, counts):
    """Two sets are kept where one was: those cells are others now; all keys of larger limits and of none stay."""
    body = {"limit": limit} if limit else {}
    now = key(folder, MEAN_POOL, task, **body)
    monkeypatch.setattr("harness.plan.planner.draws_least_sets", lambda *_: False)
    assert (now != key(folder, MEAN_POOL, task, **body)) == (counts and task != "BIOSSES")


@pytest.mark.parametrize(("task", "limit", "is_in"), [("BrightAopsRetrieval", 5, True), ("SciFact", 5, False)])
def test_limited_tasks_that_keep_excluded_documents_have_other_keys(folder, monkeypatch, task, limit, is_in):
    """A limit leaves them other documents than it did; without a limit, and for other tasks, keys stay."""
    found = [key(folder, MEAN_POOL, task, **body) for body in ({"limit": limit}, {})]
    monkeypatch.setattr("harness.plan.planner.keeps_excluded", lambda *_: False)
    before = [key(folder, MEAN_POOL, task, **body) for body in ({"limit": limit}, {})]
    assert (found[0] != before[0], found[1] != before[1]) == (is_in, False)


@pytest.mark.parametrize(("task", "is_in"), [("SciFact", True), ("AskUbuntuDupQuestions", False), ("BIOSSES", False)])
def test_what_is_ranked_again_is_in_the_keys_of_retrieval_alone(folder, task, is_in):
    """Where bits are compared; the number counts."""
    bits = MEAN_POOL | {"search_precision": "binary"}
    found = [key(folder, bits | more, task) for more in ({}, {"rescore": 50}, {"rescore": 60})]
    assert len(set(found)) == (3 if is_in else 1)
    assert cell_of(folder, bits | {"rescore": 50}, task).rescore == (50 if is_in else None)


def test_settings_of_ability_tasks_leave_the_keys_of_embedding_tasks(folder):
    """How a model is asked GSM8K, and whether its adapter is on there, does not change its vectors."""
    model = MEAN_POOL | {"adapter": "adapter"}
    assert key(folder, model) == key(folder, model | ABILITY_ONLY)


@pytest.mark.parametrize(
    ("kind", "spec"), [("mean-pool", MeanPoolSpec), ("sentence-transformers", SentenceTransformersSpec)]
)
def test_the_table_of_model_fields_is_complete(kind, spec):
    """A field added to a model's entry must be put into one of the tables above."""
    refused = {
        "seeds"
    }  # these encoders draw nothing; tests/harness/results/test_seeds.py has the keys of those that do
    assert set(spec.model_fields) - set(ABILITY_ONLY) - OF_BITS - refused == set(CHANGES[kind]) | set(SAME)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"limit": 10}, {"limit": 10, "seed": 1}),
        ({}, {"limit": 10}),
        ({"limit": 10}, {"limit": 11}),
        ({}, {"task": {"name": "BIOSSES", "splits": ["validation"]}}),
    ],
)
def test_what_the_suite_says_of_a_task_changes_the_key(folder, before, after):
    """Seed, limit and splits."""
    write(folder / "hub/datasets/mteb/biosses-sts/validation.jsonl", "{}")
    write(folder / "hub/datasets/mteb/biosses-sts/README.md", "no head: nothing is said of splits")
    assert key(folder, MEAN_POOL, **before) != key(folder, MEAN_POOL, **before | after)


def test_a_seed_that_nothing_draws_from_leaves_the_key(folder):
    """Every item is scored, and the encoder draws nothing; of one that does, and of a subsample, it is in the key."""
    assert key(folder, MEAN_POOL, seed=1) == key(folder, MEAN_POOL)
    for changes, is_drawn in (
        ({"generation": {"temperature": 0}}, False),
        ({"generation": {"temperature": 0.5}}, True),
        ({"ablation": "shuffled-rationale"}, True),
    ):
        model = MEAN_POOL | {"encoder": "rationale"} | changes
        assert (key(folder, model, seed=1) != key(folder, model)) == is_drawn


def test_the_order_of_splits_and_subsets_leaves_key_and_name(folder):
    """They are run in the catalogue's order, each once."""
    body = "tasks: {{embedding: {{names: [{{name: STS17, subsets: [{}], splits: [test]}}]}}}}\n"
    there, back = (
        planned(folder, f"models: [{{name: m, encoder: tf-idf}}]\n{body.format(subsets)}").tasks[0]
        for subsets in ("es-en, en-en", "en-en, es-en, en-en")
    )
    assert there == back
    assert there.label == "STS17[en-en,es-en]"


def test_what_is_written_for_people_leaves_the_key(folder):
    """A card beside weights or adapter, words in a dataset's README."""
    readme = write(folder / "hub/datasets/mteb/biosses-sts/README.md", "no head: nothing is said of splits")
    model = MEAN_POOL | {"adapter": "adapter"}
    before = key(folder, model)
    for file in ("weights/README.md", "weights/LICENSE", "weights/figure.png", "adapter/README.md"):
        write(folder / file, "x")
    write(readme, "other words")
    assert key(folder, model) == before


@pytest.mark.parametrize(
    "file",
    [
        "weights/model.safetensors",
        "weights/config.json",
        "adapter/model.safetensors",
        "hub/datasets/mteb/biosses-sts/test.jsonl",
    ],
)
def test_one_byte_of_any_file_changes_the_key(folder, file):
    """Weights, adapter and data in folders are keyed by their content; turning the byte back gives the key back."""
    model = MEAN_POOL | {"adapter": "adapter"}
    before, content = key(folder, model), (folder / file).read_bytes()
    (folder / file).write_bytes(bytes([content[0] ^ 1]) + content[1:])
    changed = key(folder, model)
    (folder / file).write_bytes(content)
    assert changed != before
    assert key(folder, model) == before


def test_a_new_file_or_another_name_changes_the_key(folder):
    """A file that is added or renamed is other weights."""
    keys = {key(folder, MEAN_POOL)}
    write(folder / "weights/extra.json", "{}")
    keys.add(key(folder, MEAN_POOL))
    (folder / "weights/extra.json").rename(folder / "weights/more.json")
    keys.add(key(folder, MEAN_POOL))
    assert len(keys) == 3


def test_hidden_files_leave_the_key(folder):
    """What an editor or a download client leaves behind is no part of the weights."""
    before = key(folder, MEAN_POOL)
    write(folder / "weights/.cache/huggingface/x.lock", "")
    write(folder / "weights/.DS_Store", "")
    assert key(folder, MEAN_POOL) == before


def test_the_modification_time_alone_leaves_the_key(folder):
    """Copying a folder to another machine changes no key."""
    before = key(folder, MEAN_POOL)
    for file in [*(folder / "weights").iterdir(), *(folder / "hub").rglob("*.jsonl")]:
        os.utime(file, (1, 1))
    assert key(folder, MEAN_POOL) == before


def test_the_place_of_the_weights_leaves_the_key(folder):
    """The same bytes in another folder are the same model."""
    weights(folder / "moved/elsewhere")
    assert key(folder, MEAN_POOL) == key(folder, MEAN_POOL | {"model": "moved/elsewhere"})


def test_prompts_of_another_task_leave_the_key(folder):
    """Only the prefixes that this task's texts get are part of its key."""
    before = key(folder, MEAN_POOL)
    for prompts in ({"STS12": "a "}, {"Retrieval": "a ", "Retrieval-query": "b "}, {"query": "a ", "document": "b "}):
        assert key(folder, MEAN_POOL | {"prompts": prompts}) == before


def test_a_prompt_counts_as_what_it_comes_to_not_as_how_it_was_said(folder):
    """By task, by type or by template: the same prefix is the same key."""
    text = catalogue().tasks["BIOSSES"].prompt
    by_task = key(folder, MEAN_POOL | {"prompts": {"BIOSSES": f"{text} "}})
    assert by_task == key(folder, MEAN_POOL | {"prompts": {"STS": f"{text} "}})
    assert by_task == key(folder, MEAN_POOL | {"instruction": "{instruction} "})
    assert by_task != key(folder, MEAN_POOL)


def test_two_tasks_of_one_model_have_two_keys(folder):
    """Also where both read nothing that differs but their own name and data."""
    head = folder / "hub/datasets/mteb/sts12-sts"
    write(head / "test.jsonl", (folder / "hub/datasets/mteb/biosses-sts/test.jsonl").read_text(encoding="utf-8"))
    assert key(folder, MEAN_POOL, "STS12") != key(folder, MEAN_POOL)
