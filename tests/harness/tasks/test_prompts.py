"""Which prefix a task's texts get in which role."""

from __future__ import annotations

from itertools import combinations

import pytest

from harness.tasks.catalogue import TaskInfo, catalogue
from harness.tasks.prompts import resolve, roles_of, selector

SCIFACT = catalogue().tasks["SciFact"]
STS12 = catalogue().tasks["STS12"]


def mteb_order(task: str, kind: str, role: str | None) -> list[str]:
    """Return the selectors in mteb's order, written out from `mteb.models.abs_encoder.get_prompt_name`."""
    if role is None:
        return [task, kind]
    return [f"{task}-{role}", task, f"{kind}-{role}", kind, role]


@pytest.mark.parametrize("role", ["query", "document", None])
def test_the_first_selector_in_mtebs_order_wins(role):
    """For every set of selectors that are given: task and role, task, type and role, type, role."""
    order = mteb_order("SciFact", "Retrieval", role)
    for size in range(len(order) + 1):
        for given in combinations(order, size):
            prompts = {name: f"<{name}>" for name in reversed(given)}
            assert selector(prompts, "SciFact", "Retrieval", role) == (given[0] if given else None)


@pytest.mark.parametrize(
    ("prompts", "role", "chosen"),
    [
        ({"SciFact-document": "d", "Retrieval": "t"}, "query", "Retrieval"),
        ({"query": "q"}, "document", None),
        ({"query": "q"}, None, None),
        ({"SciFact-query": "q"}, None, None),
        ({"STS": "x", "NFCorpus": "y", "Retrieval-queries": "z"}, "query", None),
        ({"document": "", "query": "q"}, "document", "document"),
    ],
)
def test_selectors_of_other_tasks_types_and_roles_do_not_apply(prompts, role, chosen):
    """Nothing but the five (or, without a role, two) names is looked up; an empty prefix is one that was given."""
    assert selector(prompts, "SciFact", "Retrieval", role) == chosen


def test_roles_are_those_in_which_mteb_encodes_a_type():
    """Retrieval and reranking have queries and documents, the rest has texts."""
    assert roles_of("Retrieval") == roles_of("Reranking") == ("query", "document")
    for kind in ("Clustering", "PairClassification", "Classification", "STS", "Summarization"):
        assert roles_of(kind) == (None,)


@pytest.mark.parametrize(
    ("task", "role", "prefix"),
    [
        (SCIFACT, "query", f"Instruct: {SCIFACT.instruction('query')}\nQuery: "),
        (SCIFACT, "document", None),
        (STS12, None, "Instruct: Retrieve semantically similar text.\nQuery: "),
    ],
)
def test_an_instruction_is_filled_in_for_queries_and_texts_never_for_documents(task, role, prefix):
    """With the engine's own sentence for the task."""
    assert resolve(task, role, {}, "Instruct: {instruction}\nQuery: ") == prefix


def made(prompt: object) -> TaskInfo:
    """Return a retrieval task whose engine's instruction is `prompt`."""
    return TaskInfo(
        name="Made",
        axis="embedding",
        type="Retrieval",
        engine="mteb",
        main_score="ndcg_at_10",
        splits=("test",),
        subsets={"default": ("eng-Latn",)},
        prompt=prompt,
        dataset="some/data",
        revision=None,
        parts=(),
        counts={},
    )


def test_an_instruction_is_never_used_for_documents_even_where_the_engine_has_one():
    """A mapping may say something for documents, a plain text holds for all roles: neither reaches a document."""
    for prompt in ({"query": "Find.", "document": "Passage."}, "Find."):
        assert resolve(made(prompt), "query", {}, "I: {instruction} ") == "I: Find. "
        assert resolve(made(prompt), "document", {}, "I: {instruction} ") is None


def test_a_task_without_an_instruction_gets_no_template():
    """No empty `Instruct: ` is put before texts."""
    assert resolve(made(None), "query", {}, "Instruct: {instruction}\nQuery: ") is None


def test_a_literal_prefix_wins_over_the_template_for_every_role():
    """Also an empty one, which says: none here."""
    template = "Instruct: {instruction}\nQuery: "
    assert resolve(SCIFACT, "query", {"query": "q: "}, template) == "q: "
    assert resolve(SCIFACT, "query", {"SciFact": ""}, template) == ""
    assert resolve(SCIFACT, "document", {"document": "d: "}, template) == "d: "


def test_without_prompts_there_is_no_prefix():
    """The engine's instructions are not used unless a template asks for them."""
    assert [resolve(SCIFACT, role, {}, None) for role in ("query", "document")] == [None, None]


def test_braces_in_an_instruction_are_text():
    """The template is filled by replacement, so that braces in it or in the instruction do no harm."""
    assert resolve(made("Find {x}."), "query", {}, "{a} {instruction} {instruction}") == "{a} Find {x}. Find {x}."
