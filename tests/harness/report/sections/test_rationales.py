"""Whether rationales earn their cost, and what they look like: sentences and figures over scores made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from report_support import invented_parts

from harness.candidates.candidate import Candidate
from harness.plan.cells import Plan
from harness.report.sections.credits import ABLATIONS, credits_of
from harness.report.sections.rationales import STATS_HEADER, section, stats_rows
from harness.results.records import Result, Score
from harness.statistics.difference import Difference
from harness.suite.model_entries import MeanPoolSpec, RationaleSpec, SoftTokens
from harness.suite.size import Size
from harness.summary.build import summarise
from harness.summary.views import Summary

KINDS = ("none", "shuffled-rationale", "text-only", "mean-pool")


def spec_of(name: str, kind: str) -> MeanPoolSpec | RationaleSpec:
    """Return the model entry of a variant."""
    if kind == "mean-pool":
        return MeanPoolSpec(name=name, encoder="mean-pool", model="models/invented")
    return RationaleSpec.model_validate(
        {"name": name, "encoder": "rationale", "model": "models/invented", "ablation": kind}
    )


def report_of(points: dict[str, float], *, drop: tuple[str, ...] = (), facts: dict[str, Any] | None = None) -> Summary:
    """Return a report whose models are variants of one, each with its own score on two tasks."""
    plan, results = invented_parts(len(points), 7)
    names = {f"model-{place}": kind for place, kind in enumerate(points)}
    candidates = []
    for one in plan.candidates:
        assert isinstance(one, Candidate)
        spec = spec_of(one.name, names[one.name])
        candidates.append(replace(one, spec=spec, kind=spec.encoder, training={}, selected_on=None))
    plan = Plan(
        suite=plan.suite, cells=plan.cells, candidates=tuple(candidates), tasks=plan.tasks, datasets={}, gaps=()
    )
    base = next(one for one in results.values() if isinstance(one, Score))
    made: dict[str, Result] = {}
    for cell in plan.cells:
        if names[cell.model] not in drop and cell.task.axis == "embedding":
            provenance = base.provenance | {"rationales": facts or {}}
            made[str(cell)] = replace(
                base,
                key=str(cell.key),
                model=cell.model,
                task=cell.task.name,
                score=points[names[cell.model]],
                provenance=provenance,
            )
    return summarise(plan, made)


def half(own: Score, base: Score) -> Difference:
    """Return the difference with an interval of one point either way."""
    value = own.score - base.score
    return Difference(value=value, stderr=0.5, low=value - 1, high=value + 1, n=10)


def verdict(points: dict[str, float], **options: Any) -> Any:
    """Return the one credit of a report."""
    found = credits_of(report_of(points, **options), half)
    assert [one.model for one in found] == ["model-0"]
    return found[0]


def test_rationales_that_beat_everything_earn_their_cost() -> None:
    """Clearly above another text's rationale and above the text alone."""
    one = verdict({"none": 50, "shuffled-rationale": 40, "text-only": 45, "mean-pool": 44})
    assert one.is_earned is True
    assert one.sentence.startswith("The rationales of model-0 earn their cost: +10.00 [")
    assert [variant.ablation for variant in one.variants] == list(KINDS)


def test_beating_another_texts_rationale_is_not_enough() -> None:
    """Where the text alone does better, they carry something and do not earn their cost."""
    one = verdict({"none": 50, "shuffled-rationale": 40, "text-only": 60})
    assert one.is_earned is False
    assert "carry something (+10.00 [" in one.sentence
    assert "-10.00 [" in one.sentence


def test_what_as_many_tokens_of_a_fixed_text_do_too_is_no_credit_of_the_rationale() -> None:
    """More tokens alone were worth it."""
    one = verdict({"none": 50, "shuffled-rationale": 40, "fixed-rationale": 50.2, "text-only": 45})
    assert one.is_earned is None
    assert "do not earn their cost; -0.20 [" in one.sentence
    assert "against text and as many tokens of a fixed text; +5.00" in one.sentence


@pytest.mark.parametrize(
    ("shuffled", "earned", "said"), [(50.2, None, "are not shown to earn"), (60, False, "do harm")]
)
def test_without_a_gain_there_is_no_credit(shuffled: float, earned: bool | None, said: str) -> None:
    """An interval over 0 earns nothing, one below it is harm."""
    one = verdict({"none": 50, "shuffled-rationale": shuffled})
    assert (one.is_earned, said in one.sentence) == (earned, True)


def test_without_the_ablation_nothing_is_known() -> None:
    """No shuffled variant, or one without scores: no verdict, and what to add."""
    for one in (verdict({"none": 50}), verdict({"none": 50, "shuffled-rationale": 1}, drop=("shuffled-rationale",))):
        assert one.is_earned is None
        assert "is not known" in one.sentence
        assert "`ablation: shuffled-rationale`" in one.sentence


