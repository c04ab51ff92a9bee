"""The table of engines against the backends that are there."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version

import pytest
from places import REPOSITORY

from harness.errors import HarnessError
from harness.tasks.catalogue import catalogue
from harness.tasks.engines import ENGINES, engine_for, installed_version
from harness.tasks.types import EMBEDDING_TYPES

BACKENDS = REPOSITORY / "harness" / "backends"


@pytest.mark.parametrize("engine", ENGINES.values(), ids=list(ENGINES))
def test_a_row_names_functions_that_are_there(engine) -> None:
    """Both stand in the backend's folder, in the files that its row's description names."""
    for named, file in ((engine.backend, "evaluate"), (engine.catalogue, "catalogue")):
        module, _, function = named.partition(":")
        assert module.rpartition(".")[2] == file
        assert callable(getattr(import_module(module), function))


def test_every_folder_of_backends_is_the_backend_of_a_row() -> None:
    """A folder without a row could never be reached."""
    folders = {path.parent.name for path in BACKENDS.glob("*/evaluate.py")}
    assert folders == {engine.backend.split(".")[2] for engine in ENGINES.values()}


def test_versions_are_those_of_the_installed_engines() -> None:
    """The catalogue was made from some release of each; which one is installed is asked of pip's metadata."""
    assert set(catalogue().engines) == set(ENGINES)
    for name in ENGINES:
        assert installed_version(name) == version(name)


def test_scoring_versions_are_raised_on_purpose_alone() -> None:
    """They are part of every key: a change asks for every cell to be scored again."""
    assert {name: engine.scoring_version for name, engine in ENGINES.items()} == {"mteb": 2, "lm-eval": 4}


def test_every_task_of_the_catalogue_is_of_a_type_its_engine_has() -> None:
    """And every embedding type has an engine, the one that a task over own files is scored by."""
    assert all(ENGINES[task.engine].has(task.type) for task in catalogue().tasks.values())
    assert {engine_for("embedding", kind).distribution for kind in EMBEDDING_TYPES} == {"mteb"}
    assert engine_for("ability", "anything").distribution == "lm-eval"


def test_a_type_without_a_backend_is_answered_with_what_there_is() -> None:
    """The message names the type and the types of each engine of the axis."""
    with pytest.raises(HarnessError, match=r"no backend for embedding tasks of type 'Bitext'; mteb has Retrieval, "):
        engine_for("embedding", "Bitext")
