"""What is said of scores that other versions made than those installed."""

from __future__ import annotations

from typing import Any

from harness.results.records import Failure, Score
from harness.results.versions import made_by_others

INSTALLED = {"torch": "2.9", "transformers": "5.1", "mteb": "2.26", "scikit-learn": "1.7"}


def score(**versions: str) -> Score:
    """A score with the versions that made it."""
    plain: dict[str, Any] = {"key": "k", "model": "m", "axis": "embedding", "type": "STS", "task": "t", "metric": "x"}
    numbers = {"score": 1.0, "stderr": None, "ci_low": None, "ci_high": None, "n": 1, "limit": None}
    return Score(**plain, **numbers, provenance={"versions": versions})


def test_scores_of_the_installed_versions_are_not_remarked():
    """Nor packages that move no score, nor records of before a version was kept, nor failures."""
    failure = Failure(
        key="k", model="m", axis="a", type="t", task="t", error="E", message="", traceback="",
        provenance={"versions": {"torch": "1.0"}},
    )  # fmt: skip
    assert made_by_others([score(**INSTALLED), score(mteb="2.25", python="3.9"), score(), failure], INSTALLED) == []
    assert made_by_others([], INSTALLED) == []


def test_each_other_version_is_named_with_how_many_it_made():
    """Names, versions, how many scores, and the way out; nothing is run again."""
    stored = [score(**INSTALLED), score(torch="2.8"), score(torch="2.8", transformers="4.57"), score(torch="2.9")]
    assert made_by_others(stored, INSTALLED) == [
        "2 of 4 score(s) were made by other versions than those installed: torch 2.8 (2 of them; 2.9 now), "
        "transformers 4.57 (1 of them; 5.1 now); to make them anew, give another --results"
    ]
