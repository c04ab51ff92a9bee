"""Who may ask, and how much: token, kind and size of a body, requests under way; before a byte is parsed."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request

from grace.serve.refusal import Refusal, later
from grace.serve.settings import Limits


class Admission:
    """Counts requests under way; its event loop's thread alone enters and leaves."""

    def __init__(self, limits: Limits) -> None:
        """Begin with none under way."""
        self._limits = limits
        self.under_way = 0
        """Requests whose body is being read, that wait, or that are being answered."""

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Take a request in, or raise a Refusal with 429 where there are as many as may be."""
        if self.under_way >= self._limits.requests:
            said = f"{self.under_way} requests are under way, as many as this server takes; try again"
            raise later(429, said, code="server_busy")
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1


def check_token(token: str | None, header: str | None) -> None:
    """Raise a Refusal with 401 where the server has a token and the request carries another, or none.

    Takes as long for a token that is nearly right as for one that is not.

    Args:
        token: of the server.
        header: `Authorization` of the request.
    """
    if token is None:
        return
    scheme, _, given = (header or "").partition(" ")
    digests = [hashlib.sha256(one.encode("utf-8", "surrogatepass")).digest() for one in (token, given.strip())]
    if not hmac.compare_digest(*digests) or scheme.lower() != "bearer":
        said = "this server wants its token: `Authorization: Bearer TOKEN`, which is api_key of OpenAI's client"
        raise Refusal(401, said, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})


async def body_of(request: Request, limits: Limits) -> bytes:
    """Return the body of a request.

    Raises:
        Refusal: it is not called JSON (415: a page in a browser cannot ask across sites then), is too long (413), or
            does not arrive in time (408).
        ClientDisconnect: the client left.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        said = f"Content-Type: expected application/json, got {kind[:60] or 'none'!r}"
        raise Refusal(415, said, code="unsupported_media_type")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limits.body_bytes:
        raise _too_large(limits)
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for part in request.stream():
                size += len(part)
                if size > limits.body_bytes:
                    raise _too_large(limits)
                parts.append(part)
    except TimeoutError:
        said = f"the body did not arrive within {limits.body_seconds:g} s"
        raise Refusal(408, said, code="timeout", headers={"Connection": "close"}) from None
    return b"".join(parts)


def _too_large(limits: Limits) -> Refusal:
    said = f"the body is longer than {limits.body_bytes} bytes; send fewer texts a request"
    return Refusal(413, said, code="body_too_large")
