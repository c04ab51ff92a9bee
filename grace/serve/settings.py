"""What a server is told: the names it answers to, how it embeds, and how much it takes at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Role = Literal["query", "document"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is taken; what is beyond is refused, never cut in silence."""

    requests: int = 64
    """Requests under way at a time, from the first byte of the body to the last of the answer; one more gets a 429."""
    body_bytes: int = 8 * 2**20
    """Of a request's body; a longer one is refused with 413 before it is read to its end."""
    texts: int = 2048
    """Of a request."""
    characters: int = 200_000
    """Of a text."""
    body_seconds: float = 30.0
    """How long a body may take to arrive."""
    answer_seconds: float = 30.0
    """How long a client may take for a piece of its answer; the connection is closed then."""
    batch_tokens: int = 16384
    """Tokens of texts that are embedded in one go; a request that has more is a batch of its own."""
    window_seconds: float = 0.002
    """How long a request waits for others to share its batch."""
    drain_seconds: float = 30.0
    """How long a server that was told to stop goes on answering what it has taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one model is served."""

    names: tuple[str, ...]
    """What requests may call the model; the first is the one that answers name."""
    prompt: str | None = None
    """Stands before every text; None: what the model puts there by itself."""
    role: Role | None = None
    """What texts are where a request does not say."""
    is_normalised: bool = False
    """Whether all vectors are brought to length 1; else they are as `grace encode` gives them."""
    refuses_long: bool = False
    """Whether a request with a text beyond the model's window is refused; else it is cut, and the answer says so."""
    token: str | None = field(default=None, repr=False)
    """What requests carry as `Authorization: Bearer`; None: nothing is asked for."""
    limits: Limits = Limits()
    """How much is taken at a time."""
