"""Single values of YAML as they are written: they read back as they were, by our reader and by PyYAML."""

from __future__ import annotations

import pytest
import yaml

from harness.yaml_scalars import dumped
from harness.yaml_source import parse


@pytest.mark.parametrize(
    "value",
    [
        "1234e56",
        "12e4567",
        "1e5",
        "040",
        "1:30",
        "no",
        "2024-05-06",
        "1.10",
        "~",
        "",
        "<<",
        1e-5,
        1.5,
        40,
        True,
        None,
        "é",
    ],
)
def test_what_is_written_reads_back_as_it_was(value: object) -> None:
    """Texts that look like something else are quoted, a commit that begins like a number among them."""
    text = dumped({"a": [value], "b": value})
    assert parse(text, "f.yaml").plain() == yaml.safe_load(text) == {"a": [value], "b": value}
    assert type(parse(text, "f.yaml").plain()["b"]) is type(value)


def test_a_text_that_would_be_no_number_at_all_stays_text() -> None:
    """The beginning of a commit that an older file holds without quotation marks."""
    assert parse("a: 12e4567", "f.yaml").plain() == {"a": "12e4567"}
