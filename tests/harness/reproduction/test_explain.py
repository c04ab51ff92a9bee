"""What is said of a row that is apart beside the trials."""

from __future__ import annotations

from typing import Any

import pytest

from harness.published.rows import Published, PublishedRow
from harness.reproduction.explain import FACTORS, explained
from harness.reproduction.trials import About, trials
from harness.reproduction.verdict import Rule
from harness.results.facts import facts_of
from harness.results.records import Score
from harness.suite.model_entries import EncoderOptions, SentenceTransformersSpec, TfIdfSpec
from harness.tasks.catalogue import catalogue


def asked(spec: EncoderOptions, row: PublishedRow, provenance: dict[str, Any]) -> tuple[About, Score, Published]:
    """Return what is asked of a row of STS12, the score that it has here, and where it was published."""
    score = Score(
        key="k", model="m", axis="embedding", type="STS", task="STS12", metric="cosine_spearman", score=50.0,
        stderr=None, ci_low=None, ci_high=None, n=9, limit=None, provenance=provenance,
    )  # fmt: skip
    about = About(
        spec=spec,
        has_own_entry=True,
        info=catalogue().tasks["STS12"],
        facts=facts_of(score),
        rows=(row,),
        model="org/name",
    )
    source = Published(kind="mteb results", model="org/name", revision=None, where="x", rows=(row,), digits=2)
    return about, score, source


@pytest.mark.parametrize(
    ("there", "differs", "why"),
    [
        ("2.0.0", (), "mteb 2.0.0 wrote the row and scored it here"),
        ("1.9.0", ("version: mteb 1.9.0 there, 2.0.0 here",),
         "mteb 1.9.0 is not the one installed; run the row in an environment of its own that has it"),
        (None, (), "the source does not say which mteb wrote the row; 2.0.0 scored it here"),
    ],
)  # fmt: skip
def test_mtebs_version_is_another_one_only_where_it_is(there: str | None, differs: tuple[str, ...], why: str) -> None:
    """Nothing can be tried of it in any case."""
    row = PublishedRow(task="STS12", split="test", subset="default", metric="main_score", value=1.0, mteb_version=there)
    spec = SentenceTransformersSpec(name="m", encoder="sentence-transformers", model="org/name")
    about, score, source = asked(spec, row, {"versions": {"mteb": "2.0.0"}})
    (found,) = explained(about, score, Rule(digits=2), source, trials=[], run=lambda _: None, most=0)
    assert found.differs == differs
    assert f"version: {why}" in found.not_tried


def test_what_the_encoder_has_no_way_to_change_is_listed_as_not_tried() -> None:
    """Every factor is there, tried or with why not: TF-IDF has no prompts, no dtype and no other similarity."""
    row = PublishedRow(task="STS12", split="test", subset="default", metric="main_score", value=1.0)
    about, score, source = asked(TfIdfSpec(name="m", encoder="tf-idf"), row, {"splits": ["test"]})
    left = trials(about)
    (found,) = explained(about, score, Rule(digits=2), source, trials=left, run=lambda _: None, most=0)
    said = dict(line.split(": ", 1) for line in found.not_tried)
    assert set(said) == set(FACTORS) - {"metric", "ties"}  # looked at for nothing; and an STS task ranks nothing
    assert said["prompt"] == "the encoder's entry has no `prompts`"
    assert "no other split" in said["split or subset"]
