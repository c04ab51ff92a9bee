"""Rationales written by vLLM, where that is installed (extra `vllm`); the only file that knows it.

vLLM returns tokens and no hidden states, so vectors come from a forward pass over text, header and rationale
(`rationale.pool`). Written against its documented API (`LLM`, `SamplingParams`, `TokensPrompt`) and not run: it needs a
GPU. Its sampler is another than ours: rationales are seeded a text at a time here too, but they are other rationales,
so the engine is part of a cell's key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.encoders.rationale.generate import Prompted, Rollout, Sampling, pool
from harness.encoders.weights import loadable
from harness.errors import EnvironmentGapError, HarnessError, InputError
from harness.sources.places import Located
from harness.suite.model_entries import RationaleSpec

EXTRA = "pip install 'encoder-verdict[vllm]'"
LOWEST_TEMPERATURE = 0.01
"""vLLM raises a temperature between 0 and this one to it, with a warning."""


class Written(NamedTuple):
    """A rationale as it came from the engine."""

    ids: list[int]
    """Token ids, end-of-turn left out."""
    is_truncated: bool
    """Whether the length limit ended it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """vLLM's model and the class of its sampling settings."""

    llm: Any
    sampling_params: Any
    """`vllm.SamplingParams`."""


def start(spec: RationaleSpec, weights: Located, adapter: Located | None) -> Engine:
    """Load a model into vLLM.

    Raises:
        InputError: there is an adapter, or a temperature that vLLM would change.
        EnvironmentGapError: vLLM is not installed.
    """
    if adapter is not None:
        why = f"engine vllm does not take the adapter {adapter.load_from!r}"
        raise InputError([f"{spec.name}: {why}; merge it (`grace export CANDIDATE --out DIR`) and name DIR"])
    if 0 < spec.generation.temperature < LOWEST_TEMPERATURE:
        why = f"engine vllm would raise temperature {spec.generation.temperature} to {LOWEST_TEMPERATURE}"
        raise InputError([f"{spec.name}: {why}; say 0 (greedy) or at least {LOWEST_TEMPERATURE}"])
    try:
        import vllm
    except ImportError as error:
        gap = f"model {spec.name!r}: generation engine 'vllm' is not installed\n    get it: {EXTRA}"
        raise EnvironmentGapError([gap]) from error
    source, revision = loadable(weights, spec.sha256)
    llm = vllm.LLM(
        model=source,
        dtype=spec.dtype,
        trust_remote_code=spec.trust_remote_code,
        enable_prefix_caching=True,  # the system prompt is the same for every text
        **revision,
    )
    return Engine(llm=llm, sampling_params=vllm.SamplingParams)


def rollouts(
    engine: Engine, prompted: Prompted, rows: Sequence[tuple[str, list[int]]], sampling: Sampling
) -> list[Rollout]:
    """Write about each text and pool by a forward pass over the ids; as `rationale.generate` gives it.

    Args:
        engine: from `start`.
        prompted: the same weights in transformers, which pool; inside `prefix_attention_on`.
        rows: (text, its ids), one batch.
        sampling: length, temperature, seed.
    """
    template = prompted.template
    texts = [[*ids, *template.suffix] for _, ids in rows]
    prompts = [[*template.prefix, *own] for own in texts]
    written = write(engine, prompts, [text for text, _ in rows], ends=prompted.ends, sampling=sampling)
    whole = [[*own, *one.ids] for own, one in zip(texts, written, strict=True)]
    vectors = pool(prompted.model, prompted.prefix, whole)
    return [Rollout(one.ids, one.is_truncated, vector) for one, vector in zip(written, vectors, strict=True)]


def write(
    engine: Engine,
    prompts: Sequence[list[int]],
    texts: Sequence[str],
    *,
    ends: frozenset[int],
    sampling: Sampling,
    rollouts: Sequence[int] | None = None,
) -> list[Written]:
    """Write a rationale for each prompt.

    Args:
        engine: from `start`.
        prompts: each prefix + text + suffix, as ids: vLLM tokenises nothing and sees no text.
        texts: of each prompt; only its seed depends on it.
        ends: ids that end a rationale.
        sampling: length, temperature, seed.
        rollouts: each prompt's rollout index; all 0 where None.

    Raises:
        HarnessError: the engine returned other requests than were asked, or more than one answer to one.
    """
    if not prompts:
        return []
    numbers = rollouts or [0] * len(prompts)
    settings = [
        engine.sampling_params(
            n=1,
            temperature=sampling.temperature,
            top_p=1.0,
            max_tokens=sampling.max_new_tokens,
            seed=request_seed(sampling.seed, text, number),
            stop_token_ids=sorted(ends),
            detokenize=False,
            skip_special_tokens=False,
        )
        for text, number in zip(texts, numbers, strict=True)
    ]
    requests = [{"prompt_token_ids": list(ids)} for ids in prompts]
    outputs = engine.llm.generate(requests, settings, use_tqdm=False)
    asked, got = [list(ids) for ids in prompts], [list(one.prompt_token_ids) for one in outputs]
    if asked != got:
        raise HarnessError("vLLM returned other prompts than it was given, or in another order: nothing is scored")
    return [_written(output, ends, sampling.max_new_tokens) for output in outputs]


def request_seed(seed: int, text: str, rollout: int) -> int:
    """Return the seed of one request, in [0, 2**31): a function of (seed, text, rollout) alone."""
    name = f"vllm\0{seed}\0{rollout}\0{text}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(name).digest()[:4], "little") >> 1


def _written(output: Any, ends: frozenset[int], limit: int) -> Written:
    """Return one answer's ids up to its first end."""
    if len(output.outputs) != 1:
        raise HarnessError(f"vLLM returned {len(output.outputs)} answers to one request")
    ids = list(output.outputs[0].token_ids)
    stop = next((place for place, token in enumerate(ids) if token in ends), None)
    if stop is not None:
        return Written(ids[:stop], False)
    # An end that was taken off is told by the reason; without one the answer is as long as it may be.
    return Written(ids[:limit], output.outputs[0].finish_reason != "stop")
