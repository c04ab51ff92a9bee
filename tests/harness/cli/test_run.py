"""`harness run`: what its flags refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from suites_support import harness, suite_file

from harness.cli.options import names_of
from harness.cli.run import part_of
from harness.errors import InputError


def test_an_unknown_executor_is_refused_with_those_there_are(tmp_path: Path) -> None:
    """A wrong flag: exit 2, no traceback, nothing run."""
    suite_file(tmp_path, "models: [{name: floor, encoder: tf-idf}]\ntasks: {embedding: {names: [STS12]}}\n")
    done = harness("run", "mine.yaml", "--offline", "--executor", "slurm", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "--executor 'slurm': no such executor; there are: local, ray\n")
    assert not (tmp_path / "results" / "cells").exists()


def test_names_are_told_apart_as_tables_write_them() -> None:
    """A task's name may hold commas between brackets."""
    assert names_of(" STS17[en-en,es-en], BIOSSES,,") == ("STS17[en-en,es-en]", "BIOSSES")
    assert names_of("") == ()


def test_shares_are_counted_from_one() -> None:
    """All of eight, and all there is as one; without the flag there are none."""
    assert [part_of(f"{number}/8") for number in range(1, 9)] == [(number, 8) for number in range(1, 9)]
    assert (part_of("1/1"), part_of(" 2/3 "), part_of(None)) == ((1, 1), (2, 3), None)


@pytest.mark.parametrize("shard", ["0/8", "9/8", "x", "1", "1/0", "0/0", "-1/8", "1/8/2", "1.5/8", "", "a/b"])
def test_what_is_no_share_is_refused(shard: str) -> None:
    """With what was typed and what is expected; who counts from 0 is told what the first is called."""
    with pytest.raises(InputError) as caught:
        part_of(shard)
    (said,) = caught.value.problems
    assert said.startswith(f"--shard {shard!r}: expected i/n with i from 1 to n, such as 1/8 for the first of eight")
    assert said.endswith("; counted from 1, the first is 1/8") == (shard == "0/8")


def test_a_share_that_is_none_ends_with_2_before_anything_is_run(tmp_path: Path) -> None:
    """No traceback, no cell."""
    suite_file(tmp_path, "models: [{name: floor, encoder: tf-idf}]\ntasks: {embedding: {names: [STS12]}}\n")
    done = harness("run", "mine.yaml", "--offline", "--shard", "9/8", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("--shard '9/8': expected i/n")
    assert not (tmp_path / "results" / "cells").exists()
