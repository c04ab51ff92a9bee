"""Checks of a configuration that need several fields; they read the tree, so that they run beside pydantic's.

Each looks at whatever is well-formed and leaves the rest to the schema: all problems come at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from grace.config.contrastive import Distil
from grace.config.schema import ALL_SPLITS, OF_LORA, OF_WRITING, SECTIONS, TEXT_SUFFIXES, Grace, Objective, split_names
from harness.suite.checks.wheels import check_wheel
from harness.suite.problems import Problem, problem
from harness.wording import listing
from harness.yaml_source import Node

SUPERVISED_ONLY = ("infonce", "infonce-rationale", "best-of-n")
WITH_SOFT_TOKENS = ("infonce", "simcse", "distil")
OF_BASE_TEACHER = ("max_new_tokens", "temperature")
"""Keys of `distil` that say how the base writes where it is the teacher."""
WEIGHTS_OF_DISTIL = ("cosine_weight", "similarity_weight", "infonce_weight")
OF_DATASET = ("revision", "config", "split")


def check(tree: Node) -> list[Problem]:
    """Return every problem of `tree` that pydantic's schema cannot say."""
    found = tree.get("objective")
    objective = found.value if found else None
    if objective not in get_args(Objective):
        objective = None  # which the schema reports
    return [
        *check_wheel(tree),
        *_check_sections(tree, objective),
        *_check_data(tree, objective),
        *_check_budget(tree),
        *_check_tracker(tree),
        *_check_batch(tree),
        *_check_adapter(tree, objective),
        *_check_rationale(tree, objective),
        *_check_distil(tree, objective),
        *_check_grace(tree, objective),
    ]


def _check_sections(tree: Node, objective: Any) -> Iterator[Problem]:
    if objective is None:
        return
    for key, users in SECTIONS.items():
        node = tree.get(key)
        if node is not None and objective not in users and node.value is not None:
            yield problem(
                node, f"{key}: objective {objective} does not use it (only {listing(users)}); take it out", at_key=True
            )
    is_fixed = objective == "infonce-rationale" and bool(_value(tree, "rationale", "fixed"))
    if objective in SECTIONS["max_new_tokens"] and not is_fixed and _value(tree, "max_new_tokens") is None:
        yield problem(tree, f"missing key 'max_new_tokens': objective {objective} writes rationales")
    kind = tree.get("candidate")
    wanted = kind.get("kind") if kind else None
    is_foreign = wanted is not None and wanted.value == "rationale" and objective not in SECTIONS["max_new_tokens"]
    if wanted and is_foreign and _value(tree, "candidate", "max_new_tokens") is None:
        yield problem(wanted, "candidate.kind rationale needs candidate.max_new_tokens here: training writes none")
    if wanted and is_foreign and _value(tree, "suffix"):
        yield problem(wanted, "candidate.kind: rationale would leave the suffix out; take it, or the suffix, out")


def _check_data(tree: Node, objective: Any) -> Iterator[Problem]:
    data = tree.get("data")
    if data is None or not isinstance(data.value, dict):
        return
    path, dataset = (_given(data.get(key)) for key in ("path", "dataset"))
    if path is None and dataset is None:
        what = "a text a line: .txt" if objective == "simcse" else "query, positive, negative: .jsonl or .parquet"
        yield problem(data, f"data: no texts; give 'path' (-o data.path=FILE, {what}) or 'dataset' (a hub dataset)")
        return  # what is said of columns depends on it
    if path is not None and dataset is not None:
        yield problem(dataset, "data: 'path' and 'dataset' exclude each other", at_key=True)
    if path is not None and dataset is None:
        for key in OF_DATASET:
            if (node := data.get(key)) is not None:
                yield problem(node, f"data.{key}: belongs to a 'dataset', and this is a file", at_key=True)
        yield from _check_format(data, path)
    elif (node := data.get("format")) is not None:
        yield problem(node, "data.format: belongs to a 'path', and this is a dataset", at_key=True)
    revision = _given(data.get("revision"))
    if dataset is not None and revision is not None and Path(str(dataset.value)).is_absolute():
        yield problem(revision, "data.revision: belongs to the hub, and this is a folder; take it out", at_key=True)
    yield from _check_splits(data)
    yield from _check_columns(data, objective)