def test_only_the_same_model_is_a_variant() -> None:
    """Another length of rationale is another model: it is no ablation of this one."""
    report = report_of({"none": 50, "shuffled-rationale": 40})
    other = report.candidates["model-1"]
    assert other is not None
    longer = RationaleSpec.model_validate({**other.spec.model_dump(), "generation": {"max_new_tokens": 7}})
    report.candidates["model-1"] = replace(other, spec=longer)
    assert credits_of(report, half)[0].is_earned is None


SOFT = {"file": "soft_tokens.safetensors", "sha256": "0" * 64}


@pytest.mark.parametrize("is_first", [False, True], ids=["control first", "control last"])
@pytest.mark.parametrize(
    "changes",
    [
        {"soft_tokens": SOFT},
        {"store_dtype": "float16"},
        {"max_text_tokens": 9},
        {"similarity": "dot"},
        {"prompts": {"query": "query: "}},
        {"instruction": "{instruction}: "},
        {"size": Size(of="other", dimension=8)},
    ],
    ids=lambda one: next(iter(one)),
)
def test_what_makes_another_encoder_is_no_control_and_takes_the_place_of_none(
    changes: dict[str, Any], is_first: bool
) -> None:
    """Trained tokens, cut vectors, another window: none of them is the text alone without a prompt."""
    report = report_of({"none": 50, "shuffled-rationale": 40, "text-only": 45, "mean-pool": 44})
    other, control = ("model-2", "model-3") if is_first else ("model-3", "model-2")
    report.candidates[control] = read_plainly(report, control)
    report.candidates[other] = read_plainly(report, other, **changes)
    assert [(one.ablation, one.model) for one in credits_of(report, half)[0].variants][2:] == [("mean-pool", control)]
    report.candidates[control] = None
    assert "mean-pool" not in [one.ablation for one in credits_of(report, half)[0].variants]


def test_of_one_variant_under_two_names_the_first_is_compared_and_that_is_said() -> None:
    """Whichever has scores on more tasks, else the first; the model itself stands for itself."""
    report = report_of({"none": 50, "shuffled-rationale": 40, "text-only": 45, "mean-pool": 44})
    report.candidates["model-2"] = read_plainly(report, "model-2")
    (one,) = credits_of(report, half)
    assert [variant.model for variant in one.variants] == ["model-0", "model-1", "model-2"]
    assert one.sentence.endswith(" model-2 and model-3 are the same variant; model-2 is compared.")
    task = next(task.name for task in report.tasks if task.axis == "embedding")
    report.cells["model-2", task] = replace(report.cells["model-2", task], score=None)
    (one,) = credits_of(report, half)
    assert [variant.model for variant in one.variants] == ["model-0", "model-1", "model-3"]
    assert one.sentence.endswith(" model-2 and model-3 are the same variant; model-3 is compared.")
    itself = report.candidates["model-0"]
    assert itself is not None
    report.candidates["model-3"] = replace(itself, name="model-3")
    assert [[variant.model for variant in one.variants] for one in credits_of(report, half)] == [
        ["model-0", "model-1", "model-2"],
        ["model-3", "model-1", "model-2"],
    ]


def read_plainly(report: Summary, name: str, *, size: Size | None = None, **changes: Any) -> Candidate:
    """Return a model of a report as the mean-pool encoder of the same weights, with changes to its entry."""
    found = report.candidates[name]
    assert found is not None
    spec = MeanPoolSpec(name=name, encoder="mean-pool", model="models/invented").model_copy(update=changes)
    if "soft_tokens" in changes:
        spec = spec.model_copy(update={"soft_tokens": SoftTokens(**changes["soft_tokens"])})
    return replace(found, spec=spec, kind="mean-pool", size=size)


def test_figures_are_weighted_by_rationales() -> None:
    """Two tasks of ten rationales each: shares are means, lengths span both."""
    facts = {
        "rationales": 10,
        "tokens_generated": 100,
        "tokens_quantiles": {"0": 2.0, "0.25": 3.0, "0.5": 8.0, "0.75": 9.0, "1": 16.0},
        "empty": 0.1,
        "truncated": 0.5,
        "without_think": 1.0,
        "distinct_2": 0.75,
        "overlap_with_text": 0.25,
        "duplicates": 0.0,
    }
    rows = stats_rows(report_of({"none": 50}, facts=facts))
    assert rows == [["model-0", "20", "2 / 8 / 16", "10.0%", "50.0%", "100.0%", "0.75", "25.0%", "0.0%"]]
    assert len(STATS_HEADER) == len(rows[0])


def test_report_md_has_a_section_only_where_there_are_rationales() -> None:
    """The sentence, the variants and the figures; nothing at all for other suites."""
    found = credits_of(report_of({"none": 50, "shuffled-rationale": 40}), half)
    said = section(found, [])
    assert said.startswith("## Rationales\n\nThe rationales of model-0 earn their cost")
    assert "| text and another text's rationale | model-1 | 2 | 40.00 | 50.00 | +10.00 [" in said
    assert section([], []) == ""
    assert set(ABLATIONS) >= set(KINDS)
