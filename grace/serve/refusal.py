"""Why a request gets no vectors, in the shape that clients of OpenAI's API read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RETRY_SECONDS = 1
"""What `Retry-After` says where another try may be answered."""


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault of ours
    """An answer other than vectors."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keep what is answered.

        Args:
            status: of HTTP.
            message: what is wrong, the value, the choices, the next step.
            code: one word for programs; metrics count refusals by it.
            param: the field of the request that is meant.
            headers: of the answer.
        """
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.headers = dict(headers or {})

    @property
    def kind(self) -> str:
        """The `type` of OpenAI's errors."""
        if self.status == 429:
            return "rate_limit_error"
        return "server_error" if self.status >= 500 else "invalid_request_error"

    def body(self) -> dict[str, Any]:
        """Return the answer's JSON."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


def later(status: int, message: str, *, code: str) -> Refusal:
    """Return a refusal of what may be answered at another try."""
    return Refusal(status, message, code=code, headers={"Retry-After": str(RETRY_SECONDS)})
