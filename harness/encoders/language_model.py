"""What encoders over a causal language model share: loading it, and all of the protocol but `encode`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, get_args

from harness.encoders.adapter import with_peft
from harness.encoders.bare import is_switched, twin_of, unchanged_by
from harness.encoders.base import CausalLM, Counters
from harness.encoders.fit import message, refuse_misfits, watched
from harness.encoders.own_code import refused_by_name
from harness.encoders.positions import usable_positions
from harness.encoders.rope import forget_longer_texts
from harness.encoders.weights import choose_device, loadable
from harness.errors import AdapterHasNoEffectError, EnvironmentGapError, InputError, WeightsDoNotFitError
from harness.sources.places import Located
from harness.suite.fields import Attention, Similarity
from harness.suite.model_entries import LoadedModel

logger = logging.getLogger(__name__)

NO_LIMIT = 1 << 30
"""The context length of models that have none."""
PROBE_TEXT = "The quick brown fox jumps over the lazy dog."
"""Its states are held against each other with and without an adapter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedCausal:
    """A causal language model on its device."""

    model: Any
    """transformers causal language model in eval mode; a PEFT adapter is injected into its layers and active."""
    tokenizer: Any
    device: str
    """Where the model is."""
    context_length: int
    """Tokens that it can take in; `NO_LIMIT` where nothing limits them."""
    base: Any = None
    """The same weights in memory without the adapter, where `keeps_base` asked for it; else None."""
    head_faults: tuple[str, ...] = ()
    """What is wrong with a head that was not needed: there are no next-token logits then."""


def load_causal(
    spec: LoadedModel,
    weights: Located,
    adapter: Located | None,
    *,
    needs_head: bool = True,
    keeps_base: bool = False,
) -> LoadedCausal:
    """Load a causal language model, its tokenizer and an adapter.

    Args:
        spec: device, dtype, attention.
        weights, adapter: where they are.
        needs_head: whether next-token logits are wanted; without, a head may be missing.
        keeps_base: whether the model without its adapter is wanted too; both share every weight.

    Raises:
        WeightsDoNotFitError: tensors are missing, of another shape, or without a place in the model; or the adapter
            changes the weights of the base, which is wanted too.
        AdapterHasNoEffectError: states of a probe text are the same with and without the adapter.
        EnvironmentGapError: the family has no head that is needed, or does not take the attention.
    """
    import torch
    from transformers import AutoConfig, AutoTokenizer

    device = choose_device(spec.device)
    source, revision = loadable(weights, spec.sha256)
    trust = {"trust_remote_code": spec.trust_remote_code}
    with watched() as seen, refused_by_name(spec.name), _without_that_attention(spec):
        tokenizer = AutoTokenizer.from_pretrained(source, **revision, **trust)
        config = AutoConfig.from_pretrained(source, **revision, **trust)
        model = loader_of(config, needs_head=needs_head).from_pretrained(
            source, dtype=getattr(torch, spec.dtype), attn_implementation=spec.attn_implementation, **revision, **trust
        )
    head_faults = refuse_misfits(seen, repr(source), needs_head=needs_head)
    model.to(device).eval()
    forget_longer_texts(model)
    base = twin_of(model) if keeps_base and adapter is not None else None
    if adapter is not None:
        probe = torch.tensor([tokenizer(PROBE_TEXT)["input_ids"]], device=device)
        with unchanged_by(adapter, base, probe):
            model = _with_adapter(model, probe, adapter, scale=getattr(spec, "adapter_scale", 1.0))
    return LoadedCausal(
        model=model,
        tokenizer=tokenizer,
        device=device,
        context_length=context_length(model, tokenizer),
        base=base,
        head_faults=head_faults,
    )


def load_tokenizer(spec: LoadedModel, weights: Located) -> Any:
    """Return the tokenizer of a model alone, as `load_causal` gives it."""
    from transformers import AutoTokenizer

    source, revision = loadable(weights, spec.sha256)
    with refused_by_name(spec.name):
        return AutoTokenizer.from_pretrained(source, **revision, trust_remote_code=spec.trust_remote_code)


def loader_of(config: Any, *, needs_head: bool) -> Any:
    """Return the transformers class that loads a model: with a head where the family has one, else the encoder alone.

    Raises:
        EnvironmentGapError: a head is needed, and the family has none.
    """
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForTextEncoding
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_TEXT_ENCODING_MAPPING,
    )

    own = getattr(config, "auto_map", None) or {}
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING or "AutoModelForCausalLM" in own:
        return AutoModelForCausalLM
    if needs_head:
        raise EnvironmentGapError(
            [
                f"models of the type {config.model_type!r} predict no next token, which is wanted here; as an encoder "
                f"it can be evaluated: `encoder: mean-pool` or `encoder: sentence-transformers`"
            ]
        )
    # T5 and its kin: the encoder alone, without the decoder that AutoModel brings.
    return AutoModelForTextEncoding if type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING else AutoModel


