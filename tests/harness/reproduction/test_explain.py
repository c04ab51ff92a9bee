"""What is said of a row that is apart beside the trials."""

from __future__ import annotations

import pytest

from harness.published.rows import Published, PublishedRow
from harness.reproduction.explain import explained
from harness.reproduction.trials import About
from harness.reproduction.verdict import Rule
from harness.results.facts import facts_of
from harness.results.records import Score
from harness.suite.model_entries import SentenceTransformersSpec
from harness.tasks.catalogue import catalogue


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
    score = Score(
        key="k", model="m", axis="embedding", type="STS", task="STS12", metric="cosine_spearman", score=50.0,
        stderr=None, ci_low=None, ci_high=None, n=9, limit=None, provenance={"versions": {"mteb": "2.0.0"}},
    )  # fmt: skip
    about = About(
        spec=SentenceTransformersSpec(name="m", encoder="sentence-transformers", model="org/name"),
        has_own_entry=True,
        info=catalogue().tasks["STS12"],
        facts=facts_of(score),
        rows=(row,),
        model="org/name",
    )
    source = Published(kind="mteb results", model="org/name", revision=None, where="x", rows=(row,), digits=2)
    (found,) = explained(about, score, Rule(digits=2), source, trials=[], run=lambda _: None, most=0)
    assert found.differs == differs
    assert f"version: {why}" in found.not_tried
