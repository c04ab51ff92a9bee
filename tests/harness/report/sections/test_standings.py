"""Standings: one model alone has no rank among others."""

from __future__ import annotations

import pytest
from report_support import invented

from harness.report.sections import standings


@pytest.mark.parametrize("models", [1, 3])
def test_one_model_alone_has_no_interval_of_its_rank(models: int) -> None:
    """ "1 to 1" would be said of nothing; among three every rank has its interval."""
    summary = invented(models, 8)
    said = standings.section(summary, summary.axes[0])
    assert ("| 1 | - | model-0 |" in said) == (models == 1)
    assert (" to " in said.splitlines()[2]) == (models == 3)
