"""The rationales of one writer, for whoever reads them: looked up by content, written where one is lacking.

The pool is the writer's own cache of rationales, so that a model that writes for itself and all that read it share
every one. The writer's weights are loaded at the first that is lacking, and not before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from harness.candidates.candidate import Candidate
from harness.encoders.base import Counters, Vectors
from harness.encoders.cache import ContentCache, Entry
from harness.encoders.dense import suffix_ids
from harness.encoders.kept import EntryStore
from harness.encoders.rationale.template import Template, tokenise
from harness.sources.places import Located
from harness.suite.model_entries import RationaleSpec

IN_PLACE = ("truncation", "padding")
"""Of a tokenizer: how rows are laid out, which changes no token."""


class Writing(Protocol):
    """An encoder that writes."""

    counters: Counters

    def write(self, texts: Sequence[str], *, prompt: str | None) -> list[Entry]:
        """Return each text's entry, in order."""


class Written(NamedTuple):
    """A rationale in the reader's tokens."""

    ids: list[int]
    is_cut: bool
    """Whether a length limit ended it: the writer's, or the reader's context."""

    def within(self, room: int) -> Written:
        """Return it with `room` tokens at most: one that passed as text may have more than the writer wrote."""
        return self if len(self.ids) <= room else Written(self.ids[: max(room, 0)], True)

    def entry(self, vector: Vectors) -> Entry:
        """Return it as the reader keeps it, with the vector of text and rationale, (h,)."""
        return Entry(vector, {"ids": self.ids, "cut": self.is_cut})


class RationalePool:
    """One writer's rationales, as one reader reads them."""

    def __init__(
        self,
        name: str,
        tokenizer: Any,
        template: Template,
        *,
        made_in: tuple[str, EntryStore | None],
        load: Callable[[], Writing],
        reader: Any,
    ) -> None:
        """Load nothing yet.

        Args:
            name: of the writer, for people.
            tokenizer, template: of the writer.
            made_in: the name of its entries in the cache, and the cache; None: every rationale is written anew.
            load: returns the writer with its weights.
            reader: the tokenizer that the rationales are read by.
        """
        self.name, self.template = name, template
        self.is_text = not _same_tokens(tokenizer, reader)
        """Whether rationales pass as text: the two have different tokenizers."""
        self._tokenizer, self._reader = tokenizer, reader
        self._entries_name, self._entries = made_in
        self._load = load
        self._writer: Writing | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether the writer's weights were needed."""
        return self._writer is not None

    def forget(self) -> None:
        """Let the writer go; it is loaded again where a rationale is lacking."""
        self._writer = None

    def rationales(self, texts: Sequence[str], *, prompt: str | None) -> list[Written]:
        """Return what the writer has to say of each text, in order, in the reader's tokens.

        Args:
            texts: distinct.
            prompt: stands before each text, for the writer as for the reader.
        """
        keys = [ContentCache.key(self._entries_name, prompt, text) for text in texts]
        found: list[Entry | None] = self._entries.get(keys) if self._entries is not None else [None] * len(texts)
        lacking = [place for place, one in enumerate(found) if one is None]
        if lacking:
            self._writer = self._writer or self._load()
            written = self._writer.write([texts[place] for place in lacking], prompt=prompt)
            for place, one in zip(lacking, written, strict=True):
                found[place] = one
        return self._read([one.about for one in found if one is not None])

    def count(self, counters: Counters, texts: Sequence[Sequence[int]], *, most: int) -> None:
        """Count what reading takes in, and what writing took since the last call.

        Args:
            counters: of the reader.
            texts: ids of each, uncut.
            most: the reader cuts longer ones. A text that either of the two cuts is counted once.
        """
        writing = {} if self._writer is None else self._writer.counters.take()
        cut = sum(len(ids) > most for ids in texts)
        lost = sum(max(0, len(ids) - most) for ids in texts)
        counters.truncated_texts += max(cut, int(writing.get("truncated_texts", 0)))
        counters.cut_tokens += max(lost, int(writing.get("cut_tokens", 0)))
        counters.empty_texts += sum(not ids for ids in texts)
        counters.tokens += int(writing.get("tokens", 0))
        counters.out_of_memory += int(writing.get("out_of_memory", 0))

    def described(self) -> dict[str, str]:
        """Return who writes, and how what is written passes to the reader, for provenance."""
        passes = "text" if self.is_text else "tokens"
        return {"name": self.name, "template_sha256": self.template.sha256, "rationales_pass_as": passes}

    def _read(self, abouts: Sequence[dict[str, Any]]) -> list[Written]:
        if not self.is_text:
            return [Written(list(one["ids"]), bool(one["cut"])) for one in abouts]
        texts = [self._tokenizer.decode(one["ids"], clean_up_tokenization_spaces=False) for one in abouts]
        ids = tokenise(self._reader, texts)
        return [Written(own, bool(one["cut"])) for own, one in zip(ids, abouts, strict=True)]


class FixedRationale:
    """The one text that is read in the place of every rationale; nobody writes."""

    def __init__(self, text: str, reader: Any, template: Template) -> None:
        """Tokenise it.

        Args:
            text: not empty; special tokens in it are themselves, as in what is written.
            reader: the tokenizer that it is read by.
            template: of the reader.

        Raises:
            HarnessError: the tokenizer sees nothing in the text.
        """
        self.ids = suffix_ids(reader, text, key="fixed_rationale")
        self.template = template
        self._text = text

    def forget(self) -> None:
        """Nothing was loaded."""

    def rationales(self, texts: Sequence[str], *, prompt: str | None) -> list[Written]:
        """Return the fixed ids for each text, in order."""
        return [Written(self.ids, is_cut=False) for _ in texts]

    def count(self, counters: Counters, texts: Sequence[Sequence[int]], *, most: int) -> None:
        """Count the texts (ids of each, uncut) that the reader cuts at `most`, and the empty ones."""
        counters.truncated_texts += sum(len(ids) > most for ids in texts)
        counters.cut_tokens += sum(max(0, len(ids) - most) for ids in texts)
        counters.empty_texts += sum(not ids for ids in texts)

    def described(self) -> dict[str, str]:
        """Return that nobody writes, and what is read instead, for provenance."""
        return {"name": "nobody", "fixed_rationale": self._text}


def shares_weights(spec: RationaleSpec, weights: Located, writer: Candidate) -> bool:
    """Whether a writer is a reader's own weights without its adapter, so that they are in memory once."""
    same = ("dtype", "attn_implementation", "trust_remote_code", "device")
    is_bare = writer.adapter is None and writer.weights == weights
    return is_bare and all(getattr(writer.spec, name) == getattr(spec, name) for name in same)


def _same_tokens(a: Any, b: Any) -> bool:
    """Whether two tokenizers make the same ids of every text, as far as their files say."""
    if a is b:
        return True
    plain = [_rules_of(one) for one in (a, b)]
    return plain[0] is not None and plain[0] == plain[1]


def _rules_of(tokenizer: Any) -> dict[str, Any] | None:
    """Return all that decides which ids a text becomes; None where the tokenizer has no file that says it."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    rules: dict[str, Any] = json.loads(backend.to_str())
    return rules | dict.fromkeys(IN_PLACE)
