"""Which file imports which, read from the source: imports inside functions and under TYPE_CHECKING count alike.

`python tests/support/arrows.py` prints the figures of the layout: rooms, circles, chains, sizes.
"""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

PACKAGES = ("harness", "grace")
Arrows = Mapping[str, frozenset[str]]
"""Module -> the modules of our own that it imports."""


def modules(root: Path) -> dict[str, Path]:
    """Return every module of both packages below `root`, by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def arrows(root: Path) -> Arrows:
    """Return what every module imports of our own, at any depth; LookupError over one that is not there."""
    known = modules(root)
    return {name: frozenset(imported(name, path, known)) for name, path in known.items()}


def imported(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """Yield what the file of module `name` imports of the `known` modules, at any depth."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            wanted = [f"{node.module}.{one.name}" for one in node.names]
        elif isinstance(node, ast.Import):
            wanted = [one.name for one in node.names]
        else:
            continue
        for one in wanted:
            if one.split(".")[0] not in PACKAGES:
                continue
            target = one if one in known else one.rpartition(".")[0]
            if target not in known:
                raise LookupError(f"{path}:{node.lineno} imports {one}, which is not there")
            if target != name:
                yield target


def circles(graph: Arrows) -> list[tuple[str, ...]]:
    """Return every set of modules that reach each other (Tarjan 1972), each sorted."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[tuple[str, ...]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in index:
                visit(other)
            if other in stack:
                low[module] = min(low[module], low[other])
        if low[module] == index[module]:
            place = stack.index(module)
            together = tuple(sorted(stack[place:]))
            del stack[place:]
            if len(together) > 1:
                found.append(together)

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return found


def longest_chain(graph: Arrows, package: str) -> list[str]:
    """Return the longest chain of imports that begins in `package`, in a graph without circles."""

    @cache
    def chain(module: str) -> tuple[str, ...]:
        below = [chain(other) for other in sorted(graph[module])]
        return (module, *max(below, key=len, default=()))

    return list(max((chain(module) for module in graph if module.split(".")[0] == package), key=len))


def room_of(module: str) -> str:
    """Return the room (or the file at the top) a module stands in; "" for the package's own file."""
    return module.split(".")[1] if "." in module else ""


def main() -> None:
    """Print the figures."""
    root = Path(__file__).resolve().parents[2]
    graph = arrows(root)
    print(f"circles: {len(circles(graph))}")
    for package in PACKAGES:
        top = sorted({room_of(name) for name in graph if name.startswith(f"{package}.")})
        rooms = [name for name in top if (root / package / name).is_dir()]
        print(f"{package}: {len(top) - len(rooms)} files and {len(rooms)} rooms at the top: {', '.join(top)}")
        if not circles(graph):
            print(f"{package}: longest chain {len(longest_chain(graph, package))} files")
        paths = [path for name, path in modules(root).items() if name.split(".")[0] == package]
        lengths = [text.count("\n") for path in paths if (text := path.read_text(encoding="utf-8")).count("\n") > 2]
        print(f"{package}: lines of {len(lengths)} modules: {_spread(lengths)}")
        trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
        nodes = [node for tree in trees for node in ast.walk(tree)]
        functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        bodies = [int(node.end_lineno or 0) - node.lineno + 1 for node in functions]
        print(f"{package}: lines of {len(bodies)} functions: {_spread(bodies)}")


def _spread(values: list[int]) -> str:
    ninth = statistics.quantiles(values, n=10)[8]
    return f"median {statistics.median(values):g}, p90 {ninth:g}, longest {max(values)}"


if __name__ == "__main__":
    main()
