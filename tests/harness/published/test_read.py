"""Published rows out of a results tree, a results folder of our own and a model card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from suites_support import write

from harness.errors import InputError
from harness.published.read import read_published
from harness.published.rows import digits_of
from harness.results.records import Metric, Score
from harness.results.store import Store

REVISION = "0" * 40


def result(task: str, main: float, split: str = "test", **scores: Any) -> dict[str, Any]:
    """Return a file of mteb's results."""
    of_subset = {"main_score": main, "hf_subset": "default", "languages": ["eng-Latn"], **scores}
    return {
        "dataset_revision": "d" * 40, "task_name": task, "mteb_version": "1.12.75", "evaluation_time": 4.1,
        "scores": {split: [of_subset]},
    }  # fmt: skip


def put(root: Path, task: str, content: Any, *, model: str = "org__name", revision: str = REVISION) -> Path:
    """Write one file of a results tree."""
    text = content if isinstance(content, str) else json.dumps(content)
    return write(root / "results" / model / revision / f"{task}.json", text)


@pytest.mark.parametrize("below", ["", "results", "results/org__name", f"results/org__name/{REVISION}"])
def test_every_level_of_a_tree_can_be_named(tmp_path: Path, below: str) -> None:
    """The clone, its results, a model, a revision: the same rows, in points, with what wrote them."""
    put(tmp_path, "STS12", result("STS12", 0.72374, cosine_spearman=0.72374, cosine_pearson=0.8))
    found = read_published(tmp_path / below)
    assert (found.kind, found.model, found.revision, found.digits) == ("mteb results", "org/name", REVISION, 2)
    (row,) = found.rows
    assert (str(row), row.metric, row.mteb_version) == ("STS12@test[default]", "cosine_spearman", "1.12.75")
    assert row.value == pytest.approx(72.374)


def test_a_main_score_of_another_metric_is_called_by_its_name(tmp_path: Path) -> None:
    """Pair classification was ranked by cosine AP once, and by the best AP now."""
    put(tmp_path, "PawsXPairClassification", result("PawsXPairClassification", 0.5, max_ap=0.6, cos_sim_ap=0.5))
    assert read_published(tmp_path).rows[0].metric == "cosine_ap"


def test_a_model_is_chosen_by_name_and_a_revision_by_the_models_own(tmp_path: Path) -> None:
    """Several models need a name, several revisions a revision; what there is is said."""
    put(tmp_path, "STS12", result("STS12", 0.1))
    put(tmp_path, "STS12", result("STS12", 0.2), revision="1" * 40)
    put(tmp_path, "STS12", result("STS12", 0.3), model="org__other")
    assert read_published(tmp_path, ["org/other"]).rows[0].value == pytest.approx(30)
    assert read_published(tmp_path, ["Org/Name"], "1" * 40).rows[0].value == pytest.approx(20)
    with pytest.raises(InputError, match="among 2 models; name one with --as: org/name, org/other"):
        read_published(tmp_path, ["nobody/nothing"])
    with pytest.raises(InputError, match="results of 2 revisions, and the model's revision is not said"):
        read_published(tmp_path, ["org/name"])


def test_what_is_no_row_is_said_and_never_a_zero(tmp_path: Path) -> None:
    """Files of before mteb 1.11, a score that is not there, one that is NaN, a broken file."""
    put(tmp_path, "STS12", result("STS12", 0.5))
    put(tmp_path, "STS13", {"mteb_version": "1.0.2", "test": {"cos_sim": {"spearman": 0.5}}})
    put(tmp_path, "STS14", result("STS14", float("nan")))
    put(tmp_path, "STS15", "{")
    put(tmp_path, "STS16", result("STS16", 10**400))
    found = read_published(tmp_path)
    assert [row.task for row in found.rows] == ["STS12"]
    assert found.unread == (
        "STS13.json: no `scores`: a format from before mteb 1.11 (it was written by 1.0.2)",
        "STS14.json: test/default has no main_score",
        "STS15.json: not a file of mteb's results",
        "STS16.json: test/default has no main_score",
    )


