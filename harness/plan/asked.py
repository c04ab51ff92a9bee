"""AskedWith, ReadWith: how an ability task is put to a model, every setting with the value that is used; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

SAMPLING_VERSION = 1
"""In the key of sampled answers: how they are drawn (backends/lm_eval/sampling.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRun:
    """What programs that a model writes are run with."""

    repeats: int
    """Answers a problem."""
    pass_at: Sequence[int]
    """Each k of the pass@k that is reported."""
    timeout_seconds: float
    """Wall clock of each program."""
    memory_mib: int
    """Address space of each program."""
    python: str
    """The interpreter they run in, such as 3.11."""
    code_version: int
    """Of extraction, program, estimator and sandbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedWith:
    """How the questions of a task are asked and scored."""

    output_type: str
    """lm-eval's: generate_until, multiple_choice, ..."""
    filters: Sequence[str]
    version: Any
    """Of the task, as its file says; None where it says none."""
    num_fewshot: int
    filter: str
    """Of `filters`, the one whose score is the main one."""
    chat_template: bool = False
    fewshot_as_multiturn: bool = True
    system_instruction: str | None = None
    until: Sequence[str] | None = None
    """None where no answer is generated, as the next two."""
    max_gen_toks: int | None = None
    generation: Mapping[str, Any] | None = None
    """Further generation arguments."""
    code: CodeRun | None = None
    """None where answers are no programs."""
    own_task: str | None = None
    """The task's name in the user's own task file; None for tasks of the catalogue."""

    @property
    def repeats(self) -> int:
        """Answers to each item."""
        return self.code.repeats if self.code else 1

    def plain(self) -> dict[str, Any]:
        """Return plain data: what goes into the key and into provenance; no path of this machine."""
        return {
            **({} if self.own_task is None else {"kind": "file", "task": self.own_task}),
            "output_type": self.output_type,
            "filters": list(self.filters),
            "version": self.version,
            "chat_template": self.chat_template,
            "fewshot_as_multiturn": self.fewshot_as_multiturn,
            "system_instruction": self.system_instruction,
            "num_fewshot": self.num_fewshot,
            "filter": self.filter,
            **({} if self.until is None else {"until": list(self.until)}),
            **({} if self.max_gen_toks is None else {"max_gen_toks": self.max_gen_toks}),
            **({} if self.generation is None else {"generation": dict(self.generation)}),
            **({} if self.code is None else asdict(self.code)),
            **_drawn(self.generation),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadWith:
    """How the texts of an `lm_nll` task are read."""

    column: str
    """The one that holds the texts."""
    max_text_tokens: int
    """Of each text, the tokens that are scored."""

    def plain(self) -> dict[str, Any]:
        """Return plain data: what goes into the key and into provenance."""
        return {"kind": "lm_nll", "column": self.column, "max_text_tokens": self.max_text_tokens}


def _drawn(generation: Mapping[str, Any] | None) -> dict[str, int]:
    """Return the version of the draws, where answers are sampled."""
    return {"sampling_version": SAMPLING_VERSION} if generation and generation.get("do_sample") else {}
