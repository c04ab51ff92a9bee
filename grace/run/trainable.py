"""The model in training: the base loaded as the evaluating encoder loads it, and an adapter or all weights to train."""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grace.config.schema import Adapter, TrainConfig
from grace.run.world import local_device
from harness.candidates.weight_files import broken
from harness.encoders.language_model import LoadedCausal, load_causal
from harness.encoders.probe import not_causal
from harness.encoders.rope import rope_limit
from harness.encoders.soft_tokens import check_soft_tokens, soft_ids, soft_tokens_on
from harness.encoders.weights import choose_device
from harness.errors import EnvironmentGapError, InputError
from harness.sources.locate import locate_model
from harness.sources.places import Gap, Located, Sources
from harness.suite.fields import Dtype
from harness.suite.model_entries import Forward, MeanPoolSpec

if TYPE_CHECKING:
    import torch


logger = logging.getLogger(__name__)

WEIGHTS = "trained.safetensors"
"""The trained tensors of a checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainable:
    """A causal language model of which some weights are trained."""

    model: Any
    """The transformers model; a PEFT adapter is injected into its layers and active. In eval mode: no dropout."""
    peft: Any
    """The PEFT wrapper around `model`; None in full training."""
    frozen: Any
    """A copy of the base in full training, where one was asked for; None else."""
    soft_tokens: torch.nn.Parameter | None = None
    """(n, h) float32, trained; None where the weights themselves are."""
    tokenizer: Any
    device: str
    """This process's own."""
    dtype: Dtype
    """Of the base weights, as training and the candidate use them."""
    context_length: int
    """Tokens of a row: that the model can take in, and up to which it turns positions in one way."""
    weights: Located
    """Where the base's weights were found."""
    writing: Forward = "shared-prefix"
    """How its rationales are written; plain: one text at a time, by a family whose layers can share no prefix."""

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """Return the trained weights by name."""
        soft = {} if self.soft_tokens is None else {"soft_tokens": self.soft_tokens}
        return {name: one for name, one in self.model.named_parameters() if one.requires_grad} | soft

    def soft_ids(self) -> list[int]:
        """Return the ids that stand for soft tokens inside `embedding`."""
        return [] if self.soft_tokens is None else soft_ids(self.model, len(self.soft_tokens))

    def embedding(self) -> AbstractContextManager[None]:
        """Return the block inside which the model embeds texts: with soft tokens where there are some."""
        return nullcontext() if self.soft_tokens is None else soft_tokens_on(self.model, self.soft_tokens)

    @contextmanager
    def base(self) -> Iterator[Any]:
        """Give the base model inside the block: the adapter off, the frozen copy, or the model without soft tokens."""
        if self.soft_tokens is not None:
            yield self.model
        elif self.peft is None:
            assert self.frozen is not None  # noqa: S101 - asked for by whoever needs it
            yield self.frozen
        else:
            with self.peft.disable_adapter():
                yield self.model

    def digest(self) -> str:
        """Return the sha256 over names and values of the trained tensors."""
        import torch

        found = hashlib.sha256()
        for name, one in sorted(self.parameters().items()):
            found.update(f"{name} {tuple(one.shape)} {one.dtype}\0".encode())
            found.update(one.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return found.hexdigest()

    def save_weights(self, folder: Path) -> None:
        """Write the trained tensors, and nothing of the base, for a checkpoint."""
        from safetensors.torch import save_file

        save_file({name: one.detach().contiguous() for name, one in self.parameters().items()}, folder / WEIGHTS)

    def load_weights(self, folder: Path) -> None:
        """Read back what `save_weights` wrote."""
        import torch
        from safetensors.torch import load_file

        saved, own = load_file(folder / WEIGHTS, device=self.device), self.parameters()
        if saved.keys() != own.keys():
            raise InputError([f"{folder}: its tensors are not those of this model and adapter; was the base changed?"])
        with torch.no_grad():
            for name, one in own.items():
                one.copy_(saved[name])


def locate_base(config: TrainConfig, sources: Sources) -> Located:
    """Find the base model's weights; raises EnvironmentGapError."""
    found = locate_model(sources, config.model, config.revision, config.sha256)
    gap = found if isinstance(found, Gap) else broken(found, sources, as_adapter=False)
    if gap is not None or isinstance(found, Gap):
        raise EnvironmentGapError([str(gap)])
    return found


def load_trainable(config: TrainConfig, weights: Located, *, keep_base: bool = False) -> Trainable:
    """Load the base and attach what is trained.

    Args:
        config: of the run.
        weights: from `locate_base`.
        keep_base: in full training, keep a frozen copy beside the trained weights.
    """
    device = local_device(choose_device(config.device))
    dtype = _dtype(config, device)
    spec = MeanPoolSpec(
        name=config.name,
        encoder="mean-pool",
        model=config.model,
        sha256=config.sha256,
        dtype=dtype,
        attn_implementation=config.attn_implementation,
        trust_remote_code=config.trust_remote_code,
        device=device,
    )
    # Full training saves the head with the rest: one that was drawn at random would pass for trained.
    uses_head = config.uses_rationales or config.retain_weight > 0 or config.candidate_kind == "rationale"
    loaded = load_causal(spec, weights, None, needs_head=uses_head or config.adapter.kind == "full")
    context = _context(config, loaded)
    model, peft, frozen, soft = loaded.model, None, None, None
    if not model.can_generate():  # an encoder without any head, which mean-pool could evaluate
        raise EnvironmentGapError([not_causal(model, "`grace train`")])
    if config.adapter.kind == "lora":
        model.requires_grad_(False)
        peft = attach_lora(model, config.adapter, config.seed)
    elif config.adapter.kind == "soft-tokens":
        model.requires_grad_(False)
        check_soft_tokens(model, loaded.tokenizer)
        soft = sampled_tokens(model, loaded.tokenizer, config.adapter.tokens, config.seed)
    else:
        frozen = copy.deepcopy(model).requires_grad_(False) if keep_base else None
        model.requires_grad_(True)
    made = Trainable(
        model=model,
        peft=peft,
        frozen=frozen,
        soft_tokens=soft,
        tokenizer=loaded.tokenizer,
        device=device,
        dtype=dtype,
        context_length=context,
        weights=_as_loaded(weights, loaded.model),
    )
    trained = sum(one.numel() for one in made.parameters().values())
    logger.info("%d weights are trained, of a model of %d", trained, sum(one.numel() for one in model.parameters()))
    return made


def sampled_tokens(model: Any, tokenizer: Any, count: int, seed: int) -> torch.nn.Parameter:
    """Return soft tokens that begin as embeddings of tokens drawn from the vocabulary, (n, h) float32.

    Source: Lester et al. 2021 (arXiv 2104.08691), section 3.2: better than random vectors.

    Args:
        model: whose embedding layer is read.
        tokenizer: its special tokens are left out.
        count: how many.
        seed: of the draw.
    """
    import torch

    special = set(tokenizer.all_special_ids)
    plain = torch.tensor([token for token in range(len(tokenizer)) if token not in special])
    drawn = plain[torch.randperm(len(plain), generator=torch.Generator().manual_seed(seed))[:count]]
    table = model.get_input_embeddings()
    with torch.no_grad():
        return torch.nn.Parameter(table(drawn.to(table.weight.device)).float().clone())


def _context(config: TrainConfig, loaded: LoadedCausal) -> int:
    """Return how many tokens a row may have; raises InputError where texts may be so long that positions change.

    Rows of unlike length are run at once, and the longest would turn the positions of all of them.
    """
    rope = rope_limit(loaded.model)
    if rope is None or rope.tokens >= loaded.context_length:
        return loaded.context_length
    if config.max_text_tokens > rope.tokens:
        why = f"beyond {rope.tokens} tokens the model turns all positions of a batch another way"
        raise InputError(
            [f"max_text_tokens: {config.max_text_tokens}: {why} (rope_type {rope.kind!r}); say {rope.tokens} at most"]
        )
    return rope.tokens


def _as_loaded(weights: Located, model: Any) -> Located:
    """Return where the base was found, with the commit that the hub's client took where nothing had pinned one."""
    commit = getattr(model.config, "_commit_hash", None)
    if weights.identity is not None or commit is None:
        return weights
    return replace(weights, revision=commit, identity={"repo": weights.load_from, "commit": commit})


def attach_lora(model: Any, adapter: Adapter, seed: int, *, task: str | None = "CAUSAL_LM") -> Any:
    """Inject a LoRA adapter into `model`'s layers, float32; returns the PEFT wrapper.

    Args:
        model: a transformers model, its weights frozen.
        adapter: rank, scale, dropout, which layers.
        seed: of the adapter's first weights.
        task: as PEFT calls what the model is for; None: anything.

    Raises:
        InputError: no layer has a name that `adapter` asks for.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    targets = "all-linear" if adapter.target_modules == ("all-linear",) else list(adapter.target_modules)
    settings = LoraConfig(
        r=adapter.r,
        lora_alpha=adapter.resolved_alpha,
        lora_dropout=adapter.dropout,
        target_modules=targets,
        task_type=task,
    )
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        try:
            return get_peft_model(model, settings).eval()
        except ValueError as error:
            if "arget modules" not in str(error):
                raise
            raise InputError([f"adapter.target_modules: {error}"]) from error


def _dtype(config: TrainConfig, device: str) -> Dtype:
    """Return the dtype to train in: on a processor without fast bfloat16, float32 takes its place, and that is said."""
    import torch

    has_fast_bfloat16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if device != "cpu" or config.dtype == "float32" or (config.dtype == "bfloat16" and has_fast_bfloat16):
        return config.dtype
    logger.warning(
        "dtype %s is slow or lossy on this processor: training in float32, and the candidate says float32", config.dtype
    )
    return "float32"
