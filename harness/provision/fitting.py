"""Do the weights of a suite's models fit, as far as can be said before any is loaded?"""

from __future__ import annotations

from collections.abc import Callable

from harness.candidates.candidate import Candidate
from harness.candidates.weight_files import on_disk
from harness.encoders.dry_load import adapter_misfit, misfit
from harness.suite.model_entries import LoadedModel

MOST_CHARACTERS = 900
"""Of what a library said of a broken thing."""


def misfit_of(candidate: Candidate, *, needs_head: bool) -> str | None:
    """Return how a candidate's weights do not fit their model; None where they do, or are not on this machine.

    Args:
        candidate: of any kind.
        needs_head: whether anything is answered or written with them.
    """
    path = on_disk(candidate.weights) if candidate.weights else None
    spec = candidate.spec
    if path is None or not path.is_dir() or not isinstance(spec, LoadedModel):
        return None
    found: list[str | None] = []
    trust = spec.trust_remote_code

    def look() -> None:
        found.append(misfit(path, candidate.kind, name=candidate.name, trust=trust, needs_head=needs_head))
        if candidate.adapter is not None and on_disk(candidate.adapter) is not None:
            found.append(adapter_misfit(path, candidate.adapter, name=candidate.name, trust=trust))

    problem = problem_with(look)
    return problem or next((one for one in found if one), None)


def problem_with(action: Callable[[], object]) -> str | None:
    """Return in one line what went wrong, or None.

    A damaged file makes libraries raise what they like (the tokenizers library a bare Exception); here that is the
    finding, and the next thing has still to be looked at.
    """
    try:
        action()
    except Exception as error:  # noqa: BLE001 - whatever a library raises is the finding
        lines = str(error).strip().splitlines() or [""]
        return f"{type(error).__name__}: {lines[0][:MOST_CHARACTERS]}"
    return None
