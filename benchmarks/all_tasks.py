"""The table of all 56 + 5 tasks, and of those that mteb v2 adds: `python benchmarks/all_tasks.py docs/all-tasks.md`.

Runs the tests that hold every task to its engine, with the slow ones, and makes the table of what they checked. A test
that fails is no row: the command then ends with its exit code and writes nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
TESTS = ("tests/harness/backends/mteb/test_all_tasks.py", "tests/harness/backends/lm_eval/test_all_parts.py")
HEAD = """\
# Every task against its engine

Made by `python benchmarks/all_tasks.py docs/all-tasks.md` from the tests in
{tests}.
CI runs all of them but those of tasks that mteb v2 alone has, which are marked slow.
The data are invented rows in the form of each task's repository at its pinned revision, so **the scores mean nothing**;
what counts is that each agrees with its engine's, that each cell has items and an interval, and that two models have a
paired difference. `hashed` is a vector of signs, `tf-idf` has {dimension} columns, `lm` is a random model.

- mteb rounds metrics of ranking tasks to five decimals (three here), and orders documents whose scores are equal but
  for rounding by their place in a matrix: the tests hold each query's own score to 1e-6, so last digits may differ.
- *first 2*: of this task mteb was asked for two of its ten draws of training texts; the tests hold our first two to it.
- lm-eval has no FEVER: it was asked through our task file. Of HumanEval prompts and answers are held to lm-eval's; its
  verdict was not asked.
"""
PARTS = ((TESTS[0], "not slow"), (TESTS[0], "slow"), (TESTS[1], "not slow"))
"""A process each, with its own cache of datasets: two versions of a repository share none."""


def main() -> int:
    """Write the table to the path that was given."""
    if len(sys.argv) != 2:
        print(f"usage: {Path(sys.argv[0]).name} FILE.md", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        for number, (path, marked) in enumerate(PARTS):
            xml = Path(folder) / f"{number}.xml"
            command = [sys.executable, "-m", "pytest", "-q", "-m", marked, "--junitxml", str(xml), path]
            if code := subprocess.call(command, cwd=ROOT):
                return code
        told = [one for path in sorted(Path(folder).glob("*.xml")) for one in told_in(path)]
    Path(sys.argv[1]).write_text(page(told), encoding="utf-8")
    return 0


def told_in(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return what the tests of a file told: (kind, figures)."""
    of_tests = ElementTree.parse(path).iter("property")  # noqa: S314 - written by pytest
    return [(one.attrib["name"], json.loads(one.attrib["value"])) for one in of_tests]


def page(told: list[tuple[str, dict[str, Any]]]) -> str:
    """Return the page: a table an axis."""
    cells: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    engines = {(one["task"], one["model"]): one for kind, one in told if kind == "engine"}
    differences = {one["task"]: one for kind, one in told if kind == "difference"}
    for kind, one in told:
        if kind == "cell":
            cells[one["task"]][one["model"]] = one
    made = [HEAD.format(tests=" and\n".join(f"`{path}`" for path in TESTS), dimension=256)]
    for axis, title in (("embedding", "mteb"), ("ability", "lm-eval")):
        names = sorted(name for name, of in cells.items() if next(iter(of.values()))["axis"] == axis)
        models = list(dict.fromkeys(model for name in names for model in cells[name]))
        made.append(f"\n## {title}: {len(names)} tasks\n\n" + table(names, models, title, cells, engines, differences))
    return "".join(made)


def table(
    names: list[str],
    models: list[str],
    engine: str,
    cells: dict[str, dict[str, dict[str, Any]]],
    engines: dict[tuple[str, str], dict[str, Any]],
    differences: dict[str, dict[str, Any]],
) -> str:
    """Return the rows of an axis."""
    head = ["task", "type", "metric", "items"]
    head += [part for model in models for part in (f"{model} [95% interval]", f"{engine}'s")]
    if len(models) == 2:
        head.append(" - ".join(models))
    lines = [head, ["---"] * len(head)]
    for name in names:
        of = cells[name]
        first = of[models[0]]
        line = [name, first["type"], first["metric"], str(first["n"])]
        for model in models:
            line += [interval(of[model]["score"], of[model]["ci_low"], of[model]["ci_high"]), its(engines[name, model])]
        if len(models) == 2:
            found = differences[name]
            line.append(interval(found["value"], found["low"], found["high"], "+"))
        lines.append(line)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def interval(value: float, low: float, high: float, sign: str = "") -> str:
    """Return a figure with its interval."""
    return f"{value:{sign}.3f} [{low:.2f}, {high:.2f}]"


def its(told: dict[str, Any]) -> str:
    """Return the engine's own figure."""
    if told["score"] is None:
        return "-"
    return f"{told['score']:.3f}" + (f" (first {told['draws']})" if told["draws"] else "")


if __name__ == "__main__":
    sys.exit(main())