def test_a_broken_file_hides_no_good_one(tmp_path: Path) -> None:
    """Though it comes first, and nothing says what the folder is but its files."""
    put(tmp_path, "AAA", '{"task_name": "AA')
    put(tmp_path, "STS12", result("STS12", 0.5))
    found = read_published(tmp_path)
    assert [row.task for row in found.rows] == ["STS12"]
    assert found.unread == ("AAA.json: not a file of mteb's results",)


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        ({"test": None}, "expected a list of scores, one a subset, not None"),
        ({"test": {"main_score": 0.5}}, "expected a list of scores, one a subset, not {'main_score': 0.5}"),
        ({"test": ["x"]}, "expected scores by name, not 'x'"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_in_words(tmp_path: Path, scores: Any, why: str) -> None:
    """With the split; what else is in the file is read."""
    whole = result("STS13", 0.5)
    put(tmp_path, "STS13", whole | {"scores": scores | {"dev": whole["scores"]["test"]}})
    found = read_published(tmp_path)
    assert [row.split for row in found.rows] == ["dev"]
    assert found.unread == (f"STS13.json: test: {why}",)


@pytest.mark.parametrize("value", [87.59, 1.5, -0.2])
def test_a_score_outside_of_its_metrics_range_is_no_row(tmp_path: Path, value: float) -> None:
    """Points where mteb has fractions would be a hundred times too much; accuracy is never below 0."""
    put(tmp_path, "STS12", result("STS12", -0.02, cosine_spearman=-0.02))
    put(tmp_path, "Banking77Classification", result("Banking77Classification", value, accuracy=value))
    found = read_published(tmp_path)
    assert [(row.task, row.value) for row in found.rows] == [("STS12", -2.0)]
    assert found.unread == (f"Banking77Classification.json: test/default: main_score {value}: outside 0 to 1",)


def test_a_correlation_goes_from_minus_one_to_one(tmp_path: Path) -> None:
    """And no further; a metric that is not known may be one."""
    put(tmp_path, "STS12", result("STS12", -1.5, cosine_spearman=-1.5))
    put(tmp_path, "Strange", result("Strange", -0.5))
    found = read_published(tmp_path)
    assert [row.value for row in found.rows] == [-50]
    assert found.unread == ("STS12.json: test/default: main_score -1.5: outside -1 to 1",)


CARD = """---
license: mit
date: 2024-01-01
model-index:
- name: name
  results:
  - task: {{type: STS}}
    dataset: {{name: MTEB STS12, type: mteb/sts12-sts, config: default, split: test, revision: abc}}
    metrics: [{{type: cos_sim_pearson, value: 80.1}}, {{type: cos_sim_spearman, value: {value}}}]
  - task: {{type: STS}}
    dataset: {{name: MTEB STS17 (en-en), type: mteb/sts17, config: en-en, split: test}}
    metrics: [{{type: cosine_pearson, value: {value}}}]
  - task: {{type: STS}}
    dataset: {{name: My own, type: x/y}}
    metrics: [{{type: accuracy, value: 1}}]
---
# A model
"""


def test_a_card_has_the_main_metric_or_the_one_there_is(tmp_path: Path) -> None:
    """In points; whatever else stands in the head is none of our business."""
    write(tmp_path / "README.md", CARD.format(value=72.37))
    found = read_published(tmp_path)
    assert (found.kind, found.model, found.digits) == ("model card", "name", 2)
    assert [(str(row), row.metric) for row in found.rows] == [
        ("STS12@test[default]", "cosine_spearman"), ("STS17@test[en-en]", "cosine_pearson")
    ]  # fmt: skip
    assert [row.value for row in found.rows] == [72.37, 72.37]
    assert found.unread == (
        "result 3: 'My own' is not the name of a task of mteb (expected `MTEB TASK`, such as `MTEB STS12`)",
    )


def test_a_card_whose_scores_all_lie_within_one_is_in_fractions(tmp_path: Path) -> None:
    """One score of more says that all are in points, that of 0.9 points too."""
    fractions = CARD.format(value=0.7237)
    assert [row.value for row in read_published(write(tmp_path / "f.md", fractions)).rows] == pytest.approx([72.37] * 2)
    mixed = CARD.format(value=0.9).replace("cosine_pearson, value: 0.9", "cosine_pearson, value: 50")
    assert [row.value for row in read_published(write(tmp_path / "m.md", mixed)).rows] == [0.9, 50]


@pytest.mark.parametrize(
    ("value", "why"),
    [("true", "has no metric that is a number"), ("875.9", "cosine_pearson 875.9: outside -100 to 100")],
)
def test_a_cards_value_that_is_no_score_is_said(tmp_path: Path, value: str, why: str) -> None:
    """Yes and no are no numbers, and nothing scores more than a hundred points."""
    card = CARD.format(value=72.37).replace("cosine_pearson, value: 72.37", f"cosine_pearson, value: {value}")
    found = read_published(write(tmp_path / "README.md", card))
    assert [(row.task, row.value) for row in found.rows] == [("STS12", 72.37)]
    assert any(why in line for line in found.unread), found.unread


TWO = """---
model-index:
- name: one
  results:
  - {dataset: {name: MTEB STS12}, metrics: [{type: cosine_spearman, value: 10}]}
- name: org/two
  results:
  - {dataset: {name: MTEB STS12}, metrics: [{type: cosine_spearman, value: 0.2}]}
  - {dataset: {name: MTEB STS13}, metrics: [{type: x, value: yes}]}
---
"""


def test_of_several_models_of_a_card_one_is_chosen_by_name(tmp_path: Path) -> None:
    """With or without its organization; its rows and what could not be read of it are its own, and so is its scale."""
    write(tmp_path / "README.md", TWO)
    found = read_published(tmp_path, ["org/one"])
    assert (found.model, [row.value for row in found.rows], found.unread) == ("one", [10], ())
    for name in ("org/two", "ORG/Two", "two", "org__two"):
        found = read_published(tmp_path, ["nobody", name])
        assert (found.model, [row.value for row in found.rows]) == ("org/two", [20])
        assert found.unread == ("result 2: 'MTEB STS13' has no metric that is a number",)


def test_a_card_of_several_models_without_a_name_is_refused(tmp_path: Path) -> None:
    """What there is is said; two entries of one name are one model's."""
    for names in ([], ["three"], ["other/two"]):
        with pytest.raises(InputError, match="scores of 2 models; name one with --as: one, org/two"):
            read_published(write(tmp_path / "README.md", TWO), names)
    same = read_published(write(tmp_path / "same.md", TWO.replace("org/two", "one").replace("0.2", "20")))
    assert (same.model, [row.value for row in same.rows]) == ("one", [10, 20])


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("nothing", "expected `dataset` and `metrics`, not 'nothing'"),
        ("{metrics: []}", "no `dataset` with a name"),
        ("{dataset: STS13, metrics: []}", "no `dataset` with a name"),
        ("{dataset: {name: MTEB STS13}}", "'MTEB STS13' has no list of `metrics`"),
        ("{dataset: {name: MTEB STS13}, metrics: [1, {value: 3}]}", "'MTEB STS13' has no metric that is a number"),
    ],
)
def test_what_is_wrong_in_a_card_is_said_in_words(tmp_path: Path, entry: str, why: str) -> None:
    """With the place of the result; the others are read."""
    card = CARD.format(value=72.37).replace(
        "  - task: {type: STS}\n    dataset: {name: My own", f"  - {entry}\n---\n{{"
    )
    found = read_published(write(tmp_path / "README.md", card))
    assert [row.task for row in found.rows] == ["STS12", "STS17"]
    assert found.unread == (f"result 3: {why}",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("# no head", "no YAML between two lines"),
        ("---\nlicense: mit\n---\n", "no `model-index` in its head"),
        ("---\nmodel-index: 3\n---\n", "no score in `model-index` that can be read"),
        ("---\na: [\n---\n", "its head is no YAML"),
    ],
)
def test_a_card_without_scores_is_refused(tmp_path: Path, text: str, why: str) -> None:
    """With what is wrong."""
    with pytest.raises(InputError, match=why):
        read_published(write(tmp_path / "README.md", text))


