"""The `rationale` encoder: a language model writes about each text, and text and rationale are embedded together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.candidates.candidate import Candidate
from harness.encoders.bare import is_switched
from harness.encoders.base import Counters, Vectors
from harness.encoders.batching import default_budget, for_each_batch
from harness.encoders.cache import ContentCache, Entry
from harness.encoders.kept import EntryStore
from harness.encoders.language_model import LanguageModelEncoder, LoadedCausal, load_causal, load_tokenizer
from harness.encoders.probe import check_causal
from harness.encoders.rationale import ablations, vllm_writer
from harness.encoders.rationale.describe import Tally
from harness.encoders.rationale.generate import Prompted, Rollout, Sampling, forward_on, generate, pool, with_prompt
from harness.encoders.rationale.plain import PlainPrefix
from harness.encoders.rationale.pool import FixedRationale, RationalePool, Written, shares_weights
from harness.encoders.rationale.prefix_attention import SharedPrefix
from harness.encoders.rationale.probe import check_plain, check_shared_prefix
from harness.encoders.rationale.template import Template, end_tokens, render_template, tokenise
from harness.encoders.rope import rope_limit
from harness.encoders.weights import weights_of
from harness.environment import version_of, versions
from harness.errors import EncoderOutputError, HarnessError
from harness.sources.places import Located
from harness.sources.reading import unchanged
from harness.suite.model_entries import RationaleSpec
from harness.tasks.types import Role

CPU_BATCH_TOKENS = 32768
"""Padded tokens a batch on a CPU, more than an encoder that only reads takes: a step of generation has one token a row,
and a matrix product over few rows is far from the peak. Keys and values of SmolLM2-135M take 1.5 GB."""


class RationaleEncoder(LanguageModelEncoder):
    """The stateless functions of `generate.py` behind the encoder protocol, with a cache by content."""

    spec: RationaleSpec
    entries: EntryStore | None
    """Rationales with their vectors, by content; None: everything is made anew."""
    pool: RationalePool | FixedRationale | None
    """The rationales of another that it reads, or what it reads in their place; None: it writes its own."""

    def __init__(
        self,
        spec: RationaleSpec,
        weights: Located,
        adapter: Located | None,
        *,
        fingerprint: str,
        seed: int,
        cache: ContentCache | None,
        writer: Candidate | None = None,
        loaded: LoadedCausal | None = None,
    ) -> None:
        """Load the model and run its prompt prefix once.

        Args:
            spec: of the suite.
            weights, adapter: where they are.
            fingerprint: of the candidate without its ablation; names its entries in the cache.
            seed: of sampling; no part in greedy decoding.
            cache: None: neither read nor written.
            writer: whose rationales it reads; None: it writes its own.
            loaded: the model, where it is in memory already.

        Raises:
            HarnessError: the tokenizer's chat template cannot carry the prompt.
            AdapterHasNoEffectError: the adapter changes nothing.
            EnvironmentGapError: the model is not causal, or cannot share a prefix and `forward` is not plain.
        """
        by_vllm = spec.generation.engine == "vllm" and writer is None
        self._vllm = vllm_writer.start(spec, weights, adapter) if by_vllm else None
        shares = writer is not None and shares_weights(spec, weights, writer)
        if loaded is None:
            loaded = load_causal(spec, weights, adapter, keeps_base=is_switched(spec) or shares)
        check_causal(loaded.model, loaded.tokenizer, wants="`encoder: rationale`")
        check = check_shared_prefix if spec.forward == "shared-prefix" else check_plain
        check(loaded.model, loaded.tokenizer)
        self.template = render_template(loaded.tokenizer, spec.template_variables)
        fixed = spec.fixed_rationale and FixedRationale(spec.fixed_rationale, loaded.tokenizer, self.template)
        room = _room(loaded, self.template, spec, len(fixed.ids) if fixed else spec.generation.max_new_tokens)
        budget = CPU_BATCH_TOKENS if loaded.device == "cpu" else default_budget(loaded.device)
        super().__init__(spec, loaded, max_text_tokens=room, batch_tokens=budget)
        if fixed:  # which is never cut: the text gives way to it
            self.max_text_tokens = min(self.max_text_tokens, room)
        self._ends = end_tokens(self.model, self.tokenizer, self.template)
        self.entries, self._seed = cache, seed
        self._name = _entries_name(fingerprint, seed, self.template, spec)
        self._prompted = self._with_prompt()
        self._loaded = loaded
        self.pool = fixed or None
        if writer is not None:
            self.pool = self._pool_of(writer, shares=shares)
        self._tally = self._new_tally()
        self._from_cache = self._written = 0

    @classmethod
    def from_candidate(cls, candidate: Candidate, *, seed: int, use_cache: bool) -> RationaleEncoder:
        """Load a candidate; all its ablations share what is written about a text."""
        spec: Any = candidate.spec
        whole = replace(candidate, spec=spec.model_copy(update={"ablation": "none"}))
        return cls(
            spec,
            weights_of(candidate),
            candidate.adapter,
            fingerprint=str(whole.fingerprint()),
            seed=seed,
            cache=ContentCache() if use_cache else None,
            writer=candidate.writer and replace(candidate.writer, seed_index=candidate.seed_index),
        )

    def describe(self) -> dict[str, Any]:
        """Return what every language model says, generation settings, and the template's hash."""
        prefix = self._prompted.prefix
        return super().describe() | {
            "forward": self.spec.forward,
            "writes_through_cache": prefix.uses_cache if isinstance(prefix, PlainPrefix) else True,
            **({} if self.spec.fixed_rationale else {"generation": self.spec.generation.model_dump()}),
            "ablation": self.spec.ablation,
            "template_sha256": self.template.sha256,
            "has_system_role": self.template.has_system_role,
            "pooling": "mean over text, assistant header and rationale, last layer after the final norm",
            **({} if self.pool is None else {"writer": self.pool.described()}),
        }

    def take_details(self) -> dict[str, Any]:
        """Return what the rationales since the last call looked like."""
        tally, self._tally = self._tally, self._new_tally()
        from_cache, self._from_cache = self._from_cache, 0
        return tally.described() | {"from_cache": from_cache}

    @property
    def prefix(self) -> SharedPrefix | PlainPrefix:
        """Keys and values of the prompt's prefix, or its ids."""
        return self._prompted.prefix

    def follow(self, device: str) -> None:
        """Go on where another has moved the model to: the prefix's keys and values are made there."""
        super().follow(device)
        self._prompted = self._with_prompt()
        if self.pool is not None:
            self.pool.forget()

    def write(self, texts: Sequence[str], *, prompt: str | None) -> list[Entry]:
        """Return each text's rationale (`about`: its `ids`, whether it was `cut`) with its vector, in order.

        Of `shuffled-rationale` the vector is that of the text with its own rationale: `encode` has the other.
        """
        return self._plain(texts, prompt)

    def encode(self, texts: Sequence[str], *, role: Role | None, prompt: str | None) -> Vectors:
        """Return the vector of each text with its rationale, (n, d) float32; `prompt` stands before the text."""
        plain = self._plain(texts, prompt)
        if self.spec.ablation != "shuffled-rationale":
            return self.stacked(plain)
        partners = self.partners(texts, prompt)
        return self._mixed([f"{prompt or ''}{text}" for text in texts], [plain[one].about["ids"] for one in partners])

    def stacked(self, entries: Sequence[Entry]) -> Vectors:
        """Return the vectors of entries, (n, d) float32; of none, (0, d)."""
        return np.stack([entry.vector for entry in entries]) if entries else np.zeros((0, self.dimension), np.float32)

    def partners(self, texts: Sequence[str], prompt: str | None) -> list[int]:
        """Return whose rationale each text gets under `shuffled-rationale`; raises HarnessError for less than two."""
        return ablations.partners(texts, prompt, self._seed)

    def _pool_of(self, writer: Candidate, *, shares: bool) -> RationalePool:
        """Return the rationales of `writer`; `shares`: it is this model without its adapter, in memory already."""
        spec: Any = writer.spec
        tokenizer = self.tokenizer if shares else load_tokenizer(spec, weights_of(writer))
        template = render_template(tokenizer, spec.template_variables)
        fingerprint, cache, seed = str(writer.fingerprint()), self.entries, self._seed

        def load() -> RationaleEncoder:
            bare = replace(self._loaded, model=self.bare, device=self.device, base=None) if shares else None
            given: dict[str, Any] = {"fingerprint": fingerprint, "seed": seed, "cache": cache, "loaded": bare}
            with unchanged(writer.weights, "models"), unchanged(writer.adapter, "models"):
                return RationaleEncoder(spec, weights_of(writer), writer.adapter, **given)

        made_in = _entries_name(fingerprint, seed, template, spec), cache
        return RationalePool(writer.name, tokenizer, template, made_in=made_in, load=load, reader=self.tokenizer)

    def _new_tally(self) -> Tally:
        return Tally(opens_thinking=(self.pool or self).template.opens_thinking)

    def _with_prompt(self) -> Prompted:
        with forward_on(self.model, self.spec.forward):
            return with_prompt(self.model, self.template, self._ends, forward=self.spec.forward)

    def _plain(self, texts: Sequence[str], prompt: str | None) -> list[Entry]:
        """Return each text's rationale and vector, from the cache or written now.

        Ablations are made of text with rationale and text alone, which are kept, so that they share what is written.
        """
        ablation, new = self.spec.ablation, self.spec.generation.max_new_tokens
        missing_before = self._written
        found = self._cached(texts, prompt, 0 if ablation == "text-only" else new)
        self._from_cache += len(texts) - (self._written - missing_before)
        if ablation == "rationale-only":
            found = self._rationales_alone(texts, prompt, found)
        if ablation == "fixed-rationale":
            found = self._filled(texts, prompt, found)
        for text, entry in zip(texts, found, strict=True):
            ids = [] if isinstance(self.pool, FixedRationale) else entry.about["ids"]  # those that somebody wrote
            self._tally.add(text, self.tokenizer.decode(ids), tokens=len(ids), cut=bool(entry.about["cut"]))
        return found

    def _cached(self, texts: Sequence[str], prompt: str | None, new: int) -> list[Entry]:
        """Return the entries of texts with rationales of at most `new` tokens, from the cache or made now."""
        name = self._name if new else f"{self._name}\0text-only"

        def make(missing: list[int], keys: list[bytes]) -> list[Entry]:
            self._written += len(missing)
            wanted = [texts[index] for index in missing]
            if self.pool is not None and new:
                return self._read(wanted, keys, self.pool, prompt)
            return self._generate([f"{prompt or ''}{text}" for text in wanted], keys, new)

        return self._kept_or(make, name, texts, prompt)

    def _kept_or(
        self,
        make: Callable[[list[int], list[bytes]], list[Entry]],
        name: str,
        texts: Sequence[str],
        prompt: str | None,
    ) -> list[Entry]:
        """Return what is kept of each text under `name`; `make` is given the places and keys of those that are not."""
        keys = [ContentCache.key(name, prompt, text) for text in texts]
        entries: list[Entry | None] = self.entries.get(keys) if self.entries else [None] * len(texts)
        missing = [index for index, entry in enumerate(entries) if entry is None]
        for index, entry in zip(missing, make(missing, [keys[index] for index in missing]), strict=True):
            entries[index] = entry
        return [entry for entry in entries if entry is not None]

    def _rationales_alone(self, texts: Sequence[str], prompt: str | None, whole: list[Entry]) -> list[Entry]:
        """Return `whole` with the mean over each rationale's own tokens: the text's share is taken out of the mean."""
        if not all(entry.about["ids"] for entry in whole):
            raise HarnessError("ablation rationale-only: a rationale is empty, and there is nothing to embed")
        bare = self._cached(texts, prompt, 0)
        own = tokenise(self.tokenizer, [f"{prompt or ''}{text}" for text in texts])
        befores = [min(len(ids), self.max_text_tokens) + len(self.template.suffix) for ids in own]
        return [ablations.rationale_alone(*one) for one in zip(whole, bare, befores, strict=True)]

    def _mixed(self, texts: list[str], written: list[list[int]]) -> Vectors:
        """Return the vector of each text with the rationale that is given for it."""
        own = [ids[: self.max_text_tokens] for ids in tokenise(self.tokenizer, texts)]
        rows = [[*ids, *self.template.suffix, *other] for ids, other in zip(own, written, strict=True)]
        return self._pooled(rows, Counters())

    def _pooled(
        self, rows: list[list[int]], counters: Counters, done: Callable[[list[int], Vectors], None] | None = None
    ) -> Vectors:
        """Return the mean state of each row (text + suffix + rationale) in one pass, (n, d) float32.

        Args:
            rows: ids.
            counters: where halved batches are counted.
            done: is given each batch's places and vectors.
        """
        vectors = np.zeros((len(rows), self.dimension), dtype=np.float32)

        def pool_batch(batch: list[int]) -> None:
            vectors[batch] = pool(self.model, self.prefix, [rows[index] for index in batch])
            if done is not None:
                done(batch, vectors[batch])

        with forward_on(self.model, self.spec.forward):
            self._budget = for_each_batch([len(row) for row in rows], self._budget, pool_batch, counters)
        return vectors

    def _read(
        self,
        texts: Sequence[str],
        keys: Sequence[bytes],
        written_by: RationalePool | FixedRationale,
        prompt: str | None,
    ) -> list[Entry]:
        """Read what another wrote about each text, or what stands in its place, and keep what the cache lacks."""
        written = written_by.rationales(texts, prompt=prompt)
        whole = tokenise(self.tokenizer, [f"{prompt or ''}{text}" for text in texts])
        own = [ids[: self.max_text_tokens] for ids in whole]
        read = [one.within(self._room_behind(len(ids))) for ids, one in zip(own, written, strict=True)]
        written_by.count(self.counters, whole, most=self.max_text_tokens)
        for ids, one in zip(own, read, strict=True):
            self._refuse_to_cross(len(ids), len(one.ids))
        return self._pooled_entries(own, read, keys)

    def _filled(self, texts: Sequence[str], prompt: str | None, written: list[Entry]) -> list[Entry]:
        """Return each text's entry with as many tokens of a fixed text as were `written` about it.

        `about` has those tokens: what was written about the text is not in the vector.
        """
        fixed = tokenise(self.tokenizer, [ablations.FIXED])[0]
        name = f"{self._name}\0fixed-rationale\0{ablations.FIXED}"

        def make(missing: list[int], keys: list[bytes]) -> list[Entry]:
            whole = tokenise(self.tokenizer, [f"{prompt or ''}{texts[index]}" for index in missing])
            abouts = [written[index].about for index in missing]
            behind = [Written(ablations.filled(fixed, len(one["ids"])), bool(one["cut"])) for one in abouts]
            return self._pooled_entries([ids[: self.max_text_tokens] for ids in whole], behind, keys)

        return self._kept_or(make, name, texts, prompt)

    def _pooled_entries(
        self, texts: Sequence[list[int]], behind: Sequence[Written], keys: Sequence[bytes]
    ) -> list[Entry]:
        """Return the entry of each text (ids) with what is read behind it, kept under its key, batch by batch."""
        rows = [[*ids, *self.template.suffix, *one.ids] for ids, one in zip(texts, behind, strict=True)]
        made: dict[int, Entry] = {}

        def keep(batch: list[int], vectors: Vectors) -> None:
            fresh = {index: behind[index].entry(vector) for index, vector in zip(batch, vectors, strict=True)}
            if self.entries:
                self.entries.put({keys[index]: one for index, one in fresh.items()})
            made.update(fresh)
            self.counters.tokens += sum(len(rows[index]) for index in batch)

        self._pooled(rows, self.counters, keep)
        return [made[index] for index in range(len(rows))]

    def _generate(self, texts: list[str], keys: list[bytes], new: int) -> list[Entry]:
        """Write `new` tokens at most and pool what the cache does not have; each batch is stored when it is done."""
        most = self.max_text_tokens
        ids = tokenise(self.tokenizer, texts)
        self.counters.truncated_texts += sum(len(one) > most for one in ids)
        self.counters.cut_tokens += sum(max(0, len(one) - most) for one in ids)
        self.counters.empty_texts += sum(not one for one in ids)
        ids = [one[:most] for one in ids]
        self._refuse_to_cross(max(map(len, ids), default=0), new)
        settings = self.spec.generation
        sampling = Sampling(max_new_tokens=new, temperature=settings.temperature, seed=self._seed)
        made: dict[int, Entry] = {}

        def encode_batch(batch: list[int]) -> None:
            rows = [(texts[index], ids[index]) for index in batch]
            rollouts = self._rollouts(rows, sampling)
            kept = [Entry(one.vector.astype(np.float32), {"ids": one.ids, "cut": one.is_truncated}) for one in rollouts]
            fresh = dict(zip(batch, kept, strict=True))
            if self.entries:
                self.entries.put({keys[index]: entry for index, entry in fresh.items()})
            made.update(fresh)
            own = sum(len(ids[index]) + len(self.template.suffix) for index in batch)
            self.counters.tokens += own + sum(len(one.ids) for one in rollouts)

        lengths = [len(one) + len(self.template.suffix) + new for one in ids]
        with forward_on(self.model, self.spec.forward):
            self._budget = for_each_batch(lengths, self._budget, encode_batch, self.counters)
        return [made[index] for index in range(len(texts))]

    def _room_behind(self, text: int) -> int:
        """Return how many tokens of a rationale are read behind a text: what is left, or as many as may be written."""
        around = len(self.template.prefix) + text + len(self.template.suffix)
        return max(self._loaded.context_length - around, self.spec.generation.max_new_tokens)

    def _refuse_to_cross(self, text: int, new: int) -> None:
        """Raise EncoderOutputError where a text of so many tokens and its rationale outgrow what one prefix serves."""
        rope = rope_limit(self.model) if self.spec.forward == "shared-prefix" else None
        around = len(self.template.prefix) + len(self.template.suffix) + new
        if rope is not None and around + text > rope.tokens:
            room = rope.tokens - around
            shorter = f"set `max_text_tokens: {room}`" if room > 0 else "set a smaller `max_new_tokens`"
            raise EncoderOutputError(rope.message(around + text, f"{shorter}, or say `forward: plain` (slower)"))

    def _rollouts(self, rows: list[tuple[str, list[int]]], sampling: Sampling) -> list[Rollout]:
        """Write about one batch of (text, its ids) and pool, inside `forward_on`."""
        if self._vllm is None or not sampling.max_new_tokens:
            return generate(self._prompted, rows, sampling)
        return vllm_writer.rollouts(self._vllm, self._prompted, rows, sampling)


def _entries_name(fingerprint: str, seed: int, template: Template, spec: RationaleSpec) -> str:
    """Return what the entries of a model are called in the cache."""
    return f"{fingerprint}\0{seed}\0{template.sha256}\0{_made_with(spec)}"


def _made_with(spec: RationaleSpec) -> str:
    """Return the versions that can change a rationale or its vector: a cell records those that made what it scores."""
    names = ["torch", "transformers", "tokenizers", "peft"]
    own = [f"{name} {versions()[name]}" for name in names]
    return " ".join([*own, f"vllm {version_of('vllm')}"] if spec.generation.engine == "vllm" else own)


def _room(loaded: LoadedCausal, template: Template, spec: RationaleSpec, behind: int) -> int:
    """Return the tokens of a text that fit beside prompt and rationale; raises HarnessError where none does.

    `behind`: tokens of a rationale, at most.
    """
    around = len(template.prefix) + len(template.suffix) + behind
    room = loaded.context_length - around
    if room < 1 and (spec.max_text_tokens is None or spec.fixed_rationale):
        raise HarnessError(f"prompt and rationale take {around} of {loaded.context_length} tokens: no room for text")
    return room
