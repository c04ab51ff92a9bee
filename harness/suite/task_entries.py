"""What a suite says of tasks: embedding, ability, custom."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from harness.suite.fields import Name, Strict

EmbeddingType = Literal[
    "Retrieval", "Reranking", "Clustering", "PairClassification", "Classification", "STS", "Summarization"
]


class AbilitySettings(Strict):
    """How an ability task is asked and scored; None takes the task's own value from the catalogue."""

    num_fewshot: Annotated[int, Field(ge=0)] | None = None
    chat_template: bool | None = None
    """Whether prompts go through the model's chat template; it swings results, so each suite says it."""
    fewshot_as_multiturn: bool | None = None
    """With a chat template: the examples as turns of their own, or all in one."""
    system_instruction: str | None = None
    filter: str | None = None
    """The answer filter whose score is the main one; the others are reported beside it."""
    max_gen_toks: Annotated[int, Field(gt=0)] | None = None
    """Tokens a generated answer may have."""
    until: list[str] | None = None
    """Strings that end a generated answer; the end-of-text token always does."""
    generation: dict[str, Any] | None = None
    """Further generation arguments: do_sample, temperature, top_p, ..."""


class TaskRef(Strict):
    """A task of a benchmark, with what differs from its defaults."""

    name: str
    splits: Annotated[list[str], Field(min_length=1)] | None = None
    subsets: Annotated[list[str], Field(min_length=1)] | None = None
    limit: Annotated[int, Field(gt=0)] | None = None
    """Overrides the suite's limit for this task."""


class AbilityRef(AbilitySettings):
    """A general-ability task: one of the catalogue, an lm-eval YAML file of the user's, or `lm_nll` over own texts."""

    name: Name
    task: Literal["lm_nll"] | None = None
    """Set where `name` is not itself `lm_nll`, so that a suite can have several."""
    file: str | None = None
    """An lm-eval task file, or for lm_nll JSON lines; relative paths are taken from the suite's own folder."""
    type: str | None = None
    """How reports group a task of the user's; None: Own."""
    metric: str | None = None
    """Main metric of the user's task file; None takes the first it lists."""
    subtasks: Annotated[list[str], Field(min_length=1)] | None = None
    """Parts of a group, such as `anatomy` of mmlu; then it is another task: `mmlu[1/57]`."""
    dataset: str | None = None
    """lm_nll: a hub dataset, where there is no `file`."""
    config: str | None = None
    """lm_nll: configuration of `dataset`."""
    split: str | None = None
    """lm_nll: split of `dataset`; None: test."""
    column: str | None = None
    """lm_nll: the column that holds the texts."""
    max_text_tokens: Annotated[int, Field(gt=0)] | None = None
    """lm_nll: tokens of each text that are scored; None: 1024."""
    limit: Annotated[int, Field(gt=0)] | None = None
    """The first so many items of each part."""
    allow_code_execution: bool = False
    """HumanEval: whether programs that the model writes may be run, in the sandbox."""
    repeats: Annotated[int, Field(gt=0)] | None = None
    """HumanEval: answers a problem; None: 1. More than one needs `generation` with do_sample and a temperature."""
    pass_at: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=1)] | None = None
    """HumanEval: each k of the pass@k to report, at most `repeats`; pass@1 always is."""
    timeout_seconds: Annotated[float, Field(gt=0)] | None = None
    """HumanEval: wall clock of each program; None: 3."""
    memory_mib: Annotated[int, Field(ge=64)] | None = None
    """HumanEval: address space of each program; None: 1024."""

    @property
    def is_nll(self) -> bool:
        """Whether it is nats per token over texts."""
        return self.task == "lm_nll" or self.name == "lm_nll"


class CustomRef(Strict):
    """A task over the user's own files."""

    name: Name
    type: EmbeddingType
    path: str
    """A file or folder; relative paths are taken from the suite's own folder."""
    limit: Annotated[int, Field(gt=0)] | None = None


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


NamedTask = Annotated[TaskRef, BeforeValidator(_named, json_schema_input_type=str | TaskRef)]
NamedAbility = Annotated[AbilityRef, BeforeValidator(_named, json_schema_input_type=str | AbilityRef)]


class EmbeddingTasks(Strict):
    """Which tasks of MTEB: a benchmark, whole types of one, tasks by name, or all of these together."""

    benchmark: str | None = None
    """Such as `MTEB(eng, v1)`."""
    types: list[EmbeddingType] | None = None
    """Only these types of the benchmark (of MTEB(eng, v1) where none is named)."""
    names: list[NamedTask] = []
    by_type: dict[EmbeddingType, list[NamedTask]] = {}
    """Tasks by name under their type; the type is checked."""


class Tasks(Strict):
    """What to evaluate, an axis each."""

    embedding: EmbeddingTasks = EmbeddingTasks()
    ability: list[NamedAbility] = []
    custom: list[CustomRef] = []
