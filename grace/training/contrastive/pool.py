"""Rationales that are written before the steps that read them: K a text, by the base once or by the model now and then.

A step draws one of a text's K by a hash of (seed, step, text), so that whichever process has the text, whenever it is
resumed, draws the same. What is written stands in the run's directory (grace/run/parts.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from grace.config.schema import TrainConfig
from grace.run.directory import RATIONALES
from grace.run.parts import Cost, Work, fill
from grace.run.session import Session
from grace.run.trainable import Trainable
from grace.training.contrastive.batch import TextBatch, visited_texts
from grace.training.contrastive.writing import Prepared, Writing, rationale_facts
from harness.environment import versions

MADE_WITH = ("torch", "transformers", "tokenizers", "peft")
"""Packages whose version can change what is written."""


class PoolInputs:
    """Text, header, and one of the rationales that a pool has of the text."""

    def __init__(self, config: TrainConfig, trained: Trainable) -> None:
        """Write nothing yet; raises as `Writing`."""
        assert config.rationale.pool is not None  # noqa: S101 - asked by whoever makes one
        self._config = config
        self._writing = Writing(config, trained)
        self.prefix, self.counters = self._writing.template.prefix, self._writing.counters
        self._size = config.rationale.pool
        self._refresh = config.rationale.refresh_steps
        self._rows: dict[str, list[dict[str, Any]]] | None = None
        self._generation = 0
        self._writer = ""
        self._restored: dict[str, Any] = {}
        self._facts: dict[str, float] = {}

    def prepare(self, session: Session, step: int, stops: Callable[[Cost], bool]) -> Prepared:
        """Write the pool, or write it anew where `step` is one that begins with that; what is on the disk is read.

        Args:
            session: whose data and directory it is.
            step: 0-based.
            stops: asked before each part.

        Raises:
            InputError: a resumed run needs a pool of weights that have moved on, and it is not there as it was written.
        """
        generation = step // self._refresh if self._refresh else 0
        if self._rows is not None and generation == self._generation:
            return Prepared()
        has_begun = self._restored.get("generation") == generation
        is_own = self._config.rationale.writer == "self"
        writer = (self._restored["writer"] if has_begun else self._writing.trained.digest()) if is_own else "base"
        work = self._work(generation, writer, is_lost=has_begun and is_own)
        first = generation * (self._refresh or 0)
        # A pool of weights that move on is whole, whatever a resumed run says of its steps.
        end = first + self._refresh if self._refresh else self._config.steps
        texts = visited_texts(session.data, self._config, first=first, end=end)
        if not has_begun:
            session.progress.say(f"{self._size} rationale(s) for each of {len(texts)} texts: {_by(writer)}")
        filled = fill(session, work, texts, stops=stops)
        if not filled.is_whole:
            return Prepared(filled.cost, is_whole=False)
        self._rows = {text: row["rationales"] for text, row in filled.rows.items()}
        self._generation, self._writer, self._restored = generation, writer, {}
        counted = filled.made if has_begun else self._rows  # the checkpoint has counted the rest
        tokens = sum(len(one["ids"]) for text in counted for one in self._rows[text])
        return Prepared(filled.cost_made if has_begun else filled.cost, tokens)

    def of_batch(self, batch: TextBatch) -> list[list[int]]:
        """Return each text with the rationale that the step draws for it."""
        assert self._rows is not None  # noqa: S101 - `prepare` comes first
        ids = self._writing.ids(batch.texts)
        drawn = [
            self._rows[text][drawn_number(self._config.seed, batch.step, text, self._size)] for text in batch.texts
        ]
        self._facts = rationale_facts(ids, [len(one["ids"]) for one in drawn], sum(one["cut"] for one in drawn))
        return [self._writing.row(own, one["ids"]) for own, one in zip(ids, drawn, strict=True)]

    def facts(self) -> dict[str, float]:
        """Return mean lengths, and the share of the drawn rationales that the limit ended."""
        return self._facts

    def state(self) -> dict[str, Any]:
        """Return which pool is in use, and the digest of the weights that wrote it."""
        return {"generation": self._generation, "writer": self._writer} if self._rows is not None else {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take the pool that was in use."""
        self._restored = state

    def _work(self, generation: int, writer: str, *, is_lost: bool) -> Work:
        config, writing = self._config, self._writing
        numbers = range(generation * self._size, (generation + 1) * self._size)
        made_from = {
            "writer": writer,
            "base": dict(writing.trained.weights.identity or {}),
            "dtype": writing.trained.dtype,
            "forward": writing.trained.writing,
            "template": writing.template.sha256,
            "max_text_tokens": writing.most,
            "max_new_tokens": writing.max_new_tokens,
            "temperature": config.rationale.temperature,
            "seed": config.seed,
            "rollouts": [numbers.start, numbers.stop],
            "versions": {name: versions()[name] for name in MADE_WITH},
        }

        def make(texts: Sequence[str]) -> list[dict[str, Any]]:
            with self._model(writer) as model:
                prompted = writing.prompted(model)
                wanted = [(text, number) for text in texts for number in numbers]
                found = writing.write(
                    prompted,
                    [text for text, _ in wanted],
                    [number for _, number in wanted],
                    temperature=config.rationale.temperature,
                )
            decode = writing.trained.tokenizer.decode
            rows = [{"text": decode(one.ids), "ids": one.ids, "cut": one.is_truncated} for one in found]
            return [{"rationales": rows[at : at + len(numbers)]} for at in range(0, len(rows), len(numbers))]

        what = f"rationales by {_by(writer)}"
        # What a model's own weights wrote in the middle of its training is nobody else's.
        is_shared = writer == "base"
        make_or_not = None if is_lost else make
        return Work(folder=RATIONALES, what=what, made_from=made_from, make=make_or_not, is_shared=is_shared)

    def _model(self, writer: str) -> AbstractContextManager[Any]:
        trained = self._writing.trained
        return trained.base() if writer == "base" else nullcontext(trained.model)


def drawn_number(seed: int, step: int, text: str, size: int) -> int:
    """Return which of a text's `size` rationales a step draws, 0-based: a hash of (seed, step, text)."""
    name = f"{seed}\0{step}\0{text}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") % size


def _by(writer: str) -> str:
    return "the base" if writer == "base" else f"the model with weights {writer[:12]}"
