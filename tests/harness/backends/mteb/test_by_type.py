"""Every file of `backends/mteb/types` has the same functions, and every row of the table names one of the files."""

from __future__ import annotations

import inspect

import pytest
from places import REPOSITORY

from harness.backends.mteb.by_type import ShownTypeFile, TypeFile, file_of, shown_file_of
from harness.tasks.types import EMBEDDING_TYPES


def functions_of(protocol: type) -> dict[str, list[str]]:
    """Return name -> names of arguments of what a protocol itself lists."""
    return {
        name: list(inspect.signature(function).parameters)[1:]
        for name, function in vars(protocol).items()
        if inspect.isfunction(function) and not name.startswith("_")
    }


@pytest.mark.parametrize("kind", EMBEDDING_TYPES)
def test_a_types_file_has_the_functions_of_all(kind: str) -> None:
    """With the same arguments in the same order, since they are called alike."""
    file = file_of(kind)
    for name, arguments in functions_of(TypeFile).items():
        assert list(inspect.signature(getattr(file, name)).parameters) == arguments, (kind, name)


@pytest.mark.parametrize("kind", EMBEDDING_TYPES)
def test_a_type_whose_items_are_judged_has_examples(kind: str) -> None:
    """Others have none that could be shown."""
    shown = shown_file_of(kind)
    assert (shown is not None) == hasattr(file_of(kind), "examples")
    if shown is not None:
        for name, arguments in functions_of(ShownTypeFile).items():
            assert list(inspect.signature(getattr(shown, name)).parameters) == arguments, (kind, name)
        assert len(shown.SHOWN) == 2


def test_every_file_of_the_folder_is_named_by_a_row() -> None:
    """None lies there unused."""
    folder = REPOSITORY / "harness" / "backends" / "mteb" / "types"
    there = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert there == {row.file for row in EMBEDDING_TYPES.values()}