def _check_splits(data: Node) -> Iterator[Problem]:
    """A split is read once, and whole: the library reads one that is named twice twice, and slices not everywhere."""
    node = data.get("split")
    if node is None or not isinstance(node.value, str):
        return
    names = split_names(node.value)
    if not all(names):
        yield problem(
            node, f"data.split: {node.value!r}: expected a split, several with + between them, or {ALL_SPLITS}"
        )
    elif ALL_SPLITS in names and len(names) > 1:
        yield problem(node, f"data.split: {node.value!r}: {ALL_SPLITS} is every split there is; take the others out")
    elif twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        yield problem(node, f"data.split: {node.value!r} reads {listing(twice)} twice; say each split once")
    elif sliced := [name for name in names if "[" in name]:
        whole = sliced[0].partition("[")[0]
        some = "data.limit takes the first rows, data.sample draws some of them"
        yield problem(node, f"data.split: {sliced[0]!r}: a split is read whole; say {whole}: {some}")


def _given(node: Node | None) -> Node | None:
    """Return a key's value, None where it is null: an override may take a path away."""
    return None if node is None or node.value is None else node


def _check_format(data: Node, path: Node) -> Iterator[Problem]:
    known = (*TEXT_SUFFIXES, ".jsonl", ".jsonl.gz", ".parquet")
    if data.get("format") is None and not str(path.value).lower().endswith(known):
        yield problem(
            path, f"data.path: {str(path.value)!r} ends in none of {listing(known)}; say data.format (jsonl, ...)"
        )


def _check_columns(data: Node, objective: Any) -> Iterator[Problem]:
    columns = data.get("columns")
    is_text = _is_text(data)
    if columns is None or not isinstance(columns.value, dict):
        if objective in SUPERVISED_ONLY and is_text:
            yield problem(data, f"objective {objective} needs pairs or triplets; a text file has single texts")
        if objective == "simcse" and not is_text:
            yield problem(data, "objective simcse reads single texts; say data.columns: {text: COLUMN}")
        return
    text = columns.get("text")
    pair = [key for key in ("query", "positive") if columns.get(key) is not None]
    if is_text:
        yield problem(columns, "data.columns: a text file has none; each line is a text", at_key=True)
    elif text is not None and (pair or columns.get("negative") is not None):
        yield problem(text, "data.columns: 'text' (unsupervised) excludes query, positive and negative", at_key=True)
    elif text is None and len(pair) < 2:
        yield problem(columns, "data.columns: give 'query' and 'positive' (and 'negative'), or 'text'")
    elif text is not None and objective in SUPERVISED_ONLY:
        yield problem(text, f"objective {objective} needs data.columns query and positive, not text", at_key=True)
    elif text is None and objective == "simcse":
        yield problem(columns, "objective simcse reads single texts; say data.columns: {text: COLUMN}")
    yield from _check_columns_once(columns)


def _check_columns_once(columns: Node) -> Iterator[Problem]:
    """A column holds one thing: as two it makes texts that are alike, or doubles each negative."""
    named: list[str] = []
    for key in ("query", "positive", "negative"):
        value = _value(columns, key)
        for name in value if isinstance(value, list) else [value]:
            told = name.value if isinstance(name, Node) else name
            if isinstance(told, str) and told in named:
                yield problem(
                    columns.nearest((key,)), f"data.columns.{key}: column {told!r} is named already; name another"
                )
            named += [told] if isinstance(told, str) else []


def _is_text(data: Node) -> bool:
    told, path = data.get("format"), data.get("path")
    if told is not None:
        return bool(told.value == "text")
    return path is not None and str(path.value).lower().endswith(TEXT_SUFFIXES)


def _check_tracker(tree: Node) -> Iterator[Problem]:
    node = tree.get("trackio")
    if node is not None and node.value is True and _value(tree, "track") not in (None, "trackio"):
        yield problem(node, f"trackio: true, and track: {_value(tree, 'track')}: one of the two; take trackio out")


def _check_budget(tree: Node) -> Iterator[Problem]:
    keys = ("steps", "budget_minutes", "budget_cpu_seconds")
    if all(_value(tree, key) is None for key in keys):
        yield problem(tree, f"nothing ends the training: give one of {listing(keys)}")


