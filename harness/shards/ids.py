"""What a shard is known by: the digests of its texts, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

DIGEST_BYTES = 16


def digest_of(text: str) -> bytes:
    """Return what a text, any Unicode, is known by among those of a shard."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


def ids_of(digests: Sequence[bytes]) -> str:
    """Return the sha256 over the digests of a shard's texts."""
    return hashlib.sha256(b"".join(digests)).hexdigest()
