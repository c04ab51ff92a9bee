"""`model@prompt-k`: a model with `prompts: {variants: [...]}` is one candidate a setting, and its name says which.

The model's own prompts keep its name, its keys and its score; a variant is a whole setting that replaces them, and
since prompts are part of a cell's key its cells have keys of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.candidates.candidate import Candidate, MissingCandidate
from harness.errors import InputError
from harness.suite.model_entries import LoadedModel
from harness.suite.prompt_variants import setting_of


def with_variants(candidate: Candidate | MissingCandidate, taken: Sequence[str]) -> list[Candidate | MissingCandidate]:
    """Return the candidate, and one more for each variant of its prompts.

    Args:
        candidate: as identified.
        taken: names of the suite's models.

    Raises:
        InputError: it has seeds too, or a name is taken.
    """
    spec = None if isinstance(candidate, MissingCandidate) else candidate.spec
    if isinstance(candidate, MissingCandidate) or not isinstance(spec, LoadedModel) or not spec.prompt_variants:
        return [candidate]
    name = candidate.name
    if candidate.seeds is not None:
        raise InputError([f"model {name!r}: prompts.variants and seeds exclude each other; take one of them out"])
    own = replace(candidate, spec=spec.model_copy(update={"prompt_variants": []}))
    others = [
        replace(
            candidate,
            name=f"{name}@prompt-{k}",
            spec=spec.model_copy(update={"prompt_variants": [], **setting_of(variant)}),
            prompt_of=name,
        )
        for k, variant in enumerate(spec.prompt_variants, start=1)
    ]
    twice = [one.name for one in others if one.name in taken]
    if twice:
        raise InputError(
            [f"model {name!r}: prompts.variants: {one!r} is a model of its own; rename it" for one in twice]
        )
    return [own, *others]
