"""What must be known of the user's own ability data before a score over them is believed; reads them, runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.plan.asked import AskedWith, ReadWith
from harness.plan.lm_eval_files import DATA, leaves, own_data_files, own_task
from harness.row_files import ONE_VALUE, csv_rows, json_rows
from harness.suite.task_entries import AbilityRef, FileRef, NllRef
from harness.tasks.custom.fields import MOST_PROBLEMS
from harness.tasks.custom.texts import read_texts, texts_remarks
from harness.wording import first_lines


def ability_remarks(reference: AbilityRef, settings: AskedWith | ReadWith | None) -> tuple[str, ...]:
    """Return a line for all that is to be said of the files of an entry; nothing where they are not there.

    Raises:
        InputError: rows cannot be read; with file and line of every bad one.
    """
    if isinstance(reference, NllRef) and reference.file is not None and Path(reference.file).is_file():
        return texts_remarks(read_texts(Path(reference.file), reference.column))
    if isinstance(reference, FileRef) and isinstance(settings, AskedWith):
        path = Path(reference.file)
        config = own_task(path)
        if problems := row_problems(path, config):
            raise InputError(first_lines([f"task {reference.name!r}: {one}" for one in problems], most=MOST_PROBLEMS))
        said = shots_remark(path, config, settings.num_fewshot)
        return (said,) if said else ()
    return ()


def row_problems(path: Path, config: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the rows of a task file's JSON lines and CSV, with file and line.

    The datasets library names no line, and its CSV reader takes two stray quotation marks for one long field, and a
    second column of one name for another one. Files that it is told to read in another way are left to it.
    """
    read = {"json": json_rows, "csv": csv_rows}.get(str(config.get("dataset_path")))
    if read is None or not {*(config.get("dataset_kwargs") or {})} <= {*DATA}:
        return []
    problems: list[str] = []
    for file in {Path(one): None for one in leaves(own_data_files(path, config))}:
        if file.is_file() and file.suffix in (".json", ".jsonl", ".csv", ".gz"):
            found: list[str] = []
            for _ in read(file, found):
                pass
            problems += [one for one in found if ONE_VALUE not in one]  # which that library reads
    return problems


def shots_remark(path: Path, config: Mapping[str, Any], num_fewshot: int) -> str | None:
    """Return where lm-eval takes examples from among the scored items; None where it takes none, or others.

    Source: ConfigurableTask.fewshot_docs and fewshot_context of lm-eval 0.4.13: a split that is named, written
    examples, else the first there is of training, validation and test. The item itself is left out of its examples
    only where the named split is the test split.
    """
    sampler = config.get("fewshot_config") or {}
    named = config.get("fewshot_split") or sampler.get("split")
    if num_fewshot == 0 or (named is None and sampler.get("samples") is not None):
        return None
    test, validation = config.get("test_split"), config.get("validation_split")
    split, scored = named or config.get("training_split") or validation or test, test or validation
    files = own_data_files(path, config)
    same_file = isinstance(files, dict) and files.get(split) is not None and files.get(split) == files.get(scored)
    if split != scored and not same_file:
        return None
    among = "an item can be among its own examples" if named != test else "an item is not among its own examples"
    where = f"the scored split {scored!r}" if split == scored else f"{split!r}, whose file is that of {scored!r}"
    return f"the {num_fewshot} example(s) of each item come from {where}, and {among}; name another `fewshot_split`"