@contextmanager
def _without_that_attention(spec: LoadedModel) -> Iterator[None]:
    """Say which attention a family does not take; raises EnvironmentGapError in place of the library's errors."""
    try:
        yield
    except (ValueError, ImportError) as error:
        if "attn_implementation" not in str(error) and spec.attn_implementation not in str(error):
            raise
        others = " or ".join(one for one in get_args(Attention) if one != spec.attn_implementation)
        first = str(error).splitlines()[0].split(". ")[0]
        why = f"attn_implementation: {spec.attn_implementation} is not to be had ({first})"
        raise EnvironmentGapError([f"model {spec.name!r}: {why}; say {others}"]) from error


def context_length(model: Any, tokenizer: Any) -> int:
    """Return how many tokens a model takes: what its configuration says, else its tokenizer, and no more than it can.

    Where neither says anything (ALiBi, recurrent models) it is `NO_LIMIT`.
    """
    config = model.config.get_text_config()
    said = getattr(config, "max_position_embeddings", None) or 0  # XLNet says -1: no limit
    # A tokenizer without a limit says 10**30.
    found = [said if said > 0 else tokenizer.model_max_length, usable_positions(model)]
    return min(int(one) for one in [*found, NO_LIMIT] if one is not None)


def _with_adapter(model: Any, probe: Any, adapter: Located, *, scale: float) -> Any:
    """Return `model` with the adapter injected into its layers and active; refuse one that changes nothing."""
    import torch

    wrapped = with_peft(model, adapter, scale=scale).to(model.device).eval()
    with torch.inference_mode():
        with wrapped.disable_adapter():
            before = model.base_model(input_ids=probe).last_hidden_state
        after = model.base_model(input_ids=probe).last_hidden_state
    change = float((after - before).abs().max())
    if change == 0.0:
        raise AdapterHasNoEffectError(
            f"adapter {adapter.load_from!r} had no effect: the states of a probe text are the same with and "
            f"without it; its weights are untrained, or their names do not match the base model's modules"
        )
    logger.info("adapter %s changes a probe text's states by up to %.3g", adapter.load_from, change)
    return wrapped.get_base_model()


def _refuse_more_than_positions(spec: LoadedModel, model: Any) -> None:
    """Raise InputError where the suite allows longer texts than the model has learned positions for."""
    positions = usable_positions(model)
    if spec.max_text_tokens is not None and positions is not None and spec.max_text_tokens > positions:
        why = f"the model has positions for {positions} tokens of a text"
        raise InputError(
            [f"model {spec.name!r}: max_text_tokens: {spec.max_text_tokens}: {why}; say {positions} at most"]
        )


class LanguageModelEncoder:
    """The encoder protocol over a causal language model; subclasses encode."""

    spec: LoadedModel
    counters: Counters
    """Tokens, cut and empty texts."""
    max_text_tokens: int
    """Longer texts are cut."""

    def __init__(self, spec: LoadedModel, loaded: LoadedCausal, *, max_text_tokens: int, batch_tokens: int) -> None:
        """Take what was loaded.

        Args:
            spec: of the suite.
            loaded: from `load_causal`.
            max_text_tokens, batch_tokens: what is used where `spec` says nothing.
        """
        self.spec = spec
        self.counters = Counters()
        self.model, self.tokenizer, self.device = loaded.model, loaded.tokenizer, loaded.device
        self._base = loaded.base
        self._answers_as_base = loaded.base is not None and is_switched(spec)
        self._head_faults = loaded.head_faults
        self.max_text_tokens = spec.max_text_tokens or max_text_tokens
        _refuse_more_than_positions(spec, self.model)
        self._budget = spec.batch_tokens or batch_tokens

    @property
    def similarity(self) -> Similarity:
        """Cosine, unless the suite says otherwise."""
        return self.spec.similarity or "cosine"

    @property
    def own_prompts(self) -> Mapping[str, str]:
        """None: a language model brings no embedding prompts."""
        return {}

    @property
    def bare(self) -> Any:
        """The model without an adapter: the base, where it was kept, or the model where it has none."""
        return self.model if self._base is None else self._base

    @property
    def dimension(self) -> int:
        """Length of its vectors."""
        return int(self.model.config.get_text_config().hidden_size)

    def causal_lm(self) -> CausalLM:
        """Return the model that answers and its tokenizer: adapter active, or the base where it is switched off.

        Raises:
            WeightsDoNotFitError: it has no whole head.
        """
        if self._head_faults:
            raise WeightsDoNotFitError(message(repr(self.spec.model), self.model, self._head_faults))
        return CausalLM(self.bare if self._answers_as_base else self.model, self.tokenizer)

    def follow(self, device: str) -> None:
        """Go on where another has moved the model to."""
        self.device = device
        if self._base is not None:
            self._base.to(device)

    def describe(self) -> dict[str, Any]:
        """Return device, dtype, dimension, length limit and number of parameters."""
        return {
            "device": self.device,
            "dtype": self.spec.dtype,
            "dimension": self.dimension,
            "max_text_tokens": self.max_text_tokens if self.max_text_tokens < NO_LIMIT else None,
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "batch_tokens": self._budget,
        }
