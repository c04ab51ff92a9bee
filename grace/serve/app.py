"""The web application: routes, and who counts what; the model is behind the worker's queue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from grace.serve.admission import Admission, body_of, check_token
from grace.serve.answer import Embedded, as_json
from grace.serve.answer import body_of as answer_of
from grace.serve.asked import Asked, parse
from grace.serve.metrics import Metrics
from grace.serve.refusal import Refusal, later
from grace.serve.sending import Ending, Sending, left
from grace.serve.settings import Settings
from grace.serve.waiting import Job, Waiting
from grace.serve.worker import Model, Worker
from harness.wording import listing

CLIENT_LEFT = 499
"""As nginx calls a request whose client left; nobody reads it, metrics count it."""


class Service:
    """What the routes share: the queue, the worker behind it, and the counts."""

    def __init__(self, settings: Settings, worker: Worker, waiting: Waiting, about: Callable[[Model], Any]) -> None:
        """Listen to the worker.

        Args:
            settings: names, token, limits.
            worker: which takes from `waiting`; begun or not.
            waiting: the queue.
            about: what `/v1/models` says of a model beside its name.
        """
        self.settings, self._worker, self._waiting, self._about = settings, worker, waiting, about
        self._admission = Admission(settings.limits)
        self.metrics = Metrics(lambda: len(waiting), lambda: self._admission.under_way)
        self.unanswered = 0
        """Requests that the end of the server came before."""
        self._created = int(time.time())
        worker.observer = self

    def batch(self, requests: int, texts: int) -> None:
        """Count a batch; called in the worker's thread."""
        self.metrics.batches.inc()
        self.metrics.batch_requests.observe(requests)
        self.metrics.batch_texts.observe(texts)

    def health(self) -> tuple[int, dict[str, Any]]:
        """Return the status and the body of `/health`: well once the model has embedded a text, and while it does."""
        if self._worker.model is None:
            return 503, {"status": "loading"}
        if self._worker.fault is not None:
            return 503, {"status": "failing", "error": self._worker.fault}
        return 200, {"status": "ok"}

    def models(self) -> list[dict[str, Any]]:
        """Return what `/v1/models` lists: one model under each of its names, once it is loaded."""
        model = self._worker.model
        if model is None:
            return []
        own = {"object": "model", "created": self._created, "owned_by": "grace", "dimension": model.dimension}
        about = {"rationales": model.has_rationales, "normalised": self.settings.is_normalised, **self._about(model)}
        return [{"id": name, **own, **about} for name in self.settings.names]

    async def embeddings(self, request: Request) -> Response:
        """Answer a request for vectors."""
        began = time.perf_counter()
        try:
            response = await self._embeddings(request, began)
        except Refusal as refusal:
            self.metrics.rejected.labels(refusal.code).inc()
            response = response_of(refusal)
        except ClientDisconnect:
            response = Response(status_code=CLIENT_LEFT)
        except asyncio.CancelledError:  # by uvicorn, at the end of the time that it gives to what is under way
            self.unanswered += 1
            response = response_of(later(503, "the server is stopping", code="stopping"))
        if not isinstance(response, Sending):
            self._note(response.status_code, began)
        return response

    def _note(self, status: int, began: float) -> None:
        """Count a request that has ended."""
        if status == CLIENT_LEFT:
            self.metrics.left.inc()
        self.metrics.requests.labels(str(status)).inc()
        self.metrics.seconds.observe(time.perf_counter() - began)

    async def _embeddings(self, request: Request, began: float) -> Response:
        """Return the vectors, on their way: such a request is under way until they are sent."""
        check_token(self.settings.token, request.headers.get("authorization"))
        with ExitStack() as under_way:
            under_way.enter_context(self._admission.admitted())
            asked = parse(await body_of(request, self.settings.limits), self.settings.limits)
            self._check(asked)
            embedded = await self._embedded(asked, request)
            if embedded is None:
                return Response(status_code=CLIENT_LEFT)
            self._count(asked, embedded)
            name, is_normalised = self.settings.names[0], self.settings.is_normalised
            body = await asyncio.to_thread(answer_of, asked, embedded, model=name, is_normalised=is_normalised)
            until_sent = under_way.pop_all()

            def ended(how: Ending) -> None:
                until_sent.close()
                self.unanswered += how == "stopped"
                self._note(200 if how == "sent" else CLIENT_LEFT if how == "left" else 503, began)

            headers = {"X-Texts-Cut": str(embedded.cut_count)}
            return Sending(body, headers=headers, seconds=self.settings.limits.answer_seconds, ended=ended)

    def _check(self, asked: Asked) -> None:
        """Raise a Refusal for what this model cannot do."""
        model, names = self._worker.model, self.settings.names
        if model is None:
            raise later(503, "the model is still loading; GET /health says when it is there", code="loading")
        if asked.model not in names:
            said = f"model: no {asked.model[:100]!r} here; this server has {listing(names)}"
            raise Refusal(404, said, code="model_not_found", param="model")
        if asked.dimensions is not None and asked.dimensions > model.dimension:
            said = f"dimensions: {asked.dimensions}, and the model's vectors have {model.dimension}"
            raise Refusal(400, said, code="invalid_request", param="dimensions")
        if asked.with_rationales and not model.has_rationales:
            said = "encoding: rationale: this model writes no rationales; leave `encoding` out"
            raise Refusal(400, said, code="invalid_request", param="encoding")

    async def _embedded(self, asked: Asked, request: Request) -> Embedded | None:
        """Wait for a request's vectors; None where its client left first, and the model is not asked for it."""
        job = Job(asked=asked, role=asked.role or self.settings.role)
        self._waiting.put(job)
        answer = asyncio.wrap_future(job.answer)
        gone = asyncio.ensure_future(left(request.receive))
        either: list[asyncio.Future[Any]] = [answer, gone]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            return answer.result() if answer.done() else None
        finally:
            answer.cancel()
            gone.cancel()

    def _count(self, asked: Asked, embedded: Embedded) -> None:
        self.metrics.texts.inc(len(asked.texts))
        self.metrics.cut.inc(embedded.cut_count)
        self.metrics.tokens.labels("read").inc(embedded.prompt_tokens)
        self.metrics.tokens.labels("written").inc(embedded.written_tokens)


