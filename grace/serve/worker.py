"""The one thread that owns the model: it puts the texts of waiting requests together, and gives each request its own.

A batch that fails is tried again request by request, so that a text the model cannot embed fails its own request alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from grace.serve.answer import Embedded
from grace.serve.refusal import Refusal
from grace.serve.settings import Settings
from grace.serve.waiting import Job, Waiting
from harness.encoders.base import FittedEncoder
from harness.encoders.checked import CheckedEncoder
from harness.encoders.lengths import lengths, tells_lengths
from harness.encoders.rationale.with_texts import Encoded, encode_with_rationales, writes
from harness.errors import HarnessError, InputError

logger = logging.getLogger(__name__)

PROBE_TEXT = "The quick brown fox jumps over the lazy dog."
"""Embedded before the server says that it is ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model in memory that has embedded a text."""

    encoder: CheckedEncoder
    """What embeds."""
    dimension: int
    """Values of a vector."""
    has_rationales: bool
    """Whether it writes about each text."""
    counts_each: bool
    """Whether each text's length is known; else a request is a batch of its own, and the encoder's counters tell."""


class Observer(Protocol):
    """Who counts what the worker does."""

    def batch(self, requests: int, texts: int) -> None:
        """Hear of a batch that was embedded."""


def open_model(load: Callable[[], CheckedEncoder], settings: Settings) -> Model:
    """Load a model, embed a first text, and refuse what cannot be served.

    Raises:
        InputError: a text's vector would depend on other texts, or `refuses_long` asks for what the encoder cannot say.
        HarnessError: as loading and encoding raise.
    """
    encoder = load()
    if isinstance(encoder.inner, FittedEncoder):
        raise InputError([f"{encoder.name} is fitted to the texts of a task, and a server has none; serve another"])
    counts_each = tells_lengths(encoder)
    if settings.refuses_long and not counts_each:
        raise InputError([f"--refuse-long: {encoder.name} does not say which texts it cuts; leave it out"])
    encoder.check_role(settings.role)
    first = encode_with_rationales(encoder, [PROBE_TEXT], role=settings.role, prompt=settings.prompt)
    encoder.take_counters()
    return Model(
        encoder=encoder,
        dimension=int(first.vectors.shape[1]),
        has_rationales=writes(encoder),
        counts_each=counts_each,
    )


class Worker:
    """Loads the model in its thread, and embeds there until it is told to stop."""

    def __init__(self, load: Callable[[], CheckedEncoder], settings: Settings, waiting: Waiting) -> None:
        """Begin nothing yet.

        Args:
            load: returns the encoder; called in the thread.
            settings: prompt, role, what becomes of long texts.
            waiting: where requests come from.
        """
        self._load, self._settings, self._waiting = load, settings, waiting
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self.observer: Observer | None = None
        """Who hears of batches."""
        self.on_ready: Callable[[], None] = lambda: None
        """Called in the thread once the model is there."""
        self.on_failure: Callable[[], None] = lambda: None
        """Called in the thread where the model could not be loaded."""
        self.model: Model | None = None
        """None until it has embedded a first text."""
        self.failure: BaseException | None = None
        """Why there is no model, and never will be."""
        self.fault: str | None = None
        """What goes wrong in the model's code whatever the text is, as of the last failure; None while it works."""

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Embed what waits, for so long at most; return whether the thread has ended."""
        self._waiting.close()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.model = open_model(self._load, self._settings)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever runs the server
            self.failure = error
            self.on_failure()
            return
        self.on_ready()
        while (job := self._waiting.first()) is not None:
            batch = self._with_others(self.model, job)
            if batch:
                self._embed(self.model, batch)

    def _with_others(self, model: Model, first: Job) -> list[Job]:
        """Return a batch: the first request and those that come within its window and the budget of tokens."""
        if not self._is_counted(model, first):
            return []
        if first.tokens is None:
            return [first]
        batch, tokens = [first], sum(first.tokens)
        until = time.monotonic() + self._settings.limits.window_seconds
        while tokens < self._settings.limits.batch_tokens:
            job = self._waiting.like(first, until=until)
            if job is None:
                break
            if not self._is_counted(model, job):
                continue
            own = sum(job.tokens or ())
            if tokens + own > self._settings.limits.batch_tokens:
                self._waiting.put_back(job)
                break
            batch.append(job)
            tokens += own
        return batch

    def _is_counted(self, model: Model, job: Job) -> bool:
        """Count a request's tokens; return False for one that is answered already, or whose client has left."""
        if job.answer.done():
            return False
        if job.tokens is not None or not model.counts_each:
            return True
        try:
            found = lengths(model.encoder, job.asked.texts, role=job.role, prompt=self._settings.prompt)
        except Exception as error:  # noqa: BLE001 - a text that a tokenizer stumbles over fails its own request
            _refuse(job, self._refusal(error))
            return False
        if found is None:
            return True
        job.tokens, job.cut = found
        if self._settings.refuses_long and any(found.cut):
            _refuse(job, _too_long(found.cut))
            return False
        return True

    def _embed(self, model: Model, batch: list[Job]) -> None:
        """Embed a batch; where that fails, each request alone."""
        batch = [job for job in batch if job.answer.set_running_or_notify_cancel()]
        if not batch:
            return
        try:
            self._answer(model, batch)
        except Exception as error:  # noqa: BLE001 - the server goes on, and the request learns of it
            if len(batch) == 1:
                batch[0].answer.set_exception(self._refusal(error))
                return
            logger.warning("a batch of %d requests failed (%s); each is tried alone", len(batch), error)
            for job in batch:
                self._alone(model, job)

    def _alone(self, model: Model, job: Job) -> None:
        try:
            self._answer(model, [job])
        except Exception as error:  # noqa: BLE001 - as above
            job.answer.set_exception(self._refusal(error))

    def _answer(self, model: Model, batch: list[Job]) -> None:
        """Embed requests of one role together and give each its own."""
        texts = [text for job in batch for text in job.asked.texts]
        role = batch[0].role
        model.encoder.check_role(role)
        model.encoder.take_counters()
        encoded = encode_with_rationales(model.encoder, texts, role=role, prompt=self._settings.prompt)
        counts = model.encoder.take_counters()
        self.fault = None
        if self.observer is not None:
            self.observer.batch(len(batch), len(texts))
        start = 0
        for job in batch:
            end = start + len(job.asked.texts)
            job.answer.set_result(_part(encoded, slice(start, end), job, counts))
            start = end

    def _refusal(self, error: Exception) -> Refusal:
        """Return what a request learns of an error: ours as they are, of bugs no more than their type."""
        if isinstance(error, Refusal):
            return error
        if isinstance(error, HarnessError):
            return Refusal(422, str(error), code="cannot_embed", param="input")
        logger.error("the model failed", exc_info=error)
        self.fault = self._fault()
        name = type(error).__name__
        return Refusal(500, f"the model failed ({name}); the server's log says more", code="model_failed")

    def _fault(self) -> str | None:
        """Return what is wrong with the model, by a text that it was never asked for and that is in no cache."""
        assert self.model is not None  # noqa: S101 - it has failed
        text, settings = f"{PROBE_TEXT} {time.time_ns()}", self._settings
        try:
            encode_with_rationales(self.model.encoder, [text], role=settings.role, prompt=settings.prompt)
        except Exception as error:  # noqa: BLE001 - that is the answer
            return type(error).__name__
        return None


def _refuse(job: Job, refusal: Refusal) -> None:
    if job.answer.set_running_or_notify_cancel():
        job.answer.set_exception(refusal)


def _part(encoded: Encoded, place: slice, job: Job, counts: dict[str, float]) -> Embedded:
    """Return what one request gets of a batch."""
    written = encoded.written
    return Embedded(
        vectors=encoded.vectors[place],
        rationales=None if encoded.rationales is None else encoded.rationales[place],
        rationales_cut=None if encoded.cut is None else encoded.cut[place],
        cut=job.cut,
        cut_count=int(counts["truncated_texts"]) if job.cut is None else sum(job.cut),
        prompt_tokens=int(counts["tokens"]) if job.tokens is None else sum(job.tokens),
        written_tokens=0 if written is None else sum(written[place]),
    )


def _too_long(cut: list[bool]) -> Refusal:
    places = [place for place, is_cut in enumerate(cut) if is_cut]
    others = f" and {len(places) - 1} more" if len(places) > 1 else ""
    said = f"input[{places[0]}]{others}: longer than the model's window, and this server refuses such texts; cut it up"
    return Refusal(400, said, code="context_length_exceeded", param="input")
