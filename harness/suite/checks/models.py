"""Models: names, sizes, encoder kinds, seeds and prompts; and the baseline among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.suite.checks.sizes import check_sizes, names_of
from harness.suite.checks.wheels import check_wheel
from harness.suite.checks.writers import writing
from harness.suite.encoder_kinds import KINDS, known_encoders
from harness.suite.model_entries import VARIANTS
from harness.suite.problems import Problem, problem
from harness.suite.prompt_variants import PLACE, setting_of
from harness.tasks.catalogue import catalogue
from harness.tasks.types import EMBEDDING_TYPES
from harness.wording import did_you_mean, listing, short
from harness.yaml_source import Node

ROLES = ("query", "document")
OF_VECTORS = ("store_dtype", "search_precision", "dimensions", "precision", "rescore")
"""What an entry may say of how vectors are kept and compared."""


def check_models(tree: Node) -> Iterator[Problem]:
    """Yield the problems of `models` and `baseline`."""
    models = tree.get("models")
    own = _own_tasks(tree)
    seen: dict[str, Node] = {}
    for model in models.items() if models else []:
        name = model.get("name")
        if name and isinstance(name.value, str):
            if name.value in seen:
                first = seen[name.value].position
                yield problem(name, f"model {name.value!r} is named twice; the first is at {first}; rename one")
            seen.setdefault(name.value, name)
        yield from _check_encoder(model)
        yield from check_wheel(model)
        yield from _check_no_vectors(model)
        yield from _check_seeds(model, writing(model, models))
        yield from _check_prompts(model, own)
    yield from check_sizes(models)
    names = names_of(models)
    baseline = tree.get("baseline")
    if baseline and isinstance(baseline.value, str) and baseline.value not in names:
        near = did_you_mean(baseline.value, names)
        yield problem(baseline, f"baseline {baseline.value!r} is no model here; models: {listing(names)}{near}")


def _check_encoder(model: Node) -> Iterator[Problem]:
    if not isinstance(model.value, dict):
        return
    encoder, candidate = model.get("encoder"), model.get("candidate")
    if encoder is None and candidate is None:
        kinds = listing(known_encoders())
        yield problem(model, f"a model needs 'encoder' ({kinds}) or 'candidate' (a directory of `grace train`)")
    elif encoder is not None and candidate is not None:
        yield problem(candidate, "'candidate' and 'encoder' exclude each other: a candidate says its own", at_key=True)
    elif encoder is not None and str(encoder.value) not in KINDS:
        known = known_encoders()
        if str(encoder.value) not in known:
            near = did_you_mean(encoder.value, known)
            yield problem(encoder, f"encoder {encoder.spelling} is not one of {listing(known)}{near}")


def _check_no_vectors(model: Node) -> Iterator[Problem]:
    """Yield what an entry says of vectors where its encoder has none."""
    encoder = model.get("encoder")
    kind = KINDS.get(str(encoder.value)) if encoder else None
    if encoder is None or kind is None or kind.embeds:
        return
    for name in OF_VECTORS:
        if said := model.get(name):
            yield problem(said, f"{name}: encoder {encoder.value} has no vectors; take it out", at_key=True)


def _check_seeds(model: Node, writer: Node) -> Iterator[Problem]:
    """Yield a problem where every seed would give the same score; `writer`: whose entry says how it is written."""
    seeds, encoder = model.get("seeds"), model.get("encoder")
    kind = KINDS.get(str(encoder.value)) if encoder else None
    if seeds is None or seeds.value is None or encoder is None or kind is None:
        return
    if not kind.draws_random_numbers:
        yield problem(
            seeds,
            f"seeds: encoder {encoder.value} draws no random numbers, so every run is the same; take it out",
            at_key=True,
        )
        return
    if writer.get("encoder") is None:
        return  # a candidate directory says how it writes
    generation = writer.get("generation")
    temperature = generation.get("temperature") if generation else None
    if temperature is None or temperature.value == 0:
        yield problem(
            seeds,
            "seeds: temperature 0 decodes greedily, so every run is the same; set `generation: {temperature: 1}` "
            "or take `seeds` out",
            at_key=True,
        )


def _own_tasks(tree: Node) -> list[str]:
    tasks = tree.get("tasks")
    custom = tasks.get("custom") if tasks else None
    names = [one.get("name") for one in custom.items()] if custom else []
    return [name.value for name in names if name is not None and isinstance(name.value, str)]


def _check_prompts(model: Node, own: Sequence[str]) -> Iterator[Problem]:
    """Yield what is wrong with an entry's prompts; `own`: the suite's tasks over own files."""
    instruction = model.get("instruction")
    if instruction and isinstance(instruction.value, str) and "{instruction}" not in instruction.value:
        yield problem(instruction, f"instruction {instruction.value!r} has no place for {{instruction}}")
    prompts = model.get("prompts")
    if not prompts or not isinstance(prompts.value, dict):
        return
    variants = prompts.get(VARIANTS)
    seeds = model.get("seeds")
    if variants and seeds and seeds.value is not None:
        why = "every prompt would be run with every seed, and a range over both says neither; take one of them out"
        yield problem(variants, f"prompts.variants and seeds: {why}", at_key=True)
    main = {name: node for name, node in prompts.value.items() if name != VARIANTS}
    yield from _check_selectors(main, own, further=(VARIANTS,))
    yield from _check_literal(main)
    for one in variants.items() if variants else []:
        if isinstance(one.value, dict):
            yield from _check_selectors(one.value, own)
            yield from _check_literal(one.value)
    if variants:
        usual = {"prompts": {name: node.plain() for name, node in main.items()}, "instruction": None}
        yield from _check_twice(variants, usual | ({"instruction": instruction.value} if instruction else {}))


def _check_twice(variants: Node, usual: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield each variant that sets what another one does, or the model's own prompts (`usual`)."""
    seen: list[Any] = []
    for one in variants.items():
        if not isinstance(one.value, str | dict) or one.value == {}:
            continue  # which the schema refuses
        setting = setting_of(one.plain())
        if setting in seen:
            yield problem(one, f"prompts.variants: {short(one.plain())} is named twice; take one out")
        elif setting == usual:
            yield problem(one, f"prompts.variants: {short(one.plain())} is what the model has anyway; take it out")
        seen.append(setting)


def _check_literal(prompts: Mapping[str, Node]) -> Iterator[Problem]:
    """Yield each prefix with a place for an instruction, which nothing fills there."""
    for node in prompts.values():
        if isinstance(node.value, str) and PLACE in node.value:
            why = (
                f"prompts are put before texts as they stand; say `instruction: {short(node.value)}` to have it filled"
            )
            yield problem(node, f"prompt {short(node.value)} has a place for {PLACE}, and {why}")


def _check_selectors(
    prompts: Mapping[str, Node], own: Sequence[str], *, further: Sequence[str] = ()
) -> Iterator[Problem]:
    """Yield each key that selects nothing; `further`: keys beside selectors that may be meant by it."""
    known = {*catalogue().of_axis("embedding"), *EMBEDDING_TYPES, *own}
    for selector, node in prompts.items():
        stem = selector
        for role in ROLES:
            stem = stem.removesuffix(f"-{role}")
        if selector not in (*ROLES, *own) and stem not in known:
            near = did_you_mean(stem, (*known, *ROLES, *further))
            yield problem(node, f"prompt for {selector!r}: no such task, type or role{near}", at_key=True)
