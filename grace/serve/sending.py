"""An answer on its way: in pieces, each of which goes out when the client has taken those before it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Literal

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PIECE_BYTES = 2**18
"""More of an answer than this never waits for a client in the server's memory, but for the answer itself."""
Ending = Literal["sent", "left", "stopped"]
"""The whole answer went out; the client left, or stopped reading; the server's end came first."""


class Sending(Response):  # type: ignore[misc]  # starlette is not there where types are checked
    """JSON that is under way until it is sent, and not only until it is made."""

    media_type = "application/json"

    def __init__(
        self, body: bytes, *, headers: Mapping[str, str], seconds: float, ended: Callable[[Ending], None]
    ) -> None:
        """Send nothing yet.

        Args:
            body: JSON in UTF-8.
            headers: beside type and length.
            seconds: how long the client may take for one piece.
            ended: is told once how it ended.
        """
        super().__init__(body, headers=headers)
        self._seconds, self._ended = seconds, ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces; one that is not taken in time ends the answer, and uvicorn then closes the connection."""
        del scope
        gone = asyncio.ensure_future(left(receive))
        ending: Ending = "left"
        whole = memoryview(self.body)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for start in range(0, len(whole), PIECE_BYTES):
                if gone.done():
                    return
                piece, more = bytes(whole[start : start + PIECE_BYTES]), start + PIECE_BYTES < len(whole)
                # uvicorn waits here while more than its own 64 KiB are on the way to the client
                message = {"type": "http.response.body", "body": piece, "more_body": more}
                await asyncio.wait_for(send(message), self._seconds)
            ending = "sent"
        except TimeoutError:
            return
        except asyncio.CancelledError:
            ending = "stopped"
            raise
        finally:
            gone.cancel()
            self._ended(ending)


async def left(receive: Receive) -> None:
    """Return when the client has left; its body is read already."""
    while (await receive())["type"] != "http.disconnect":
        pass
