"""Rationale embedding: the only code that knows how a text becomes prompt, rationale and vector.

ids = prefix + text + suffix + rationale. The vector is the mean of the states after the final norm over text, suffix
(the assistant header) and rationale, without end-of-turn; the prefix (system prompt and user header) is masked by its
known length (GRACE, arXiv 2510.04506, section 3). Departures from its code: the states are pooled while generating,
for in a causal model they are those of a second forward pass over the same ids; special tokens inside a text are
split; the random numbers of a text depend on (seed, text, rollout, position) alone, and a token is drawn as the winner
of a race, so that neighbours and batch size change it, sampled or greedy, only where two tokens nearly tie; masks come
from known lengths, never from comparing ids with padding.

Everything here is stateless over (model, ids): the harness passes a loaded model, a trainer its live policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.encoders.head import body_of, logits_of
from harness.encoders.rationale.draws import Draws, pick
from harness.encoders.rationale.plain import Drawing, PlainPrefix, make_plain_prefix, pooled, write
from harness.encoders.rationale.prefix_attention import RowCache, SharedPrefix, make_prefix, prefix_attention_on
from harness.encoders.rationale.template import Template
from harness.encoders.rope import rope_limit
from harness.errors import EncoderOutputError
from harness.suite.model_entries import Forward

PREFILL_TOKENS = {"cpu": 512, "gpu": 16384}
"""Padded tokens of texts that one forward pass reads."""


class Rollout(NamedTuple):
    """One rationale and the vector made with it."""

    ids: list[int]
    """Token ids of the rationale, end-of-turn left out."""
    is_truncated: bool
    """Whether the length limit ended it."""
    vector: NDArray[np.float32]
    """(h,): mean over text, suffix and rationale."""
    end: int | None = None
    """The id that ended the rationale; None where the length limit did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How rationales are drawn."""

    max_new_tokens: int
    """Longer rationales are cut."""
    temperature: float = 0.0
    """0: greedy."""
    seed: int = 0
    """Part of every text's random numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompted:
    """A model and the prompt around every text: what it takes to write and to pool."""

    model: Any
    """A causal language model in eval mode, adapters active."""
    prefix: SharedPrefix | PlainPrefix
    """Keys and values of the template's prefix under this model; or its ids, where every text is read by itself."""
    template: Template
    """Whose suffix follows each text."""
    ends: frozenset[int]
    """Ids that end a rationale."""


def with_prompt(
    model: Any, template: Template, ends: frozenset[int], *, forward: Forward = "shared-prefix"
) -> Prompted:
    """Make the template's prefix ready for `model`; inside `forward_on(model, forward)`.

    Args:
        model: a causal language model in eval mode, adapters active.
        template: whose prefix stands before every text.
        ends: ids that end a rationale.
        forward: "shared-prefix" runs the prefix through the model once; "plain" leaves that to each text.
    """
    import torch

    with torch.inference_mode():
        prefix: SharedPrefix | PlainPrefix
        if forward == "plain":
            prefix = make_plain_prefix(model, template.prefix, template.suffix)
        else:
            prefix = make_prefix(model, list(template.prefix))
    return Prompted(model=model, prefix=prefix, template=template, ends=ends)


def forward_on(model: Any, forward: Forward) -> AbstractContextManager[None]:
    """Return the block inside which `model` writes and pools: with the shared-prefix attention, or as it is."""
    return prefix_attention_on(model) if forward == "shared-prefix" else nullcontext()


def generate(
    prompted: Prompted,
    rows: Sequence[tuple[str, list[int]]],
    sampling: Sampling,
    *,
    rollouts: Sequence[int] | None = None,
    temperatures: Sequence[float] | None = None,
) -> list[Rollout]:
    """Write a rationale for each row and pool its states; inside `forward_on` of the model.

    Rows with the same text share its prefill, and states are pooled on the way; with a plain prefix each row is written
    by itself and read once more.

    Args:
        prompted: from `with_prompt`.
        rows: (text, its ids), one batch.
        sampling: length, temperature, seed.
        rollouts: each row's rollout index; all 0 where None.
        temperatures: each row's, all above 0, in place of the one of `sampling`.

    Returns:
        A `Rollout` for each row, in order.
    """
    import torch

    if isinstance(prompted.prefix, PlainPrefix):
        return _generate_plainly(prompted, rows, sampling, rollouts=rollouts, temperatures=temperatures)
    own = [[*ids, *prompted.template.suffix] for _, ids in rows]
    state = WritingBatch(prompted.model, prompted.prefix, own, sampling.max_new_tokens)
    numbers = rollouts or [0] * len(rows)
    heat = None if temperatures is None else np.array(temperatures)
    is_sampled = heat is not None or sampling.temperature > 0
    draws = None
    with torch.inference_mode():
        logits = state.prefill()
        if is_sampled and logits is not None:
            draws = Draws(sampling.seed, [text for text, _ in rows], numbers, logits.shape[1])
        for position in range(sampling.max_new_tokens):
            temperature = sampling.temperature if heat is None else heat[state.places]
            chosen = pick(logits, temperature, None if draws is None else draws.next(state.places))
            if not state.accept(chosen, prompted.ends):
                break
            logits = state.feed(want_logits=position + 1 < sampling.max_new_tokens)
        return state.rollouts()


