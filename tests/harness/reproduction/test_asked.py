"""Which published rows are run again, and how a task is spelt."""

from __future__ import annotations

import pytest

from harness.errors import InputError
from harness.published.rows import Published, PublishedRow
from harness.reproduction.asked import parse_tasks, select


def published(*names: tuple[str, str, str]) -> Published:
    """Return rows of these tasks, splits and subsets."""
    rows = tuple(
        PublishedRow(task=task, split=split, subset=subset, metric="main_score", value=50.0)
        for task, split, subset in names
    )
    return Published(kind="model card", model="org/name", revision=None, where="card", rows=rows, digits=2)


STS17 = [("STS17", "test", subset) for subset in ("en-en", "es-es", "ko-ko")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("STS12, STS13", [("STS12", (), ()), ("STS13", (), ())]),
        ("STS17[en-en,es-es],STS12", [("STS17", (), ("en-en", "es-es")), ("STS12", (), ())]),
        ("STSBenchmark@validation,test,STS12", [("STSBenchmark", ("validation", "test"), ()), ("STS12", (), ())]),
        ("SciFact,PawsXPairClassification@validation,test[en]",
         [("SciFact", (), ()), ("PawsXPairClassification", ("validation", "test"), ("en",))]),
    ],
)  # fmt: skip
def test_tasks_are_spelt_as_every_table_spells_them(text, found):
    """Commas stand between tasks, and inside a task between its splits or subsets."""
    assert [tuple(one) for one in parse_tasks(text)] == found


def test_all_unknown_tasks_are_named_at_once():
    """With what is near."""
    with pytest.raises(InputError) as caught:
        parse_tasks("STS112,STS12[,Nope")
    assert [one.split(":")[0] for one in caught.value.problems] == [
        "--tasks 'STS112'", "--tasks 'STS12['", "--tasks 'Nope'"
    ]  # fmt: skip
    assert "did you mean 'STS12'" in caught.value.problems[0]


def test_a_task_that_nobody_asks_for_gets_what_a_suite_takes():
    """English on test: other rows are counted, with how to ask for them."""
    found = select(published(*STS17, ("STSBenchmark", "validation", "default"), ("Elsewhere", "test", "default")), ())
    assert [(one.name, one.splits, one.subsets) for one in found.asked] == [("STS17", ("test",), ("en-en",))]
    assert found.left == (
        "3 row(s) of other splits or subsets: STS17 (2), STSBenchmark (1); name them as TASK@split[subset,...] in "
        "--tasks",
        "1 task(s) that this mteb does not have: Elsewhere",
    )


def test_what_is_asked_for_is_taken():
    """By split and subset, in the catalogue's order, so that it is the cell a suite would make."""
    rows = published(*STS17, ("STSBenchmark", "validation", "default"), ("STS12", "test", "default"))
    found = select(rows, parse_tasks("STS17[es-es,en-en],STSBenchmark@validation"))
    assert [(one.name, one.splits, one.subsets) for one in found.asked] == [
        ("STS17", ("test",), ("en-en", "es-es")), ("STSBenchmark", ("validation",), ("default",))
    ]  # fmt: skip
    assert found.left[-1] == "1 task(s) that --tasks does not name"


@pytest.mark.parametrize(
    ("text", "splits", "subsets", "places"),
    [
        ("STS17[es-es],STS17[en-en]", ("test",), ("en-en", "es-es"), ["test/en-en", "test/es-es"]),
        ("STS17,STS17", ("test",), ("en-en",), ["test/en-en"]),
        ("STS17@test,STS17[en-en]", ("test",), ("en-en",), ["test/en-en"]),
        ("STS17[en-en],STS17@validation[ko-ko]", ("validation", "test"), ("ko-ko", "en-en"),
         ["test/en-en", "validation/ko-ko"]),
    ],
)  # fmt: skip
def test_a_task_that_is_named_twice_is_one_task(text, splits, subsets, places):
    """With all the rows that any of its names means, each once; what is left is counted once too."""
    rows = published(*STS17, ("STS17", "validation", "en-en"), ("STS17", "validation", "ko-ko"))
    found = select(rows, parse_tasks(text))
    (one,) = found.asked
    assert (one.name, set(one.splits), set(one.subsets)) == ("STS17", set(splits), set(subsets))
    assert [f"{row.split}/{row.subset}" for row in one.rows] == places
    left = 5 - len(places)
    assert found.left == (
        f"{left} row(s) of other splits or subsets: STS17 ({left}); name them as TASK@split[subset,...] in --tasks",
    )


def test_tasks_that_are_not_named_are_counted_beside_one_named_twice():
    """Which is one of those that are there."""
    found = select(published(*STS17, ("STS12", "test", "default")), parse_tasks("STS17[en-en],STS17[es-es]"))
    assert found.left[-1] == "1 task(s) that --tasks does not name"


def test_what_is_asked_for_and_not_published_is_refused():
    """Task, split and subset, all at once, with what there is."""
    with pytest.raises(InputError) as caught:
        select(published(*STS17), parse_tasks("STS12,STS17@train[en-en,ar-ar]"))
    assert caught.value.problems == [
        "--tasks STS12: no published row in card; there are: STS17",
        "--tasks STS17: no published row of split 'train'; there are: test",
        "--tasks STS17: no published row of subset 'ar-ar'; there are: en-en, es-es, ko-ko",
    ]
