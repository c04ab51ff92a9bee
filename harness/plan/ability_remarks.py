"""What must be known of the user's own ability data before a score over them is believed; reads them, runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.plan.asked import AskedWith, ReadWith
from harness.plan.lm_eval_files import own_data_files, own_task
from harness.suite.task_entries import AbilityRef, FileRef, NllRef
from harness.tasks.custom.texts import read_texts, texts_remarks


def ability_remarks(reference: AbilityRef, settings: AskedWith | ReadWith | None) -> tuple[str, ...]:
    """Return a line for all that is to be said of the files of an entry; nothing where they are not there.

    Raises:
        InputError: the texts of an `lm_nll` task cannot be read; with file and line of every bad row.
    """
    if isinstance(reference, NllRef) and reference.file is not None and Path(reference.file).is_file():
        return texts_remarks(read_texts(Path(reference.file), reference.column))
    if isinstance(reference, FileRef) and isinstance(settings, AskedWith):
        path = Path(reference.file)
        said = shots_remark(path, own_task(path), settings.num_fewshot)
        return (said,) if said else ()
    return ()


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
