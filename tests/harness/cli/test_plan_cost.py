"""What `harness plan` says of shards, disk and devices, to people and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from suites_support import harness, write

MODELS = "{name: base, encoder: mean-pool, model: some-org/some-model}"
PACE = ("--tokens-per-second", "1000", "--generated-per-second", "100")


def plan(folder: Path, body: str, *flags: str) -> tuple[int, str, str]:
    """Return exit code and output of `harness plan` of a suite of one model."""
    suite = write(folder / "mine.yaml", f"version: 1\nname: mine\nmodels: [{MODELS}]\n{body}\n")
    done = harness("plan", suite, "--offline", *flags, cwd=folder)
    return done.returncode, done.stdout, done.stderr


def spread_lines(output: str) -> dict[int, list[str]]:
    """Return devices -> the words of the line of the table."""
    lines = output.split("  devices  ")[1].splitlines()[1:] if "  devices  " in output else []
    return {int(line.split()[0]): line.split() for line in lines if line.split()[0].isdigit()}


def test_the_plan_says_units_disk_and_the_time_on_devices(tmp_path):
    """QuoraRetrieval: 10,000 queries and 522,362 documents of 8.9 million tokens: a shard and twenty-six."""
    code, shown, _ = plan(
        tmp_path, "tasks: {embedding: {names: [QuoraRetrieval]}}", *PACE, "--dimension", "1000", "--workers", "3"
    )
    assert code == 0
    assert "units of work: about 29, among them 27 shards of 1 cell(s)" in shown
    assert "disk for the vectors of cells that are cut: 2.1 GB" in shown  # 532,362 x 1000 x 4
    assert list(spread_lines(shown)) == [1, 3, 8, 64]
    assert "base/QuoraRetrieval, one shard: 5 min" in shown
    (row,) = [line for line in shown.splitlines() if "QuoraRetrieval  " in line]
    assert row.split()[-2:] == ["27", "missing"]


def test_without_a_dimension_or_a_pace_the_plan_says_what_is_not_known(tmp_path):
    """Units are known all the same."""
    code, shown, _ = plan(tmp_path, "tasks: {embedding: {names: [QuoraRetrieval, STS12]}}")
    assert code == 0
    assert "units of work: about 30, among them 27 shards of 1 cell(s)" in shown
    assert "disk for the vectors of cells that are cut: not known: --calibrate measures or --dimension" in shown
    assert spread_lines(shown) == {}


def test_a_cell_that_is_the_floor_is_named(tmp_path):
    """Two tasks that are one unit each: eight devices take as long as the longer."""
    _, shown, _ = plan(tmp_path, "tasks: {embedding: {names: [SciFact, STS12]}}", *PACE)
    lines = {number: " ".join(words) for number, words in spread_lines(shown).items()}
    assert lines[8].endswith("base/SciFact, at once: 31 min 09 s, 99% of the time: more devices help little")
    assert lines[8][1:] == lines[64][2:]
    assert "units of work: about 2\n" in shown


def test_the_table_says_how_many_cells_are_not_in_it(tmp_path):
    """One whose lengths nobody knows, and one that writes at a pace nobody stated."""
    body = "tasks: {embedding: {names: [STS12]}, ability: [triviaqa, gsm8k]}"
    _, shown, _ = plan(tmp_path, body, "--tokens-per-second", "1000")
    assert "(nor are 2 cell(s) whose time is not known)" in shown
    _, shown, _ = plan(tmp_path, "tasks: {embedding: {names: [STS12]}}", *PACE)
    assert "whose time is not known" not in shown


def test_a_stated_load_is_paid_on_each_device(tmp_path):
    """SciFact alone: 31 minutes and a load of ten, however many devices."""
    _, shown, _ = plan(tmp_path, "tasks: {embedding: {names: [SciFact]}}", *PACE, "--load-seconds", "600")
    assert "pace of base: stated: 1000 tokens/s, 100 written/s, loaded in 600 s" in shown
    assert {number: " ".join(words[1:4]) for number, words in spread_lines(shown).items()} == dict.fromkeys(
        (1, 8, 64), "41 min 19"
    )


def test_plan_json_has_shards_of_each_cell_and_the_schedule(tmp_path):
    """Beside what it had."""
    code, shown, _ = plan(
        tmp_path, "tasks: {embedding: {names: [STS12, QuoraRetrieval]}, ability: [triviaqa]}", *PACE, "--json"
    )
    assert code == 0
    told = json.loads(shown)
    assert {cell["task"]: cell["shards"] for cell in told["cells"]} == {
        "STS12": 0,
        "QuoraRetrieval": 27,
        "triviaqa": None,
    }
    totals = told["totals"]
    assert {name: totals[name] for name in ("units", "shards", "cells_cut", "shard_bytes", "uncut_unknown")} == {
        "units": 30,
        "shards": 27,
        "cells_cut": 1,
        "shard_bytes": None,
        "uncut_unknown": 1,
    }
    one, eight, many = told["spread"]
    assert (one["devices"], eight["devices"], many["devices"]) == (1, 8, 64)
    assert one["seconds"] > eight["seconds"] > many["seconds"] > many["longest_seconds"]
    assert set(one) == {"devices", "seconds", "loads", "longest_cell", "longest_step", "longest_seconds"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--dimension", "384", "--load-seconds", "0"],
            "--dimension goes with a stated pace of reading: give --tokens-per-second, too\n"
            "--load-seconds goes with a stated pace of reading: give --tokens-per-second, too",
        ),
        (["--calibrate", *PACE], "--calibrate measures and --tokens-per-second states the pace: give one of them"),
        (["--calibrate", "--dimension", "8"], "--calibrate measures and --tokens-per-second states the pace"),
    ],
)
def test_paces_that_do_not_go_together_are_refused(tmp_path, flags, message):
    """With 2, before anything is measured."""
    code, _, said = plan(tmp_path, "tasks: {embedding: {names: [STS12]}}", *flags)
    assert code == 2
    assert message in said
