"""What a gate came to, as Markdown for a CI page and as JUnit XML for everything that draws test results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree

from harness.gates.check import Check
from harness.report.tables import table

NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, escaped or not."""


def markdown(suite: str, checks: Sequence[Check], baseline: str | None) -> str:
    """Return the summary: the verdict, failures first, each with its reasons, then everything that was judged."""
    failed = [check for check in checks if not check.passed]
    verdict = f"{len(failed)} of {len(checks)} check(s) failed" if failed else f"all {len(checks)} check(s) passed"
    lines = [f"## Gate of {suite}: {verdict}"]
    if baseline:
        lines.append(f"Baseline: `{baseline}`. Differences are in points, this run minus the reference.")
    if failed:
        rows = [[c.gate, c.model, c.scope, "; ".join(c.reasons)] for c in failed]
        lines += ["### Failed", table(["gate", "model", "on", "why"], rows)]
    rows = [["pass" if c.passed else "**FAIL**", c.gate, c.model, c.scope, c.said] for c in checks]
    lines += ["### All", table(["", "gate", "model", "on", "found"], rows)]
    return "\n\n".join(lines) + "\n"


def junit(suite: str, checks: Sequence[Check]) -> str:
    """Return JUnit XML: a testsuite a gate, a testcase a check; every failure has its reasons as text."""
    root = ElementTree.Element("testsuites", {"name": _clean(f"harness gate {suite}"), **_counts(checks)})
    for gate, group in groupby(checks, key=lambda check: check.gate):
        of_gate = list(group)
        parent = ElementTree.SubElement(root, "testsuite", {"name": _clean(gate), **_counts(of_gate)})
        for check in of_gate:
            name = _clean(f"{check.model}: {check.scope}")
            case = {"classname": _clean(f"{suite}.{gate}"), "name": name, "time": "0"}
            element = ElementTree.SubElement(parent, "testcase", case)
            if check.passed:
                ElementTree.SubElement(element, "system-out").text = _clean(check.said)
            else:
                attributes = {"type": check.rule, "message": _clean(check.reasons[0])}
                ElementTree.SubElement(element, "failure", attributes).text = _clean("\n".join(check.reasons))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _counts(checks: Sequence[Check]) -> dict[str, str]:
    failures = sum(not check.passed for check in checks)
    return {"tests": str(len(checks)), "failures": str(failures), "errors": "0", "time": "0"}


def _clean(text: str) -> str:
    return NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)
