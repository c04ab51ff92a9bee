"""What is tried for a row that is apart, in which order, and what is no trial."""

from __future__ import annotations

from typing import Any

from harness.published.rows import PublishedRow
from harness.reproduction.trials import About, Trial, trials
from harness.results.facts import Facts
from harness.suite.model_entries import SentenceTransformersSpec, TfIdfSpec
from harness.tasks.catalogue import catalogue

SPEC = SentenceTransformersSpec(name="model", encoder="sentence-transformers", model="org/name")


def about(task: str = "STS12", *, facts: dict[str, Any] | None = None, **changes: Any) -> About:
    """Return what is known of a task with one row apart."""
    row = PublishedRow(
        task=task, split="test", subset="default", metric="main_score", value=1.0, settings=changes.pop("settings", {})
    )
    kept: dict[str, Any] = {"splits": ["test"], "encoder": {"max_text_tokens": 256, "similarity": "cosine"}}
    rest: dict[str, Any] = {"spec": SPEC, "has_own_entry": True, "model": "nobody/nothing"} | changes
    return About(info=catalogue().tasks[task], facts=Facts(**kept | (facts or {})), rows=(row,), **rest)


def said(found: list[Trial]) -> list[str]:
    """Return what each trial is called."""
    return [one.says for one in found]


def test_what_the_source_says_comes_first() -> None:
    """Its window, dtype and prompts, before anything is guessed."""
    settings = {"dtype": "bfloat16", "max_text_tokens": 128, "prompts": {"text": "q: "}, "similarity": "cosine"}
    found = trials(about(settings=settings))
    assert said(found)[:3] == [
        "dtype bfloat16, as the source says", "window 128, as the source says",
        "prompt {'STS12': 'q: '}, as the source says",
    ]  # fmt: skip
    assert said(found).count("window 128 tokens (here: 256)") == 0  # the same change again


def test_mtebs_own_entry_of_the_model_is_known() -> None:
    """E5 has prompts there for queries and documents, which a retrieval task uses."""
    found = trials(about("SciFact", model="intfloat/e5-small-v2"))
    assert said(found)[0] == "prompt those of mteb's own entry of intfloat/e5-small-v2"
    assert found[0].overrides["prompts"] == {"query": "query: ", "document": "passage: "}


def test_no_prompt_is_tried_where_one_was_used() -> None:
    """And nowhere else."""
    assert said(trials(about(facts={"prompts": {"text": "query: "}})))[0] == "prompt none"
    assert "prompt none" not in said(trials(about()))


def test_prefixes_of_families_name_every_role() -> None:
    """Of a task with roles both; they stand before any that the suite has for the type."""
    found = {one.says: one for one in trials(about("SciFact"))}
    assert found["prompt 'query: ' / 'passage: ' (E5)"].overrides["prompts"] == {
        "SciFact-query": "query: ", "SciFact-document": "passage: "
    }  # fmt: skip
    assert {one.factor for one in found.values()} >= {"prompt", "window", "dtype", "batch", "similarity"}


def test_longer_windows_are_tried_only_where_texts_were_cut() -> None:
    """512 changes nothing for texts that all fit into 256."""
    windows = {one.says for one in trials(about()) if one.factor == "window"}
    assert windows == {"window 128 tokens (here: 256)"}
    cut = about(facts={"counts": {"truncated_texts": 3.0}})
    assert "window 512 tokens (here: 256)" in said(trials(cut))


def test_splits_that_the_task_has_are_tried() -> None:
    """STSBenchmark also has validation; each is a run of its own."""
    assert [one.split for one in trials(about("AmazonCounterfactualClassification")) if one.split] == ["validation"]


def test_what_an_encoder_does_not_have_is_no_trial() -> None:
    """TF-IDF has no dtype, no window and no prompts; of a candidate directory nothing can be changed."""
    floor = about(spec=TfIdfSpec(name="floor", encoder="tf-idf"), facts={"encoder": {}})
    assert {one.factor for one in trials(floor)} <= {"batch", "split or subset"}
    assert {one.factor for one in trials(about(has_own_entry=False))} <= {"split or subset"}
