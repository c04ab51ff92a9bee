"""`candidate.yaml`: what training hands over, and how mistakes in it are said."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ValidationError
from pydantic_core import PydanticKnownError

from harness import yaml_source
from harness.errors import InputError
from harness.suite.encoder_kinds import KINDS
from harness.suite.fields import Strict
from harness.suite.model_entries import LoadedModel
from harness.suite.problems import to_quote

OF_WEIGHTS = tuple(name for name, kind in KINDS.items() if issubclass(kind.entry, LoadedModel))
"""Encoder kinds that a candidate directory can be of."""


def _of_weights(kind: Any) -> Any:
    if kind not in OF_WEIGHTS:
        *others, last = (repr(name) for name in OF_WEIGHTS)
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})
    return kind


class CandidateBase(Strict):
    """The base model a candidate was trained from."""

    model: str
    """A hub repository, a folder, or a wheel, as in a suite."""
    revision: str | None = None
    """Commit of a hub repository; None where it is none, or was not pinned."""
    sha256: str | None = None
    """Of a wheel file; None else."""


class CandidateFile(Strict):
    """`candidate.yaml`: how to load a trained candidate, and what it was trained and selected on."""

    version: Literal[1]
    """Of the format."""
    kind: Annotated[str, BeforeValidator(_of_weights)]
    """Encoder kind."""
    base: CandidateBase
    weights: str | None = None
    """Folder of full weights inside the directory; None: the base's own."""
    adapter: str | None = None
    """Folder of a PEFT adapter inside the directory."""
    encoder: dict[str, Any] = {}
    """Further options of the encoder kind: dtype, prompts, max_text_tokens, generation, ..."""
    selected_on: str | None = None
    """The data that settings and checkpoint were chosen on."""
    training: dict[str, Any] = {}
    """Config and data hashes, objective, git sha: provenance."""

    @property
    def wants_to_run_code(self) -> bool:
        """Whether it says that its model brings Python; whoever loads it decides."""
        return bool(self.encoder.get("trust_remote_code"))


def read_candidate_file(path: Path) -> CandidateFile:
    """Read and check a `candidate.yaml`; raises InputError with every problem."""
    tree = yaml_source.load(path)
    try:
        return CandidateFile.model_validate(tree.plain())
    except ValidationError as error:
        raise InputError(complaints(error, tree)) from error


def complaints(error: ValidationError, tree: yaml_source.Node, *above: str) -> list[str]:
    """Return pydantic's complaints about what lies below `above`, each with its position."""
    lines = []
    for one in error.errors():
        loc = (*above, *one["loc"])
        node = tree.nearest(loc)
        where = node.key_position if one["type"] == "extra_forbidden" else node.position
        hint = to_quote(node) if one["type"] == "string_type" else ""
        lines.append(f"{where}: {'.'.join(str(step) for step in loc)}: {one['msg']}{hint}")
    return lines
