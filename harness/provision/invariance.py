"""`harness doctor --invariance`: do a model's vectors hang on what should not matter, and does a score move by it?

Every text is encoded alone first (batch 1): the model's own pass with nothing beside it. Then each thing is changed by
itself: batch size, order, a much longer neighbour, the padding's side, threads, dtype. What cannot be changed for a
kind of encoder is said, not left out. Two passes over the same numbers differ by rounding; the tolerances below are for
that, and those of another dtype are for what such a dtype is worth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.candidates.candidate import Candidate
from harness.encoders.base import Vectors
from harness.encoders.checked import CheckedEncoder
from harness.encoders.kept import KeepingEncoder
from harness.encoders.loading import load
from harness.errors import EncoderOutputError, HarnessError, InputError
from harness.provision.invariance_rows import TOLERANCES, Held, Made, Row, Tolerance, cosine_losses
from harness.provision.invariance_texts import OwnTexts, longer_than, named, own_texts
from harness.suite.encoder_kinds import KINDS
from harness.suite.model_entries import LoadedModel
from harness.tasks.types import Role

BATCHES = (8, 64)
TOGETHER = 1 << 22
"""Padded tokens a batch while this is tried, so that 64 texts are one batch whatever they take."""
NEIGHBOURS = 12
"""Short texts that are encoded beside the longest one."""
MOST_WINDOW = 8192
"""Tokens; a text beyond a longer window is not tried."""
SHUFFLED_BY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariance:
    """What was found of a model."""

    model: str
    dtype: str
    device: str
    role: Role | None
    """As what texts were encoded."""
    texts: int
    left_out: tuple[str, ...]
    """Odd texts that the model refuses, with its words."""
    sts: float | None
    """The score over pairs, each text alone, in points; None where the model takes all pairs for alike."""
    retrieval: float
    rows: tuple[Row, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing moved beyond its tolerance."""
        return all(row.holds for row in self.rows if row.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """A model in memory, and how it is asked."""

    encoder: CheckedEncoder
    role: Role | None
    encoder_kind: str
    """As the suite calls it."""

    def make(self, texts: Sequence[str], groups: Sequence[Sequence[int]]) -> Made:
        """Encode texts in groups of indices, each of them a call of its own; every text is in one of them."""
        vectors: dict[int, Any] = {}
        rationales: dict[int, Any] = {}
        for group in groups:
            asked = [texts[place] for place in group]
            inner = self.encoder.inner
            if isinstance(inner, KeepingEncoder) and self.encoder.describe().get("ablation", "none") == "none":
                entries = inner.write(asked, prompt=None)
                found = self.encoder.checked(
                    asked, _rows({text: one.vector for text, one in zip(asked, entries, strict=True)})
                )
                rationales |= {place: one.about.get("ids") for place, one in zip(group, entries, strict=True)}
            else:
                found = self.encoder.encode(asked, role=self.role)
            vectors |= dict(zip(group, found, strict=True))
        order = sorted(vectors)
        return Made(
            vectors=np.stack([vectors[place] for place in order]),
            rationales=tuple(rationales[place] for place in order) if rationales else None,
        )


def _rows(made: dict[str, Any]) -> Callable[[list[str]], Vectors]:
    return lambda texts: np.stack([made[text] for text in texts])


def invariance(candidate: Candidate, *, seed: int = 0) -> Invariance:
    """Load a candidate and try everything that should not matter to its vectors.

    Raises:
        InputError: it gives no vectors.
        HarnessError: it cannot be loaded, or refuses ordinary texts.
    """
    if not candidate.embeds:
        raise InputError([f"model {candidate.name!r}: encoder {candidate.kind} gives no vectors that could move"])
    every = own_texts()
    tried = _loaded(candidate, every, seed)
    about = tried.encoder.describe()
    refused = _refused(tried, every)
    own = every.without(list(refused))
    alone = tried.make(own.texts, [[place] for place in range(len(own.texts))])
    dtype, role = str(about.get("dtype", "float32")), tried.role
    held = Held(own=own, alone=alone, tolerance=TOLERANCES.get(dtype, TOLERANCES["float32"]))
    rows = [*_batches(held, tried), *_neighbours(held, tried), _padding(held, tried), _threads(held, tried)]
    del tried  # one model in memory at a time
    rows += _dtypes(held, candidate, dtype, seed)
    return Invariance(
        model=candidate.name,
        dtype=dtype,
        device=str(about.get("device", "cpu")),
        role=role,
        texts=len(own.texts),
        left_out=tuple(f"{named(every.texts[place])}: {why}" for place, why in refused.items()),
        sts=score if math.isfinite(score := own.sts(alone.vectors)) else None,
        retrieval=own.retrieval(alone.vectors),
        rows=tuple(rows),
    )


def _loaded(candidate: Candidate, own: OwnTexts, seed: int) -> _Tried:
    together = replace(candidate, spec=candidate.spec.model_copy(update={"batch_tokens": TOGETHER}))
    encoder = load(together, seed=seed, use_cache=False)
    encoder.prepare(lambda: own.texts)
    try:
        encoder.check_role(None)
    except EncoderOutputError:
        return _Tried(encoder=encoder, role="document", encoder_kind=candidate.kind)
    return _Tried(encoder=encoder, role=None, encoder_kind=candidate.kind)


def _refused(tried: _Tried, own: OwnTexts) -> dict[int, str]:
    """Return the odd texts that the model cannot encode even alone, with its words."""
    found = {}
    for place in own.odd:
        try:
            tried.make(own.texts, [[place]])
        except EncoderOutputError as error:
            found[place] = str(error)
    return found


def _batches(held: Held, tried: _Tried) -> Iterator[Row]:
    """Yield what batches of several texts and another order make of them."""
    texts = held.own.texts
    for size in BATCHES:
        groups = [list(range(start, min(start + size, len(texts)))) for start in range(0, len(texts), size)]
        yield held.row(f"batch {size} against 1", lambda groups=groups: tried.make(texts, groups))  # type: ignore[misc]
    order = np.random.default_rng(SHUFFLED_BY).permutation(len(texts)).tolist()
    groups = [order[start : start + BATCHES[-1]] for start in range(0, len(order), BATCHES[-1])]
    yield held.row(f"shuffled, batch {BATCHES[-1]}, against alone", lambda: tried.make(texts, groups))


def _neighbours(held: Held, tried: _Tried) -> Iterator[Row]:
    """Yield short texts beside the longest, and one that is cut beside a short one."""
    texts, longest = held.own.texts, len(held.own.texts) - 1
    short = sorted(range(longest), key=lambda place: len(texts[place]))[:NEIGHBOURS]
    yield _among(
        held.tolerance,
        f"{len(short)} short texts beside one of {len(texts[longest].split())} words, against alone",
        [texts[place] for place in short],
        lambda: [
            (held.alone.vectors[at], tried.make([texts[at], texts[longest]], [[0, 1]]).vectors[0]) for at in short
        ],
    )
    what = "a text beyond the window beside a short one, against alone"
    window = tried.encoder.describe().get("max_text_tokens")
    if not window or window > MOST_WINDOW:
        yield Row(what=what, why_not=f"a window of {window} tokens" if window else "no window is known of it")
        return
    pair = [longer_than(window), texts[0]]
    yield _among(
        held.tolerance,
        what,
        pair[:1],
        lambda: [(tried.make(pair[:1], [[0]]).vectors[0], tried.make(pair, [[0, 1]]).vectors[0])],
    )


def _among(tolerance: Tolerance, what: str, texts: Sequence[str], make: Callable[[], list[tuple[Any, Any]]]) -> Row:
    """Return the row of a change that some texts alone go through, which moves no score."""
    try:
        alone, beside = (np.stack(side) for side in zip(*make(), strict=True))
    except HarnessError as error:
        return Row(what=what, tolerance=tolerance, failed=str(error))
    losses = cosine_losses(beside, alone)
    return Row(what=what, tolerance=tolerance, cosine_loss=float(losses.max()), text=named(texts[int(losses.argmax())]))


def _padding(held: Held, tried: _Tried) -> Row:
    """Return what padding on the other side makes of a batch, where the encoder leaves that to its tokenizer."""
    what = f"padding on the other side, batch {BATCHES[-1]}, against alone"
    tokenizer = _padding_tokenizer(tried.encoder.inner)
    if tokenizer is None:
        return Row(what=what, why_not="this encoder pads by itself, or not at all: there is no side to choose")
    with _set(tokenizer, "padding_side", "left" if tokenizer.padding_side == "right" else "right"):
        row = held.row(what, lambda: tried.make(held.own.texts, _in_batches(len(held.own.texts))))
    return replace(row, counts=False)  # a model with absolute positions may move, and is never padded so


def _padding_tokenizer(inner: Any) -> Any:
    """Return the tokenizer whose side a sentence-transformers model pads on; None for any other encoder."""
    from harness.encoders.sentence_transformer import SentenceTransformerEncoder

    if not isinstance(inner, SentenceTransformerEncoder):
        return None
    tokenizer = inner.model.tokenizer
    return tokenizer if isinstance(getattr(tokenizer, "padding_side", None), str) else None


def _threads(held: Held, tried: _Tried) -> Row:
    """Return what one thread makes of a batch against two."""
    import torch

    what = "threads 2 against 1"
    kind = KINDS.get(tried.encoder_kind)
    if str(tried.encoder.describe().get("device", "cpu")) != "cpu":
        return Row(what=what, why_not="the model is on a GPU")
    if kind is None or not issubclass(kind.entry, LoadedModel):
        return Row(what=what, why_not="it computes without torch's threads")
    before = torch.get_num_threads()
    groups = _in_batches(len(held.own.texts))
    try:
        torch.set_num_threads(1)
        one = replace(held, alone=tried.make(held.own.texts, groups))
        torch.set_num_threads(2)
        return one.row(what, lambda: tried.make(held.own.texts, groups))
    except HarnessError as error:
        return Row(what=what, tolerance=held.tolerance, failed=str(error))
    finally:
        torch.set_num_threads(before)


def _dtypes(held: Held, candidate: Candidate, own: str, seed: int) -> Iterator[Row]:
    """Yield what the same weights in other dtypes make of each text alone."""
    import torch

    for dtype in ("float32", "bfloat16", "float16"):
        if dtype == own:
            continue
        what = f"{dtype} against {own}, each alone"
        if not isinstance(candidate.spec, LoadedModel):
            yield Row(what=what, why_not=f"an entry of {candidate.kind} has no dtype")
        elif dtype == "float16" and not torch.cuda.is_available():
            yield Row(what=what, why_not="no GPU is here")
        else:
            other = replace(candidate, spec=candidate.spec.model_copy(update={"dtype": dtype}))
            yield _in_dtype(held, other, what, TOLERANCES[dtype], seed)


def _in_dtype(held: Held, other: Candidate, what: str, tolerance: Tolerance, seed: int) -> Row:
    texts = held.own.texts
    within = max((held.tolerance, tolerance), key=lambda one: one.cosine_loss)
    try:
        return held.row(
            what,
            lambda: _loaded(other, held.own, seed).make(texts, [[place] for place in range(len(texts))]),
            tolerance=within,
        )
    except RuntimeError as error:  # torch has no such operation in this dtype here
        return Row(what=what, why_not=f"torch: {next(iter(str(error).splitlines()), 'without a word')}")


def _in_batches(n: int) -> list[list[int]]:
    return [list(range(start, min(start + BATCHES[-1], n))) for start in range(0, n, BATCHES[-1])]


@contextmanager
def _set(thing: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(thing, name)
    setattr(thing, name, value)
    try:
        yield
    finally:
        setattr(thing, name, before)
