"""`dimensions` and `precision` of a model entry: one entry, a model for each size of its vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

from harness.suite.model_entries import EncoderOptions, ModelSpec
from harness.suite.size import Precision, Size


def sizes_of(name: str, dimensions: Sequence[int], precisions: Sequence[Precision]) -> list[Size]:
    """Return every size that an entry names, the whole vector first; empty where it names none.

    Args:
        name: of the entry.
        dimensions: as it says; none: all dimensions.
        precisions: as it says; none: float32.
    """
    if not dimensions and not precisions:
        return []
    every = product(dimensions or (None,), precisions or ("float32",))
    named = [Size(of=name, dimension=dimension, precision=precision) for dimension, precision in every]
    return list(dict.fromkeys((Size(of=name), *named)))


def sized(specs: Iterable[ModelSpec]) -> list[ModelSpec]:
    """Return the entries, with one a size in the place of each that names sizes; those that are a size stay."""
    found: list[ModelSpec] = []
    for spec in specs:
        sizes = [] if spec.size else sizes_of(spec.name, spec.dimensions, spec.precision)
        found += [_of_size(spec, size) for size in sizes] or [spec]
    return found


def _of_size(spec: ModelSpec, size: Size) -> ModelSpec:
    of_size: ModelSpec = spec.model_copy(update={"name": size.name})
    assert isinstance(of_size, EncoderOptions)  # noqa: S101 - every entry is one
    of_size.take_size(size)
    return of_size
