"""Who writes for whom: names that are there, models that write, no circles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

from harness.suite.encoder_kinds import has_language_model, known_encoders
from harness.suite.model_entries import BASE_WRITER, NOTHING_WRITTEN, OF_WRITTEN, OWN_WRITER, Ablation
from harness.suite.problems import Problem, problem
from harness.wording import did_you_mean, listing
from harness.yaml_source import Node

WITHOUT = "text-only"
"""The ablation for which nothing is written."""


def check_writers(tree: Node) -> Iterator[Problem]:
    """Yield what is wrong with the writers that entries name, as far as entries say it.

    What only a candidate's directory says (its kind, its own writer) is said by `harness.candidates`.
    """
    models = tree.get("models")
    entries = _by_name(models)
    for model in models.items() if models else []:
        yield from _check_fixed(model)
        writer = model.get("writer")
        if writer is None or not isinstance(writer.value, str):
            continue
        if (fault := _of_reader(model)) is not None:
            yield problem(writer, fault, at_key=True)
        elif writer.value != OWN_WRITER and (fault := _of_writer(model, writer.value, entries)) is not None:
            yield problem(writer, f"writer: {writer.value}: {fault}")
        if writer.value not in (OWN_WRITER, BASE_WRITER) and (own := model.get("generation")) is not None:
            why = f"{writer.value!r} writes, by its own entry's `generation`: take this one out"
            yield problem(own, f"generation: nothing is written here: {why}", at_key=True)


def _check_fixed(model: Node) -> Iterator[Problem]:
    """Yield what an entry says of writing beside the one text that it has read in the place of every rationale."""
    fixed = model.get("fixed_rationale")
    if fixed is None or not fixed.value:
        return
    for key in ("writer", "generation"):
        said = model.get(key)
        if said is not None and said.value not in (None, OWN_WRITER):
            yield problem(said, f"{key}: {NOTHING_WRITTEN}", at_key=True)
    ablation = model.get("ablation")
    if ablation is not None and ablation.value in OF_WRITTEN:
        valid = listing(one for one in get_args(Ablation) if one not in OF_WRITTEN)
        yield problem(ablation, f"ablation: {ablation.value}: `fixed_rationale` is one text for all; valid: {valid}")
    kind = model.get("kind")
    if kind is not None and kind.value not in (None, "rationale"):
        what = f"an entry of kind {kind.value} reads no rationale; take it out, or say `kind: rationale`"
        yield problem(fixed, f"fixed_rationale: {what}", at_key=True)


def writing(model: Node, models: Node | None) -> Node:
    """Return the entry that says how the rationales of `model` are written: its own, or that of whom it names."""
    name = _writer_of(model)
    return model if name in (OWN_WRITER, BASE_WRITER) else _by_name(models).get(name, model)


def _by_name(models: Node | None) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for model in models.items() if models else []:
        name = model.get("name")
        if name is not None and isinstance(name.value, str):
            found.setdefault(name.value, model)
    return found


def _of_reader(model: Node) -> str | None:
    """Return why an entry can read no rationale."""
    kind = model.get("kind")
    if kind is not None and kind.value not in (None, "rationale"):
        return f"writer: an entry of kind {kind.value} reads no rationale; take it out, or say `kind: rationale`"
    return None


def _of_writer(model: Node, name: str, entries: Mapping[str, Node]) -> str | None:
    """Return why the writer that an entry names cannot write for it."""
    if name == BASE_WRITER:
        alone = model.get("encoder") is not None and model.get("adapter") is None
        return "there is no adapter, so that no base stands beside it; say `writer: self`" if alone else None
    if name not in entries:
        near = did_you_mean(name, entries)
        return f"no such model here; valid: {OWN_WRITER}, {BASE_WRITER}, or of {listing(entries)}{near}"
    writer = entries[name]
    chain = _chain(name, entries)
    own = model.get("name")
    if own is not None and own.value in chain:
        circle = " -> ".join((str(own.value), *chain[: chain.index(own.value) + 1]))
        return f"a circle, in which nobody writes: {circle}; say `writer: self` for one of them"
    kind = _kind_of(writer)
    if kind is not None and not has_language_model(kind):
        return f"{name!r} ({kind}) is no language model; name one that is read as `rationale`"
    if kind not in (None, "rationale"):
        return f"{name!r} ({kind}) writes no rationales; name one that is read as `rationale`"
    ablation, fixed = writer.get("ablation"), writer.get("fixed_rationale")
    if ablation is not None and ablation.value == WITHOUT:
        return f"{name!r} writes no rationales (ablation: {WITHOUT}); name one that does"
    if fixed is not None and fixed.value:
        return f"{name!r} writes no rationales (fixed_rationale: one text for all); name one that does"
    its = _writer_of(writer)
    return None if its == OWN_WRITER else f"{name!r} reads the rationales of {its!r} and writes none; name that one"


def _chain(name: str, entries: Mapping[str, Node]) -> list[str]:
    """Return who writes for `name`, and for that one, until one writes itself or comes again; `name` first."""
    found = [name]
    while (following := _writer_of(entries[found[-1]])) not in (OWN_WRITER, BASE_WRITER) and following in entries:
        found.append(following)
        if following in found[:-1]:
            break
    return found


def _writer_of(model: Node) -> str:
    writer = model.get("writer")
    return str(writer.value) if writer is not None and writer.value is not None else OWN_WRITER


def _kind_of(model: Node) -> str | None:
    """Return the encoder kind that an entry says; None where its candidate directory does, or there is no such kind."""
    said = model.get("encoder") or model.get("kind")
    kind = None if said is None else str(said.value)
    return kind if kind in known_encoders() else None
