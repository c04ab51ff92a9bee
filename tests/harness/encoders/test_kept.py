"""What is kept of texts is used in place of making it again, and nothing else is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.encoders.base import CausalLM, Counters, Vectors
from harness.encoders.cache import ContentCache, Entry
from harness.encoders.checked import CheckedEncoder
from harness.encoders.kept import KeptEntries, KeptVectors, Recorded, text_key
from harness.errors import EncoderOutputError
from harness.shards.files import ShardFiles
from harness.shards.index import as_keys
from harness.suite.fields import Similarity
from harness.tasks.types import Role


class Lengths:
    """Encodes a text as its length, its role and its prompt; remembers what it was asked."""

    similarity: Similarity = "cosine"
    own_prompts: Mapping[str, str] = {}

    def __init__(self, scale: float = 1.0) -> None:
        self.counters = Counters()
        self.asked: list[str] = []
        self.scale = scale

    def encode(self, texts: Sequence[str], *, role: Role | None, prompt: str | None) -> Vectors:
        """Return (n, 3)."""
        self.asked += texts
        rows = [[self.scale * (1 + len(text)), role == "query", len(prompt or "")] for text in texts]
        return np.array(rows, dtype=np.float32).reshape(-1, 3)

    def causal_lm(self) -> CausalLM | None:
        """None."""
        return None

    def describe(self) -> dict[str, Any]:
        """Nothing."""
        return {}


def kept_of(folder: Path, texts: Sequence[str], role: Role | None, prompt: str | None, vectors: Vectors) -> KeptVectors:
    """Return a shard of these vectors, by way of its file."""
    files = ShardFiles(folder)
    files.put({}, "ids", arrays={"keys": as_keys([text_key(one, role, prompt) for one in texts]), "vectors": vectors})
    stored = files.get({}, "ids")
    assert stored is not None
    kept = KeptVectors()
    kept.add(stored)
    return kept


def test_what_is_kept_is_not_made_again_and_order_is_that_of_the_texts(tmp_path: Path) -> None:
    """Of five texts two are kept, under vectors that tell them apart from made ones."""
    kept = kept_of(tmp_path, ["bb", "dddd"], None, None, np.array([[2, 2, 2], [4, 4, 4]], np.float32))
    encoder = CheckedEncoder(inner := Lengths(), name="m")
    encoder.kept = kept
    found = encoder.encode(["a", "bb", "ccc", "bb", "dddd"])
    assert found.tolist() == [[2, 0, 0], [2, 2, 2], [4, 0, 0], [2, 2, 2], [4, 4, 4]]
    assert inner.asked == ["a", "ccc"]
    assert encoder.encode(["bb"]).tolist() == [[2, 2, 2]]
    assert inner.asked == ["a", "ccc"]


@pytest.mark.parametrize(("role", "prompt"), [("query", None), (None, "p"), ("document", "")])
def test_a_vector_of_another_role_or_prompt_is_never_used(tmp_path: Path, role: Role | None, prompt: str) -> None:
    """Not even where the text is the same."""
    kept = kept_of(tmp_path, ["bb"], "document", None, np.array([[2, 2, 2]], np.float32))
    encoder = CheckedEncoder(inner := Lengths(), name="m")
    encoder.kept = kept
    encoder.encode(["bb"], role=role, prompt=prompt)
    assert inner.asked == ["bb"]


def test_half_precision_rounds_what_is_made_like_what_is_kept(tmp_path: Path) -> None:
    """One vector from a shard of float16, one made now: the same numbers."""
    encoder = CheckedEncoder(Lengths(1 / 3), name="m", store_dtype="float16")
    made = encoder.encode(["bb", "ccc"])
    assert made.dtype == np.float32
    assert made[0, 0] == np.float32(np.float16(1.0))
    assert made[1, 0] == np.float32(np.float16(4 / 3)) != np.float32(4 / 3)
    again = CheckedEncoder(Lengths(1 / 3), name="m", store_dtype="float16")
    again.kept = kept_of(tmp_path, ["ccc"], None, None, made[1:].astype(np.float16))
    assert np.array_equal(again.encode(["bb", "ccc"]), made)
    assert again.describe()["store_dtype"] == "float16"


@pytest.mark.parametrize(("scale", "said"), [(1e6, "too large"), (1e-12, "round to zero")])
def test_values_that_half_precision_cannot_hold_are_refused(scale: float, said: str) -> None:
    """With the text, before anything is scored."""
    encoder = CheckedEncoder(Lengths(scale), name="m", store_dtype="float16")
    with pytest.raises(EncoderOutputError, match=said):
        encoder.encode(["bb"])


def test_entries_of_shards_stand_before_the_cache(tmp_path: Path) -> None:
    """A rationale comes from the shard; what is in none comes from the cache, and new ones go there."""
    keys = [ContentCache.key("m", None, text) for text in ("a", "b", "c")]
    files = ShardFiles(tmp_path / "shards")
    arrays = {"keys": as_keys(keys[:1]), "vectors": np.array([[1, 1]], np.float32)}
    files.put({}, "ids", arrays=arrays, lines={"about": [{"ids": [7], "cut": False}]})
    kept = KeptVectors()
    stored = files.get({}, "ids")
    assert stored is not None
    kept.add(stored)
    cache = ContentCache(tmp_path / "cache")
    cache.put({keys[1]: Entry(np.array([2, 2], np.float32), {"ids": [8], "cut": True})})
    both = KeptEntries(kept, cache)
    first, second, third = both.get(keys)
    assert first is not None
    assert second is not None
    assert (first.about, first.vector.tolist()) == ({"ids": [7], "cut": False}, [1.0, 1.0])
    assert (second.about, third) == ({"ids": [8], "cut": True}, None)
    both.put({keys[2]: Entry(np.array([3, 3], np.float32), {})})
    assert cache.get(keys[2:])[0] is not None


def test_what_goes_into_a_shard_is_all_that_was_found_or_made(tmp_path: Path) -> None:
    """And the cache is not filled with it."""
    keys = [ContentCache.key("m", None, text) for text in ("a", "b")]
    cache = ContentCache(tmp_path)
    cache.put({keys[0]: Entry(np.array([1, 1], np.float32), {})})
    recorded = Recorded(cache)
    assert [one is None for one in recorded.get(keys)] == [False, True]
    recorded.put({keys[1]: Entry(np.array([2, 2], np.float32), {})})
    assert list(recorded.entries) == keys
    assert cache.get(keys[1:]) == [None]
