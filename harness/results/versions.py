"""Stored scores that other versions of a package made than those installed: said, and never run again in silence; pure.

Engine versions are in every key. Those of the other packages are not, or each upgrade would throw all results away;
but some move scores (k-means and the logistic regression are scikit-learn's), so that a reader must know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from harness.results.facts import facts_of
from harness.results.records import Result
from harness.wording import first_few

MOVE_SCORES = (
    "torch", "transformers", "sentence-transformers", "tokenizers", "peft", "scikit-learn", "scipy", "numpy", "datasets"
)  # fmt: skip


def made_by_others(results: Iterable[Result], installed: Mapping[str, str]) -> list[str]:
    """Return a line where scores were made by other versions than those installed; none where all are of these.

    Args:
        results: stored ones; failures are run again anyway.
        installed: package -> version, as `environment.versions` has them.
    """
    scores = [one for one in results if one.status == "ok"]
    unlike: Counter[tuple[str, str]] = Counter()
    count = 0
    for score in scores:
        versions = facts_of(score).versions
        others = [
            (name, versions[name])
            for name in MOVE_SCORES
            if name in versions and name in installed and versions[name] != installed[name]
        ]
        unlike.update(others)
        count += bool(others)
    if not count:
        return []
    said = (f"{name} {version} ({cells} of them; {installed[name]} now)" for (name, version), cells in unlike.items())
    return [
        f"{count} of {len(scores)} score(s) were made by other versions than those installed: "
        f"{first_few(said, most=len(MOVE_SCORES))}; to make them anew, give another --results"
    ]
