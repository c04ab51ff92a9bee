"""Files and modules that pages, docstrings and comments name are there: a move leaves no stale name behind."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from arrows import modules
from places import REPOSITORY

import grace

MODULES = modules(REPOSITORY)
FOLDERS = ("harness", "grace", "tests", "benchmarks", "suites", "docs")
FILES = {str(path.relative_to(REPOSITORY)) for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py")}
OTHERS = (
    "huggingface.py",
    "abs_encoder.py",
    "models_protocols.py",
    "search_wrappers.py",
    "model_implementations/bm25.py",
    "__init__.py",
)
"""Files of the engines, which docstrings name as what they depart from."""
NO_MODULES = ("harness.lock.json", "harness.log", "harness.egg", "harness.yaml")
PAST = ("LOG.md", "CHANGELOG.md")
"""Pages that say what was."""


def pages() -> Iterator[tuple[str, str]]:
    """Yield (place, text) of every page, and of every docstring and comment of the source."""
    for path in sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]):
        if path.name not in PAST:
            yield path.name, path.read_text(encoding="utf-8")
    for name in ("harness", "grace", "benchmarks", "suites"):
        for path in sorted((REPOSITORY / name).rglob("*.py")):
            yield str(path.relative_to(REPOSITORY)), "\n".join(_words(path))
    for path in sorted((REPOSITORY / "suites").rglob("*.yaml")):
        yield path.name, path.read_text(encoding="utf-8")


def _words(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.string.startswith('"""')):
                yield token.string


def test_every_file_that_is_named_is_there():
    """By its path, or by the end of it."""
    stale = []
    for place, text in pages():
        for name in re.findall(r"(?<![\w.*<{-])[\w/]*\w\.py\b", text):
            is_there = name.endswith(OTHERS) or any(f"/{file}".endswith(f"/{name}") for file in FILES)
            stale += [] if is_there else [f"{place}: {name}"]
    assert stale == []


def test_every_module_that_is_named_is_there():
    """And has what is named in it."""
    stale = []
    for place, text in pages():
        for name in re.findall(r"\b(?:harness|grace)(?:\.[A-Za-z_]\w*)+", text):
            if name.startswith(NO_MODULES):
                continue
            parts = name.split(".")
            if parts[0] == "grace" and f"grace.{parts[1]}" not in MODULES and not hasattr(grace, parts[1]):
                continue  # a key of the section `grace` of a training configuration
            depth = next(count for count in range(len(parts), 0, -1) if ".".join(parts[:count]) in MODULES)
            source = MODULES[".".join(parts[:depth])].read_text(encoding="utf-8")
            if depth < len(parts) and not re.search(rf"\b{parts[depth]}\b", source):
                stale.append(f"{place}: {name}")
    assert stale == []
