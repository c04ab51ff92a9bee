"""Content keys find the vector they belong to, and no other."""

from __future__ import annotations

import hashlib

import numpy as np

from harness.shards.index import ContentIndex, as_keys, gathered


def keys_of(*texts: str) -> list[bytes]:
    """Return content keys."""
    return [hashlib.sha256(text.encode()).digest() for text in texts]


def test_every_key_finds_its_row_over_shards() -> None:
    """In any order, repeats included; a key that is in two shards is that of the first, an unknown one is in none."""
    index = ContentIndex()
    index.add(as_keys(keys_of("a", "b", "c")))
    index.add(as_keys(keys_of("d", "b")))
    shards, rows = index.find(as_keys(keys_of("d", "b", "nowhere", "a", "d")))
    assert shards.tolist() == [1, 0, -1, 0, 1]
    assert rows[shards >= 0].tolist() == [0, 1, 0, 0]


def test_keys_that_begin_alike_are_told_apart() -> None:
    """All of the first half equal: the second half decides."""
    alike = [b"\1" * 8 + bytes([last]) * 8 for last in (9, 3, 7)]
    index = ContentIndex()
    index.add(as_keys(alike))
    shards, rows = index.find(as_keys([alike[2], alike[0], b"\1" * 8 + b"\5" * 8, b"\1" * 8 + b"\377" * 8]))
    assert shards.tolist() == [0, 0, -1, -1]
    assert rows[:2].tolist() == [2, 0]


def test_an_index_without_shards_finds_nothing() -> None:
    """And one asked for nothing finds nothing."""
    assert ContentIndex().find(as_keys(keys_of("a")))[0].tolist() == [-1]
    index = ContentIndex()
    index.add(as_keys(keys_of("a")))
    assert index.find(as_keys([]))[0].shape == (0,)


def test_many_keys_agree_with_a_dictionary() -> None:
    """Ten thousand texts in seven shards, looked up in another order."""
    texts = [f"text {n % 9_000}" for n in range(10_000)]
    index, tables, known = ContentIndex(), [], {}
    for number, part in enumerate(np.array_split(np.arange(10_000), 7)):
        index.add(as_keys(keys_of(*(texts[n] for n in part))))
        tables.append(np.stack([part, np.full(len(part), number)], axis=1).astype(np.float32))
        for n in part:
            known.setdefault(texts[n], (float(n), float(number)))
    asked = [texts[n] for n in np.random.default_rng(0).permutation(10_000)]
    found = gathered(tables, *index.find(as_keys(keys_of(*asked))))
    assert [tuple(row) for row in found.tolist()] == [known[text] for text in asked]
