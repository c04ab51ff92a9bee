"""The table in docs/ability.md says what the shipped suite and the catalogue say."""

from __future__ import annotations

import re

import pytest
from places import REPOSITORY

from harness.tasks.catalogue import catalogue

PAGE = REPOSITORY / "docs" / "ability.md"
ROWS = {row[0]: row for row in re.findall(r"^\| `(\w+)` \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)}


@pytest.mark.parametrize("name", ROWS)
def test_row_has_the_numbers_of_the_suite(name: str) -> None:
    """Items, shots, tokens and stop strings, where the shipped suite names the task; else the catalogue's."""
    from harness.suite.load import load_suite

    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", ROWS[name][1])]
    info = catalogue().tasks[name]
    written = {entry.name: entry for entry in load_suite("ability").suite.tasks.ability}
    said = written[name].model_dump(exclude_none=True) if name in written else (info.ability or {})["defaults"]
    items = sum(counts.items for split in info.counts.values() for counts in split.values())
    assert re.search(r"[\d,]+", cells[0])[0] == f"{items:,}"  # type: ignore[index]
    assert cells[2].split(",")[0] == str(said["num_fewshot"])
    assert cells[5] == str(said.get("max_gen_toks", "-"))


def test_every_task_of_the_catalogue_that_can_run_has_a_row() -> None:
    """FEVER is described where it is defined."""
    assert set(ROWS) == {name for name in catalogue().of_axis("ability") if not name.startswith("fever")}