def _generate_plainly(
    prompted: Prompted,
    rows: Sequence[tuple[str, list[int]]],
    sampling: Sampling,
    *,
    rollouts: Sequence[int] | None,
    temperatures: Sequence[float] | None,
) -> list[Rollout]:
    """`generate` for a plain prefix: one row after the other."""
    import torch

    model, prefix = prompted.model, prompted.prefix
    assert isinstance(prefix, PlainPrefix)  # noqa: S101 - asked by `generate`
    vocabulary = int(model.get_output_embeddings().weight.shape[0])
    found = []
    for index, (text, ids) in enumerate(rows):
        own = [*ids, *prompted.template.suffix]
        heat = sampling.temperature if temperatures is None else temperatures[index]
        number = 0 if rollouts is None else rollouts[index]
        draws = Draws(sampling.seed, [text], [number], vocabulary) if heat > 0 else None
        with torch.inference_mode():
            new, end = write(
                model,
                [*prefix.ids, *own],
                Drawing(temperature=heat, draws=draws),
                limit=sampling.max_new_tokens,
                ends=prompted.ends,
                uses_cache=prefix.can_cache(len(own), sampling.max_new_tokens),
            )
        vector = pooled(model, prefix, [*own, *new])
        found.append(Rollout(new, end is None and sampling.max_new_tokens > 0, vector, end))
    return found


def pool(model: Any, prefix: SharedPrefix | PlainPrefix, rows: Sequence[list[int]]) -> NDArray[np.float32]:
    """Return the mean state of given ids after the prefix, (b, h); inside `forward_on` of the model.

    Args:
        model: a causal language model in eval mode.
        prefix: of `with_prompt`.
        rows: each text + suffix + rationale, already chosen (another text's rationale, or one written elsewhere).
    """
    import torch

    if isinstance(prefix, PlainPrefix):
        return np.stack([pooled(model, prefix, row) for row in rows])
    with torch.inference_mode():
        state = WritingBatch(model, prefix, [list(row) for row in rows], max_new_tokens=0)
        state.prefill()
        return np.stack([one.vector for one in state.rollouts()])


