"""What an entry says of its adapter, where there is none to say it of."""

from __future__ import annotations

from collections.abc import Iterator

from harness.suite.problems import Problem, problem
from harness.yaml_source import Node

OF_AN_ADAPTER = {"serving": "merged", "adapter_scale": 1}
"""Key that only means something beside an adapter -> the value with which it says nothing."""


def check_adapters(tree: Node) -> Iterator[Problem]:
    """Yield a problem for every entry that switches or scales an adapter and has none.

    Of a candidate directory nobody knows before it is read: `harness.candidates` says it there.
    """
    models = tree.get("models")
    for model in models.items() if models else []:
        if model.get("encoder") is None or model.get("adapter") is not None:
            continue
        for key, usual in OF_AN_ADAPTER.items():
            said = model.get(key)
            if said is not None and said.value != usual:
                why = f"{key}: {said.spelling} needs an adapter, and this entry names none"
                yield problem(said, f"{why}; add `adapter:`, or take `{key}` out", at_key=True)