def _check_batch(tree: Node) -> Iterator[Problem]:
    size, parts = tree.get("batch_size"), tree.get("accumulation")
    if size is None or not isinstance(size.value, int):
        return
    if parts is not None and isinstance(parts.value, int) and parts.value > 0 and size.value % parts.value:
        yield problem(parts, f"accumulation: batch_size {size.value} is no multiple of {parts.value}")
    if size.value == 1:
        yield problem(size, "batch_size: 1 leaves no other row to compare with; give 2 or more")


def _check_adapter(tree: Node, objective: Any) -> Iterator[Problem]:
    adapter = tree.get("adapter")
    kind = adapter.value if adapter is not None and isinstance(adapter.value, str) else _value(tree, "adapter", "kind")
    if adapter is not None and kind in ("full", "soft-tokens"):
        why = "full training has no adapter" if kind == "full" else "soft tokens have no such thing"
        for key in OF_LORA:
            if (node := adapter.get(key)) is not None:
                yield problem(node, f"adapter.{key}: {why}; take it out", at_key=True)
    if adapter is not None and kind != "soft-tokens" and (node := adapter.get("tokens")) is not None:
        yield problem(node, "adapter.tokens: belongs to kind: soft-tokens; take it out", at_key=True)
    if kind == "soft-tokens":
        yield from _check_soft_tokens(tree, objective)
    dropout = adapter.get("dropout") if adapter else None
    if dropout is not None and dropout.value and objective not in (None, "simcse"):
        yield problem(dropout, f"adapter.dropout: {dropout.value!r}, but dropout is off in every objective but simcse")
    if objective == "simcse":
        attention = _value(tree, "simcse", "attention_dropout")
        if attention == 0 and not (dropout and dropout.value):
            node = tree.nearest(("simcse", "attention_dropout"))
            yield problem(node, "simcse needs noise between its two passes: attention_dropout or adapter.dropout")


def _check_soft_tokens(tree: Node, objective: Any) -> Iterator[Problem]:
    """The base stays as it is: it cannot be trained to write, nor forget anything."""
    if objective not in (None, *WITH_SOFT_TOKENS):
        yield problem(
            tree.nearest(("adapter", "kind")),
            f"adapter: soft-tokens stand in front of texts that are embedded, and objective {objective} writes "
            f"rationales; objectives that take them: {listing(WITH_SOFT_TOKENS)}",
        )
    if _value(tree, "retain_weight"):
        yield problem(
            tree.nearest(("retain_weight",)),
            "retain_weight: soft tokens leave the base as it is: there is nothing to retain",
            at_key=True,
        )
    if _value(tree, "candidate", "kind") == "rationale":
        yield problem(
            tree.nearest(("candidate", "kind")),
            "candidate.kind: rationale would leave the soft tokens out; take it out",
        )


def _check_rationale(tree: Node, objective: Any) -> Iterator[Problem]:
    section = tree.get("rationale")
    if objective != "infonce-rationale" or section is None:
        return
    if _value(tree, "rationale", "fixed"):
        yield from _check_fixed(tree)
        return
    has_pool, is_refreshed = (_value(tree, "rationale", key) is not None for key in ("pool", "refresh_steps"))
    writer = section.get("writer")
    if writer is not None and writer.value == "self" and not (has_pool and is_refreshed):
        yield problem(
            writer,
            "rationale.writer: self writes a pool from time to time; give rationale.pool and rationale.refresh_steps",
        )
    elif is_refreshed and not has_pool:
        yield problem(
            tree.nearest(("rationale", "refresh_steps")),
            "rationale.refresh_steps: there is no pool to write anew; give rationale.pool",
            at_key=True,
        )
    if _value(tree, "rationale", "temperature") == 0:
        yield from _check_greedy_pool(section)


def _check_fixed(tree: Node) -> Iterator[Problem]:
    """Nothing is written where one text stands in the place of all rationales."""
    why = "nothing is written: rationale.fixed is read behind every text; take one of the two out"
    told = [
        (place, _value(tree, *place)) for place in (*(("rationale", key) for key in OF_WRITING), ("max_new_tokens",))
    ]
    told += [(("candidate", key), _value(tree, "candidate", key) or None) for key in ("max_new_tokens", "temperature")]
    for place, value in told:  # a candidate's temperature of 0 is what it is without a word
        if value is not None:
            yield problem(tree.nearest(place), f"{'.'.join(place)}: {why}", at_key=True)
    if _value(tree, "candidate", "kind") == "mean-pool":
        node = tree.nearest(("candidate", "kind"))
        yield problem(node, "candidate.kind: mean-pool would leave rationale.fixed out; take it out")