def test_own_results_say_how_they_were_made(tmp_path: Path) -> None:
    """A results folder of an earlier run: rows of whole cells, with settings; limited ones are left out."""
    store = Store(tmp_path / "results")
    common: dict[str, Any] = {
        "model": "mine", "axis": "embedding", "type": "STS", "metric": "cosine_spearman", "score": 70.5,
        "stderr": None, "ci_low": None, "ci_high": None,
    }  # fmt: skip
    provenance = {
        "versions": {"mteb": "2.0.0"}, "encoder": {"dtype": "bfloat16", "max_text_tokens": 128},
        "prompts": {"text": "query: "}, "data": {"STS12": {"revision": "d" * 40}},
    }  # fmt: skip
    metrics = (Metric(name="main_score", value=70.5, split="test", subset="default"),)
    whole = Score(**common, key="a", task="STS12", n=9, limit=None, metrics=metrics, provenance=provenance)
    store.put_score(whole, None, "pair")
    store.put_score(Score(**common, key="b", task="STS13", n=2, limit=2), None, "pair")
    found = read_published(tmp_path / "results")
    (row,) = found.rows
    assert (row.value, row.items, row.mteb_version, row.data_revision) == (70.5, 9, "2.0.0", "d" * 40)
    assert row.settings == {"dtype": "bfloat16", "max_text_tokens": 128, "prompts": {"text": "query: "}}
    assert found.unread == ("STS13: limited to 2 items",)
    store.put_score(Score(**common | {"model": "third"}, key="c", task="STS12", n=9, limit=None), None, "pair")
    with pytest.raises(InputError, match="no embedding scores of 'other'; name a model with --as: mine, third"):
        read_published(tmp_path / "results", ["other"])


def test_a_place_without_scores_says_what_is_expected(tmp_path: Path) -> None:
    """Nothing there, and an empty folder."""
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError, match="expected a clone of mteb's results repository"):
            read_published(path)


def test_digits_are_the_most_that_a_source_prints() -> None:
    """JSON drops zeros at the end, so that one number alone says too little; two decimals of points at most."""
    assert digits_of([0.72, 0.7237], as_fraction=True) == 2
    assert digits_of([0.7, 0.723], as_fraction=True) == 1
    assert digits_of([72.4, 70.0], as_fraction=False) == 1
    assert digits_of([0.5], as_fraction=True) == 0
    assert digits_of([72.123456], as_fraction=False) == 2
