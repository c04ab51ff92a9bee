"""Models: what an entry says of vectors where its encoder has none."""

from __future__ import annotations

from pathlib import Path

import pytest
from suites_support import suite_file

from harness.errors import InputError
from harness.suite.load import load_suite


@pytest.mark.parametrize(
    "said", ["store_dtype: float16", "search_precision: int8", "dimensions: 64", "precision: [float32, int8]"]
)
def test_an_encoder_without_vectors_is_told_nothing_of_them(tmp_path: Path, said: str) -> None:
    """BM25 has none to round, cut or compare; each is one problem at its own place."""
    with pytest.raises(InputError) as caught:
        load_suite(suite_file(tmp_path, f"models: [{{name: b, encoder: bm25, {said}}}]\n"))
    (problem,) = caught.value.problems
    key = said.partition(":")[0]
    assert problem.endswith(f"mine.yaml:3:35: {key}: encoder bm25 has no vectors; take it out")


OWN = "tasks: {custom: [{name: my-sts, type: STS, path: a.jsonl}, {name: to-query, type: Retrieval, path: b}]}\n"


def problems_of(folder: Path, prompts: str, more: str = "") -> list[str]:
    """Return what is wrong with the prompts of a model of a suite with two tasks of its own."""
    entry = f"models: [{{name: m, encoder: mean-pool, model: w, {more}prompts: {prompts}}}]\n"
    try:
        load_suite(suite_file(folder, f"{OWN}{entry}"))
    except InputError as error:
        return [one.partition(": ")[2] for one in error.problems]
    return []


def test_prompts_may_name_the_suites_own_tasks(tmp_path: Path) -> None:
    """By name, and with a role; in variants too; one that is no task there is none."""
    for task in ("my-sts", "to-query", "to-query-query", "to-query-document"):
        assert problems_of(tmp_path, f"{{{task}: 'find: ', variants: [{{{task}: ''}}]}}") == []
    (said,) = problems_of(tmp_path, "{my-st: x}")
    assert said == "prompt for 'my-st': no such task, type or role; did you mean 'my-sts'?"


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        ("{querry: x}", "prompt for 'querry': no such task, type or role; did you mean 'query'?"),
        ("{variants: [{documnt: x}]}", "prompt for 'documnt': no such task, type or role; did you mean 'document'?"),
        ("{variant: x}", "prompt for 'variant': no such task, type or role; did you mean 'variants'?"),
        ("{query: 'Do {instruction}: '}", "prompt 'Do {instruction}: ' has a place for {instruction}, and prompts are"),
        ("{variants: [{STS: '{instruction}'}]}", "say `instruction: '{instruction}'` to have it filled"),
        ("{variants: [{}]}", "models.0.prompts.variants: expected a list, each a text or a mapping like `prompts`"),
        ("{variants: 'q: '}", """like `prompts` (`{query: "search: "}`), got 'q: '"""),
    ],
)
def test_what_is_meant_by_a_wrong_prompt_is_said(tmp_path: Path, prompts: str, said: str) -> None:
    """Roles are near to what is misspelt before any of a thousand tasks; a value that is shown is the wrong one."""
    (found,) = problems_of(tmp_path, prompts)
    assert said in found


@pytest.mark.parametrize(
    ("prompts", "more", "said"),
    [
        ("{variants: ['a: ', 'b: ', 'a: ']}", "", "prompts.variants: 'a: ' is named twice; take one out"),
        (
            "{variants: [{query: a, document: b}, {document: b, query: a}]}",
            "",
            "prompts.variants: {'document': 'b', 'query': 'a'} is named twice; take one out",
        ),
        (
            "{query: a, variants: [{query: a}]}",
            "",
            "prompts.variants: {'query': 'a'} is what the model has anyway; take it out",
        ),
        (
            "{variants: ['Do {instruction}: ']}",
            "instruction: 'Do {instruction}: ', ",
            "prompts.variants: 'Do {instruction}: ' is what the model has anyway; take it out",
        ),
    ],
)
def test_a_variant_that_sets_what_another_does_is_refused(tmp_path: Path, prompts: str, more: str, said: str) -> None:
    """The range over prompts would count one prompt twice."""
    assert problems_of(tmp_path, prompts, more) == [said]


def test_variants_that_differ_are_taken(tmp_path: Path) -> None:
    """A text and the same text for queries alone, and one beside a model's instruction."""
    assert problems_of(tmp_path, "{query: a, variants: ['', a, {query: a, document: b}]}") == []
    assert problems_of(tmp_path, "{query: a, variants: [{query: a}]}", "instruction: 'x {instruction}', ") == []