def _check_greedy_pool(section: Node) -> Iterator[Problem]:
    """Greedy decoding has no second rationale about a text: it would be written, at full cost, to be the same."""
    pool, writer, refresh = (section.get(key) for key in ("pool", "writer", "refresh_steps"))
    if pool is not None and isinstance(pool.value, int) and pool.value > 1:
        many = f"{pool.value} rationales a text at temperature 0 are {pool.value} times the same one"
        yield problem(pool, f"rationale.pool: {many}; say pool: 1, or a temperature above 0")
    is_of_base = writer is None or writer.value == "base"
    if refresh is not None and refresh.value is not None and is_of_base:
        same = "at temperature 0 the base writes the same rationales again; take it out, or say a temperature above 0"
        yield problem(refresh, f"rationale.refresh_steps: {same}", at_key=True)


def _check_distil(tree: Node, objective: Any) -> Iterator[Problem]:
    if objective != "distil":
        return
    section = tree.get("distil")
    teacher = _value(tree, "distil", "teacher")
    if teacher is None and _value(tree, "distil", "max_new_tokens") is None:
        where = section or tree
        yield problem(where, "distil: the base is the teacher, and writes rationales: give distil.max_new_tokens")
    if teacher is not None and section is not None:
        for node in filter(None, (section.get(key) for key in OF_BASE_TEACHER)):
            if node.value is not None:
                yield problem(node, "distil: the teacher writes as it says itself; take this out", at_key=True)
    weights = {key: _value(tree, "distil", key) for key in WEIGHTS_OF_DISTIL}
    told = {key: Distil.model_fields[key].default if weight is None else weight for key, weight in weights.items()}
    if not any(told.values()):
        yield problem(section or tree, f"distil: nothing is learnt: {listing(WEIGHTS_OF_DISTIL)} are all 0")
    data = tree.get("data")
    if told["infonce_weight"] and data is not None and isinstance(data.value, dict):
        has_columns = isinstance(_value(tree, "data", "columns"), dict)
        if _value(tree, "data", "columns", "text") is not None if has_columns else _is_text(data):
            node = tree.nearest(("distil", "infonce_weight"))
            yield problem(node, "distil.infonce_weight: InfoNCE needs pairs or triplets, and the data are single texts")


def _check_grace(tree: Node, objective: Any) -> Iterator[Problem]:
    section = tree.get("grace")
    if objective != "grace" or section is None:
        return
    weight = _value(tree, "grace", "infonce_weight") or _value(tree, "grace", "infonce_reward_weight")
    temperature = section.get("infonce_temperature")
    if temperature is not None and not weight:
        yield problem(
            temperature,
            "grace.infonce_temperature: not used while infonce_weight and infonce_reward_weight are 0",
            at_key=True,
        )
    yield from _check_vllm(section)


def _check_vllm(section: Node) -> Iterator[Problem]:
    """vLLM writes a batch at one temperature: what asks for another would not be kept."""
    vllm = section.get("vllm")
    if vllm is None or vllm.value is None:
        return
    algorithm = section.get("algorithm")
    if algorithm is not None and algorithm.value == "remax":
        yield problem(algorithm, "grace.algorithm: remax needs greedy rationales, which grace.vllm does not write")
    wanted, node = _number(section, "anchor_temperature"), section.get("anchor_temperature")
    rollouts = _number(section, "rollout_temperature")
    credit = section.get("credit")
    has_anchors = credit is None or credit.value != "symmetric"
    if has_anchors and wanted != rollouts:
        yield problem(
            node or vllm,
            f"grace.anchor_temperature: {wanted}, but grace.vllm writes anchors at the rollouts' {rollouts}; set "
            f"anchor_temperature: {rollouts}, or take vllm out",
        )


def _number(section: Node, key: str) -> Any:
    """Return what a section says of a number, or what it is without a word."""
    found = section.get(key)
    return Grace.model_fields[key].default if found is None else found.value


def _value(tree: Node, *keys: str) -> Any:
    node: Node | None = tree
    for key in keys:
        node = node.get(key) if node else None
    return node.value if node else None