class WritingBatch:
    """Rows that are being generated; finished ones leave."""

    def __init__(self, model: Any, prefix: SharedPrefix, ids: list[list[int]], max_new_tokens: int) -> None:
        import torch

        self._model, self._prefix, self._ids = model, prefix, ids
        self._device = next(model.parameters()).device
        self._texts, self._owner = _distinct(ids)
        longest = max(len(row) for row in ids)
        _refuse_to_cross(model, len(prefix) + longest + max_new_tokens)
        self._cache = RowCache(prefix, rows=len(self._texts), slots=longest + max_new_tokens)
        self._lengths = torch.tensor([len(row) for row in self._texts], device=self._device)
        self.places = np.arange(len(ids))
        """Which row each of the remaining ones is."""
        self._written: list[list[int]] = [[] for _ in ids]
        self._is_truncated = [max_new_tokens > 0] * len(ids)
        self._wants_logits = max_new_tokens > 0
        self._ended_by: list[int | None] = [None] * len(ids)
        self._tokens: Any = None
        self._sums: Any = None

    def prefill(self) -> Any:
        """Run text and suffix of all rows, each text once; returns the logits after them, (b, vocabulary).

        Rows are read in parts of like length, so that little is padding and activations stay in the processor's caches.
        """
        import torch

        last, sums = [], []
        for part in self._parts():
            self._cache.filling = part
            rows = self._texts[part]
            lengths = self._lengths[part]
            padded = torch.zeros((len(rows), max(len(row) for row in rows)), dtype=torch.long)
            for index, row in enumerate(rows):
                padded[index, : len(row)] = torch.tensor(row)
            places = torch.arange(padded.shape[1], device=self._device)
            states = self._forward(padded.to(self._device), len(self._prefix) + places[None])  # (rows, t, h)
            sums.append(states.float().masked_fill((places >= lengths[:, None])[:, :, None], 0.0).sum(dim=1))
            last.append(states[torch.arange(len(rows), device=self._device), lengths - 1])
        self._sums = torch.cat(sums)
        self._cache.lengths = self._lengths.clone()
        logits = logits_of(self._model, torch.cat(last)) if self._wants_logits else None
        if len(self._texts) < len(self._ids):
            owner = torch.tensor(self._owner, device=self._device)
            self._cache.keep(owner)
            self._sums = self._sums.index_select(0, owner)
            logits = None if logits is None else logits.index_select(0, owner)
        return logits

    def _parts(self) -> list[slice]:
        """Return runs of rows whose padded size is at most `PREFILL_TOKENS`, or one row."""
        most = PREFILL_TOKENS["cpu" if self._device.type == "cpu" else "gpu"]
        starts, longest = [0], 0
        for index, row in enumerate(self._texts):
            longest = max(longest, len(row))
            if index > starts[-1] and longest * (index + 1 - starts[-1]) > most:
                starts.append(index)
                longest = len(row)
        return [slice(start, end) for start, end in zip(starts, [*starts[1:], len(self._texts)], strict=True)]

    def accept(self, chosen: Any, ends: frozenset[int]) -> bool:
        """Take one token for each remaining row; rows that chose an end leave. Returns whether any row is left."""
        import torch

        tokens = chosen.tolist()
        going = [index for index, token in enumerate(tokens) if token not in ends]
        for index in set(range(len(tokens))) - set(going):
            self._is_truncated[self.places[index]] = False
            self._ended_by[self.places[index]] = tokens[index]
        for index in going:
            self._written[self.places[index]].append(tokens[index])
        if not going:
            return False
        if len(going) < len(tokens):
            kept = torch.tensor(going, device=self._device)
            self._cache.keep(kept)
            self.places = self.places[going]
            chosen = chosen.index_select(0, kept)
        self._tokens = chosen
        return True

    def feed(self, *, want_logits: bool) -> Any:
        """Run the accepted tokens and add their states; returns the next logits where wanted."""
        import torch

        lengths = self._cache.lengths
        assert lengths is not None  # noqa: S101 - set by prefill
        positions = (len(self._prefix) + lengths)[:, None]
        self._cache.filled = max(len(self._ids[place]) + len(self._written[place]) for place in self.places)
        states = self._forward(self._tokens[:, None], positions)[:, 0]  # (b, h)
        self._sums.index_add_(0, torch.as_tensor(self.places, device=self._device), states.float())
        self._cache.lengths = lengths + 1
        return logits_of(self._model, states) if want_logits else None

    def rollouts(self) -> list[Rollout]:
        """Return what was written and pooled."""
        counts = np.array([len(row) + len(new) for row, new in zip(self._ids, self._written, strict=True)])
        vectors = self._sums.cpu().numpy() / counts[:, None].astype(np.float32)
        return [
            Rollout(ids, truncated, vector, end)
            for ids, truncated, vector, end in zip(
                self._written, self._is_truncated, vectors, self._ended_by, strict=True
            )
        ]

    def _forward(self, tokens: Any, positions: Any) -> Any:
        return body_of(self._model)(
            input_ids=tokens,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            row_cache=self._cache,
        ).last_hidden_state


def _refuse_to_cross(model: Any, tokens: int) -> None:
    """Raise EncoderOutputError where a row of `tokens` tokens outgrows the length that its prefix serves."""
    rope = rope_limit(model)
    if rope is not None and tokens > rope.tokens:
        lower = f"set `max_text_tokens` or `max_new_tokens` {tokens - rope.tokens} lower"
        raise EncoderOutputError(rope.message(tokens, f"{lower}, or say `forward: plain` (slower)"))


def _distinct(rows: list[list[int]]) -> tuple[list[list[int]], list[int]]:
    """Return the distinct rows, in order of appearance, and which of them each row is."""
    places: dict[tuple[int, ...], int] = {}
    owner = [places.setdefault(tuple(row), len(places)) for row in rows]
    return [list(row) for row in places], owner
