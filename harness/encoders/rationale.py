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

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.digests import sha256_text
from harness.encoders.prefix_attention import RowCache, SharedPrefix, make_prefix, prefix_attention_on
from harness.errors import HarnessError

if TYPE_CHECKING:
    import torch

SYSTEM_PROMPT = (
    "Read and analyze the following text, then you need to provide your reasoning within <think></think> tags. "
    "Finally, generate a comprehensive understanding of this text."
)
"""Of GRACE, the same for queries and documents, in training and evaluation."""
PLACEHOLDER = "\ue000text\ue001"
"""Stands for the text while a chat template is rendered; private-use characters that no template touches."""
PREFILL_TOKENS = {"cpu": 512, "gpu": 16384}
"""Padded tokens of texts that one forward pass reads."""
PICK_BLOCK = 256
"""Tokens of the vocabulary that a draw takes together first; part of what a seed means."""
PICK_ROWS = 16
"""Rows that are sampled at once: their probabilities stay in the processor's caches."""
PINNED_TEMPLATE_VARIABLES = {"date_string": "26 Jul 2024"}
"""Templates that print today's date get this one: a score must not depend on the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A chat template rendered once around a text."""

    prefix: tuple[int, ...]
    """Ids before the text: system prompt and user header."""
    suffix: tuple[int, ...]
    """Ids after it: end of the user's turn and assistant header."""
    has_system_role: bool
    """False: the template refuses or drops a system message, and the prompt stands before the text instead."""
    sha256: str
    """Of prefix and suffix as text."""


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
    temperature: float = 0.0
    """0: greedy."""
    seed: int = 0


def render_template(tokenizer: Any) -> Template:
    """Render the tokenizer's chat template around the GRACE prompt and a text.

    Raises:
        HarnessError: there is no chat template, or it does not carry prompt and text as they are.
    """
    if not tokenizer.chat_template:
        raise HarnessError("the tokenizer has no chat template, and a rationale is an assistant's turn")
    text, has_system_role = _rendered(tokenizer)
    before, found, after = text.partition(PLACEHOLDER)
    if not found or PLACEHOLDER in after or SYSTEM_PROMPT not in before:
        raise HarnessError("the chat template does not carry the system prompt and the text once each, as they are")
    return Template(
        prefix=tuple(tokenizer(before, add_special_tokens=False)["input_ids"]),
        suffix=tuple(tokenizer(after, add_special_tokens=False)["input_ids"]),
        has_system_role=has_system_role,
        sha256=sha256_text(f"{before}\0{after}"),
    )


def _rendered(tokenizer: Any) -> tuple[str, bool]:
    from jinja2.exceptions import TemplateError

    def render(messages: list[dict[str, str]]) -> str:
        options: dict[str, Any] = {"tokenize": False, "add_generation_prompt": True}
        return str(tokenizer.apply_chat_template(messages, **options, **PINNED_TEMPLATE_VARIABLES))

    user = {"role": "user", "content": PLACEHOLDER}
    try:
        text = render([{"role": "system", "content": SYSTEM_PROMPT}, user])
    except TemplateError:  # the template says it has no system role
        text = ""
    if SYSTEM_PROMPT in text:
        return text, True
    return render([{"role": "user", "content": f"{SYSTEM_PROMPT}\n\n{PLACEHOLDER}"}]), False


