"""Single values of YAML: what YAML 1.1 reads them as, what is wrong with them, and how a file of them is written."""

from __future__ import annotations

import re
from typing import Any

import yaml

from harness.wording import short

LONGEST_NUMBER = 400
"""Characters of a number; Python reads no whole numbers of more than 4300 digits."""
OCTAL = re.compile(r"[-+]?0[0-7_]*[0-7]")
BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
EXPONENT = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+")


def dumped(value: Any) -> str:
    """Return `value` as YAML that `harness.yaml_source` and every other reader read back as an equal one."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


class _Dumper(yaml.SafeDumper):
    """Quotes texts that YAML 1.2 reads as numbers, such as the beginning of a commit, 1234e56."""


_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"({EXPONENT.pattern})$"), list("-+.0123456789"))


def of_no_kind(node: yaml.Node) -> str:
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind == "timestamp":
        return f"YAML reads {node.value} as a date; quote it: {str(node.value)!r}"
    if isinstance(node, yaml.ScalarNode):
        return f"{short(node.value)} is no {kind}; quote it if it is text"
    return f"a value of type {kind} is not read here; take the tag out"


def misread(written: str, tag: str) -> str | None:
    """Return what YAML 1.1 makes of a number that reads as another one; None where it is what it looks like."""
    if tag.endswith((":int", ":float")):
        if len(written) > LONGEST_NUMBER:
            return f"{short(written)} is too large for a number; quote it if it is text"
        plain = written.lstrip("+-0_") or "0"
        if tag.endswith(":int") and OCTAL.fullmatch(written):
            value = int(written.replace("_", ""), 8)
            return f"YAML reads {written} as the octal number {value}; write {plain}, or quote it if it is text"
        if BASE_60.fullmatch(written):
            return f"YAML reads {written} as a number to base 60; write one number, or quote it if it is text"
    return None


def unprintable(text: str) -> str | None:
    """Return what is wrong with a text that cannot be written to a file or passed to the system."""
    if "\0" in text:
        return f"a NUL character in {short(text)}; take it out"
    half = next((one for one in text if "\ud800" <= one <= "\udfff"), None)
    if half is None:
        return None
    return f"half a character, \\u{ord(half):04x}; write the character itself, or \\U with its eight hex digits"
