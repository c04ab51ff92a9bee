"""Evaluate text encoders, and what their training made them forget.

    import harness
    vectors = harness.load({"encoder": "mean-pool", "model": "HuggingFaceTB/SmolLM2-135M-Instruct"}).encode(texts)
    outcome = harness.run("demo")
    found = harness.compare("minilm", "tf-idf")

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.encoders.checked import CheckedEncoder

__all__ = ["compare", "load", "run"]


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
    from harness import encoders
    from harness.candidates import MissingCandidate, identify
    from harness.errors import EnvironmentGapError
    from harness.hub import Sources
    from harness.suite_load import model_of

    found = identify(model_of(spec), Sources(hub=hub, offline=offline))
    if isinstance(found, MissingCandidate):
        raise EnvironmentGapError([str(gap) for gap in found.gaps])
    return encoders.load(found, seed=seed)


def __getattr__(name: str) -> Any:
    """Import `harness.run` and `harness.compare` at first use: the modules are callable, as `harness.run(suite)`."""
    if name in ("run", "compare"):
        return import_module(f"harness.{name}")
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