def tokenise(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Return the ids of each text as plain text: special tokens in it are split, lone surrogates replaced."""
    if not texts:
        return []
    clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
    ids: list[list[int]] = tokenizer(clean, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return ids


def end_tokens(model: Any, tokenizer: Any, template: Template) -> frozenset[int]:
    """Return the ids that end a rationale: every end-of-text the model and tokenizer name, and the user turn's end."""
    found: set[int] = set()
    for value in (model.generation_config.eos_token_id, model.config.eos_token_id, tokenizer.eos_token_id):
        found |= set(value) if isinstance(value, list | tuple) else ({value} if value is not None else set())
    special = set(tokenizer.all_special_ids)
    found |= {token for token in template.suffix[:1] if token in special}
    return frozenset(found)


class Draws:
    """The random numbers of some rows: independent of one another, of the batch and of the other rows' lengths."""

    def __init__(self, seed: int, texts: Sequence[str], rollouts: Sequence[int], vocabulary: int) -> None:
        """Start a stream for each row, of (seed, text, rollout).

        Args:
            seed: of the run.
            texts: what each row's tokens are drawn for.
            rollouts: the number of each row's draw among those for its text.
            vocabulary: tokens there are to choose from.
        """
        self._streams = [_stream(seed, text, number) for text, number in zip(texts, rollouts, strict=True)]
        self._blocks = -(-vocabulary // PICK_BLOCK)

    def next(self, rows: Iterable[int] | None = None) -> NDArray[np.float32]:
        """Return (rows, blocks + `PICK_BLOCK`) standard exponentials for the next position of these rows, or of all.

        A row that leaves is not asked again: the n-th call for a row is its n-th position.
        """
        chosen = self._streams if rows is None else [self._streams[row] for row in rows]
        size = self._blocks + PICK_BLOCK
        return np.stack([stream.standard_exponential(size, dtype=np.float32) for stream in chosen])


def _stream(seed: int, text: str, rollout: int) -> np.random.Generator:
    name = f"{seed}\0{rollout}\0{text}".encode("utf-8", "surrogatepass")
    key = int.from_bytes(hashlib.sha256(name).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key))


def generate(
    model: Any,
    prefix: SharedPrefix,
    rows: Sequence[tuple[str, list[int]]],
    template: Template,
    ends: frozenset[int],
    sampling: Sampling,
    *,
    rollouts: Sequence[int] | None = None,
    temperatures: Sequence[float] | None = None,
) -> list[Rollout]:
    """Write a rationale for each row and pool the states on the way; inside `prefix_attention_on(model)`.

    Rows with the same text share its prefill.

    Args:
        model: a causal language model in eval mode, adapters active.
        prefix: from `make_prefix` with this model and template.
        rows: (text, its ids), one batch.
        template: whose suffix follows each text.
        ends: ids that end a rationale.
        sampling: length, temperature, seed.
        rollouts: each row's rollout index; all 0 where None.
        temperatures: each row's, all above 0, in place of the one of `sampling`.

    Returns:
        A `Rollout` for each row, in order.
    """
    import torch

    state = _Batch(model, prefix, [[*ids, *template.suffix] for _, ids in rows], sampling.max_new_tokens)
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
            if not state.accept(chosen, ends):
                break
            logits = state.feed(want_logits=position + 1 < sampling.max_new_tokens)
        return state.rollouts()


def pool(model: Any, prefix: SharedPrefix, rows: Sequence[list[int]]) -> NDArray[np.float32]:
    """Return the mean state of given ids after the prefix, (b, h); inside `prefix_attention_on(model)`.

    Args:
        model: a causal language model in eval mode.
        prefix: from `run_prefix`.
        rows: each text + suffix + rationale, already chosen (another text's rationale, or one written elsewhere).
    """
    import torch

    with torch.inference_mode():
        state = _Batch(model, prefix, [list(row) for row in rows], max_new_tokens=0)
        state.prefill()
        return np.stack([one.vector for one in state.rollouts()])


def pick(
    logits: torch.Tensor, temperature: float | NDArray[np.float64], draws: NDArray[np.float32] | None
) -> torch.Tensor:
    """Return the chosen token of each row, (b,) int64.

    A sampled token wins a race: with E ~ Exp(1) for each, the largest p / E is token i with probability p_i (the
    Gumbel-max trick). First the blocks of `PICK_BLOCK` tokens race, then the tokens of the winning block, which takes
    some hundreds of random numbers in place of one for each token. Rounding can change the winner only where the two
    best nearly tie; a search in the cumulated probabilities would have as many places to go wrong as there are tokens.

    Args:
        logits: (b, vocabulary).
        temperature: 0 takes the largest logit; or one above 0 for each row, (b,).
        draws: (b, blocks + `PICK_BLOCK`) standard exponentials, of `Draws`; None where the temperature is 0.

    Raises:
        ValueError: a temperature above 0 without draws.
    """
    import torch

    if isinstance(temperature, np.ndarray):
        logits = logits.float() / torch.as_tensor(temperature[:, None], device=logits.device, dtype=torch.float32)
        temperature = 1.0
    if temperature == 0:
        return logits.argmax(dim=1)
    if draws is None:
        raise ValueError("a sampled token needs random numbers")
    noise = torch.as_tensor(draws, device=logits.device).clamp_min(torch.finfo(torch.float32).tiny)
    chosen = [
        _race(logits[start : start + PICK_ROWS], temperature, noise[start : start + PICK_ROWS])
        for start in range(0, len(logits), PICK_ROWS)
    ]
    return torch.cat(chosen)


def _race(logits: torch.Tensor, temperature: float, noise: torch.Tensor) -> torch.Tensor:
    """Return (b,) winners; a token of probability 0 never wins, for some block and some token of it have more."""
    import torch

    scaled = logits.float() if temperature == 1 else logits.float() / temperature
    weights = scaled.softmax(dim=1)
    weights = torch.nn.functional.pad(weights, (0, -weights.shape[1] % PICK_BLOCK)).view(len(logits), -1, PICK_BLOCK)
    blocks = weights.shape[1]
    block = (weights.sum(dim=2) / noise[:, :blocks]).argmax(dim=1)
    inside = weights[torch.arange(len(logits), device=logits.device), block]
    return block * PICK_BLOCK + (inside / noise[:, blocks:]).argmax(dim=1)


class _Batch:
    """Rows that are being generated; finished ones leave."""

    def __init__(self, model: Any, prefix: SharedPrefix, ids: list[list[int]], max_new_tokens: int) -> None:
        import torch

        self._model, self._prefix, self._ids = model, prefix, ids
        self._device = next(model.parameters()).device
        self._texts, self._owner = _distinct(ids)
        longest = max(len(row) for row in ids)
        self._cache = RowCache(prefix, rows=len(self._texts), slots=longest + max_new_tokens)
        self._lengths = torch.tensor([len(row) for row in self._texts], device=self._device)
        self._head = model.get_output_embeddings()
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
        logits = self._logits(torch.cat(last)) if self._wants_logits else None
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
        states = self._forward(self._tokens[:, None], positions)[:, 0]  # (b, h)
        self._sums.index_add_(0, torch.as_tensor(self.places, device=self._device), states.float())
        self._cache.lengths = lengths + 1
        return self._logits(states) if want_logits else None

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
        body = self._model.base_model
        return body(
            input_ids=tokens,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            row_cache=self._cache,
        ).last_hidden_state

    def _logits(self, states: Any) -> Any:
        logits = self._head(states)
        cap = getattr(self._model.config, "final_logit_softcapping", None)
        return logits if cap is None else (logits / cap).tanh() * cap


def _distinct(rows: list[list[int]]) -> tuple[list[list[int]], list[int]]:
    """Return the distinct rows, in order of appearance, and which of them each row is."""
    places: dict[tuple[int, ...], int] = {}
    owner = [places.setdefault(tuple(row), len(places)) for row in rows]
    return [list(row) for row in places], owner


def run_prefix(model: Any, template: Template) -> SharedPrefix:
    """Return the prefix's keys and values for `model`; inside `prefix_attention_on(model)`."""
    import torch

    with torch.inference_mode():
        return make_prefix(model, list(template.prefix))


__all__ = [
    "SYSTEM_PROMPT",
    "Draws",
    "Rollout",
    "Sampling",
    "Template",
    "end_tokens",
    "generate",
    "pick",
    "pool",
    "prefix_attention_on",
    "render_template",
    "run_prefix",
    "tokenise",
]