def application(service: Service) -> FastAPI:
    """Return the application: three routes of OpenAI's API, `/health` and `/metrics`; no CORS, no pages."""

    def with_token(request: Request) -> None:
        check_token(service.settings.token, request.headers.get("authorization"))

    app = FastAPI(title="grace serve", docs_url=None, redoc_url=None, openapi_url=None)

    async def models() -> Response:
        return _json({"object": "list", "data": service.models()})

    async def model(name: str) -> Response:
        found = next((one for one in service.models() if one["id"] == name), None)
        if found is None:
            names = listing(service.settings.names)
            raise Refusal(404, f"no model {name[:100]!r} here; this server has {names}", code="model_not_found")
        return _json(found)

    async def health() -> Response:
        status, body = service.health()
        return _json(body, status=status)

    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    guarded = [Depends(with_token)]
    app.add_api_route("/v1/embeddings", service.embeddings, methods=["POST"])
    app.add_api_route("/v1/models", models, dependencies=guarded)
    app.add_api_route("/v1/models/{name:path}", model, dependencies=guarded)
    app.add_api_route("/health", health)
    app.add_api_route("/metrics", metrics, dependencies=guarded)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(Exception, _broke)
    return app


async def _refused(_request: Request, refusal: Refusal) -> Response:
    return response_of(refusal)


async def _no_route(request: Request, error: HTTPException) -> Response:
    said = f"{request.method} {request.url.path[:100]}: {error.detail}; POST /v1/embeddings is what there is"
    return response_of(Refusal(error.status_code, said, code="no_such_route", headers=error.headers))


async def _broke(_request: Request, error: Exception) -> Response:
    said = f"the server failed ({type(error).__name__}); its log says more"
    return response_of(Refusal(500, said, code="server_failed"))


def response_of(refusal: Refusal) -> Response:
    """Return a refusal as an answer."""
    return _json(refusal.body(), status=refusal.status, headers=refusal.headers)


def _json(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(as_json(value), status_code=status, media_type="application/json", headers=headers)
