"""Provenance: what documents were compared as, and which of equal ones comes first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from golden_report import make_plan, make_results
from report_support import compare

from harness.report.sections import provenance
from harness.report.sections.section import Report
from harness.summary.build import summarise

TIES = "by falling document id, as trec_eval ranks them"


def report(precision: str | None) -> Report:
    """Return the golden report, the retrieval cells of `other` searched as `precision`; None: records say nothing."""
    plan, results = make_plan(), make_results()
    if precision is not None:
        candidates = tuple(
            replace(one, spec=one.spec.model_copy(update={"search_precision": precision}))
            if one.name == "other"
            else one
            for one in plan.candidates
        )
        plan = replace(plan, candidates=candidates)
        for model, said in (("base", "float32"), ("other", precision)):
            score: Any = results[f"{model}/SciFact"]
            search = {"precision": said, "k": 1000, "block": 32768, "ties": TIES}
            results[f"{model}/SciFact"] = replace(score, provenance=score.provenance | {"search": search})
    return Report(summary=summarise(plan, results, compare), store=None)


def test_a_row_says_that_its_documents_were_ranked_as_int8():
    """And the rows of others do not; the policy of ties stands under them all, once for each way."""
    text = provenance.markdown(report("int8"))
    assert "| other | mean-pool, documents ranked as int8 |" in text
    assert "| base | mean-pool |" in text
    (line,) = [line for line in text.splitlines() if line.startswith("- Search: ")]
    assert line == (
        f"- Search: every document compared, as float32, the best 1000; ties {TIES}; or "
        f"every document compared, as int8, the best 1000; ties {TIES}"
    )
    (of_other,) = [one for one in provenance.page(report("int8"))["models"] if one["model"] == "other"]
    assert of_other["kind"] == "mean-pool, documents ranked as int8"
    assert [one["precision"] for one in of_other["facts"]["search"]] == ["int8"]


def test_one_way_is_said_once():
    """Where all were compared as float32."""
    text = provenance.markdown(report("float32"))
    assert f"- Search: every document compared, as float32, the best 1000; ties {TIES}\n" in f"{text}\n"
    assert "documents ranked as" not in text


def test_records_that_do_not_say_how_they_were_searched_get_no_line():
    """Those of early versions."""
    assert "- Search:" not in provenance.markdown(report(None))
