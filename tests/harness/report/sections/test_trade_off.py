"""The caption of the trade-off says what the picture shows."""

from __future__ import annotations

import pytest
from report_support import invented

from harness.report.sections import trade_off
from harness.report.sections.section import Report


@pytest.mark.parametrize(
    ("tasks", "said"), [(1, "gain, 95% intervals"), (12, "gain against change in general ability")]
)
def test_a_suite_without_ability_has_no_change_in_it_to_show(tasks: int, said: str) -> None:
    """One embedding task alone: the gain; with ability tasks: the gain against what was lost."""
    report = Report(summary=invented(3, tasks), pictures=("trade-off.png",))
    assert f"![Embedding {said}" in trade_off.markdown(report)
