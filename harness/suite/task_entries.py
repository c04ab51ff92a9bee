"""What a suite says of tasks: of embedding tasks, of four kinds of ability tasks, and of those over own files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag

from harness.suite.fields import Name, Strict
from harness.tasks.catalogue import catalogue
from harness.tasks.types import EMBEDDING_TYPES, NLL

if TYPE_CHECKING:
    EmbeddingType = str
else:
    EmbeddingType = Literal[tuple(EMBEDDING_TYPES)]  # of the table's names, so that a row is enough


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


class CatalogueRef(AbilitySettings):
    """A general-ability task of the catalogue."""

    name: Name
    subtasks: Annotated[list[str], Field(min_length=1)] | None = None
    """Parts of a group, such as `anatomy` of mmlu; then it is another task: `mmlu[1/57]`."""
    limit: Annotated[int, Field(gt=0)] | None = None
    """The first so many items of each part."""


class CodeRef(CatalogueRef):
    """A task of the catalogue whose answers are programs: HumanEval."""

    allow_code_execution: bool = False
    """Whether programs that the model writes may be run, in the sandbox."""
    repeats: Annotated[int, Field(gt=0)] | None = None
    """Answers a problem; None: 1. More than one needs `generation` with do_sample and a temperature."""
    pass_at: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=1)] | None = None
    """Each k of the pass@k to report, at most `repeats`; pass@1 always is."""
    timeout_seconds: Annotated[float, Field(gt=0)] | None = None
    """Wall clock of each program; None: 3."""
    memory_mib: Annotated[int, Field(ge=64)] | None = None
    """Address space of each program; None: 1024."""


class FileRef(AbilitySettings):
    """A task of the user's: an lm-eval task file."""

    name: Name
    file: str
    """The YAML file; relative paths are taken from the suite's own folder."""
    type: str | None = None
    """How reports group it; None: Own."""
    metric: str | None = None
    """Main metric; None takes the first that the file lists."""
    limit: Annotated[int, Field(gt=0)] | None = None
    """The first so many items."""


class NllRef(Strict):
    """`lm_nll`: nats per token over texts of the user's."""

    name: Name
    task: Literal["lm_nll"] | None = None
    """Set where `name` is not itself `lm_nll`, so that a suite can have several."""
    file: str | None = None
    """JSON lines; relative paths are taken from the suite's own folder."""
    dataset: str | None = None
    """A hub dataset, where there is no `file`."""
    config: str | None = None
    """Configuration of `dataset`."""
    split: str | None = None
    """Split of `dataset`; None: test."""
    column: Annotated[str, Field(description="the one that holds the texts")]
    max_text_tokens: Annotated[int, Field(gt=0)] | None = None
    """Tokens of each text that are scored; None: 1024."""
    limit: Annotated[int, Field(gt=0)] | None = None
    """The first so many texts."""


AbilityRef = CatalogueRef | CodeRef | FileRef | NllRef
AbilityKind = Literal["catalogue", "code", "file", "nll"]
ABILITY_KINDS: dict[AbilityKind, type[AbilitySettings | NllRef]] = {
    "catalogue": CatalogueRef,
    "code": CodeRef,
    "file": FileRef,
    "nll": NllRef,
}


def ability_kind(value: Any) -> AbilityKind:
    """Return which kind of ability task an entry is, as raw data or as a model that was made before.

    An entry whose name nobody knows is taken for one of the catalogue, where a near miss is looked for.
    """
    raw = value.model_dump() if isinstance(value, BaseModel) else {"name": value} if isinstance(value, str) else value
    if not isinstance(raw, dict):
        return "catalogue"
    if raw.get("name") == NLL or raw.get("task") is not None:
        return "nll"
    if raw.get("file") is not None:
        return "file"
    info = catalogue().tasks.get(str(raw.get("name")))
    return "code" if info is not None and info.runs_code else "catalogue"


class CustomRef(Strict):
    """A task over the user's own files."""

    name: Name
    type: EmbeddingType
    path: str
    """A file or folder; relative paths are taken from the suite's own folder."""
    limit: Annotated[int, Field(gt=0)] | None = None
    unjudged_queries: Literal["error", "skip"] | None = None
    """Retrieval: what becomes of queries without a relevant document; None: error."""
    ignore_identical_ids: bool | None = None
    """Retrieval: whether the document of a query's own id is left out of its ranking, as MTEB does for ArguAna and
    Quora; None: no."""
    language: str | None = None
    """As MTEB names them (`deu-Latn`); `encoder: bm25` goes by it. None: English."""


OF_RETRIEVAL = ("unjudged_queries", "ignore_identical_ids")
"""Keys of `CustomRef` that mean something for one type alone."""


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


NamedTask = Annotated[TaskRef, BeforeValidator(_named, json_schema_input_type=str | TaskRef)]
NamedAbility = Annotated[
    Annotated[CatalogueRef, Tag("catalogue")]
    | Annotated[CodeRef, Tag("code")]
    | Annotated[FileRef, Tag("file")]
    | Annotated[NllRef, Tag("nll")],
    Discriminator(ability_kind),
    BeforeValidator(_named, json_schema_input_type=str | AbilityRef),
]


class PublicModel(Strict):
    """A published model that reports show beside the suite's own."""

    name: str
    """As the published source calls it, such as org/name."""
    revision: str | None = None
    """Of the model; needed where its source has several."""


class Public(Strict):
    """Published scores beside one's own: in tables and pictures, and in no gate, interval or test."""

    results: str
    """A clone of mteb's public results repository, a results folder or a model card; relative paths are taken from the
    suite's own folder."""
    models: Annotated[
        list[Annotated[PublicModel, BeforeValidator(_named, json_schema_input_type=str | PublicModel)]],
        Field(min_length=1),
    ]


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
