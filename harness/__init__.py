"""Evaluate text encoders, and what their training made them forget.

    import harness
    vectors = harness.load({"encoder": "mean-pool", "model": "HuggingFaceTB/SmolLM2-135M-Instruct"}).encode(texts)
    outcome = harness.run("demo")
    found = harness.compare("minilm", "tf-idf")

What is listed in `__all__` is what others may rely on, with `harness.encoders.base` (an encoder of one's own),
`harness.evaluation.events` (what a `Reporter` is told), `harness.results.records` (a stored cell) and
`harness.sandbox`. This file stands above all rooms, and all import it first: so it imports each of them only when it
is asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.comparison.compare import Comparison
    from harness.encoders.checked import CheckedEncoder
    from harness.evaluation.events import Reporter
    from harness.evaluation.options import RunOptions
    from harness.results.outcome import RunOutcome
    from harness.sources.places import Sources
    from harness.suite.schema import Suite

__all__ = [
    "CheckedEncoder",
    "Comparison",
    "Reporter",
    "RunOptions",
    "RunOutcome",
    "Sources",
    "Suite",
    "compare",
    "load",
    "run",
]

_TYPES = {
    "CheckedEncoder": "harness.encoders.checked",
    "Comparison": "harness.comparison.compare",
    "Reporter": "harness.evaluation.events",
    "RunOptions": "harness.evaluation.options",
    "RunOutcome": "harness.results.outcome",
    "Sources": "harness.sources.places",
    "Suite": "harness.suite.schema",
}
"""What the functions below take and return -> its module."""


def load(spec: Mapping[str, Any], *, hub: Path | None = None, offline: bool = False, seed: int = 0) -> CheckedEncoder:
    """Load an encoder as a suite's model entry describes it.

    Args:
        spec: the entry: `encoder`, `model`, ..., or `candidate`; `name` may be left out.
        hub: a local hub, looked up before the network.
        offline: never ask the network.
        seed: of encoders that draw random numbers.

    Raises:
        InputError: the entry is wrong; all problems at once.
        EnvironmentGapError: weights or a package are not to be had.
    """
    from harness.candidates.candidate import MissingCandidate
    from harness.candidates.identify import identify
    from harness.encoders import loading
    from harness.errors import EnvironmentGapError
    from harness.sources.places import Sources
    from harness.suite.load import model_of

    found = identify(model_of(spec), Sources(hub=hub, offline=offline))
    if isinstance(found, MissingCandidate):
        raise EnvironmentGapError([str(gap) for gap in found.gaps])
    return loading.load(found, seed=seed)


def run(suite: Suite | str | Path, options: RunOptions | None = None, reporter: Reporter | None = None) -> RunOutcome:
    """Run every cell of `suite` that has no score yet; see `harness.evaluation.run.run`."""
    from harness.evaluation.run import run as run_suite

    return run_suite(suite, options, reporter)


def compare(
    a: str,
    b: str,
    *,
    suite: str | Path | None = None,
    results: str | Path = "results",
    tasks: Sequence[str] = (),
    limit: int | None = None,
    overrides: Sequence[str] = (),
    sources: Sources | None = None,
) -> Comparison:
    """Compare two models on the items both were scored on; `harness.comparison.compare.compare` says what each is."""
    from harness.comparison.compare import compare as compare_models

    return compare_models(
        a, b, suite=suite, results=results, tasks=tasks, limit=limit, overrides=overrides, sources=sources
    )


def __getattr__(name: str) -> Any:
    if name in _TYPES:
        return getattr(import_module(_TYPES[name]), name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
