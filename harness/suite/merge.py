"""`extends` and `include`: two trees of a suite to one.

Mappings merge key by key and the later file wins; lists of named things (models, tasks) merge by name, new names at the
end; every other list is replaced.
"""

from __future__ import annotations

from harness.yaml_source import Node

NAMED_LISTS = (
    ("models",),
    ("tasks", "embedding", "names"),
    ("tasks", "embedding", "by_type", "*"),
    ("tasks", "ability"),
    ("tasks", "custom"),
)
"""Where lists of named things stand; `*` is any key."""
INCLUDED_KEYS = ("models", "tasks")
"""What `include` takes of a file."""


def merge(base: Node, top: Node, path: tuple[str, ...] = ()) -> Node:
    """Return `base` with `top` laid over it, by the rules at the head of this file."""
    if isinstance(base.value, dict) and isinstance(top.value, dict):
        merged = dict(base.value)
        for key, child in top.value.items():
            merged[key] = merge(merged[key], child, (*path, key)) if key in merged else child
        return Node(merged, top.position, top.key_position)
    if isinstance(base.value, list) and isinstance(top.value, list) and _is_named_list(path):
        return Node(_merge_named(base.value, top.value, path), top.position, top.key_position)
    return top


def only_included(tree: Node) -> Node:
    """Return what `include` takes of a suite: its models and tasks."""
    kept = {key: child for key, child in children_of(tree).items() if key in INCLUDED_KEYS}
    return Node(kept, tree.position, tree.key_position)


def without_links(tree: Node) -> Node:
    """Return a suite without its own `extends` and `include`, which hold for its file alone."""
    kept = {key: child for key, child in children_of(tree).items() if key not in ("extends", "include")}
    return Node(kept, tree.position, tree.key_position)


def children_of(tree: Node) -> dict[str, Node]:
    """Return the entries of a mapping; none where this is no mapping."""
    return tree.value if isinstance(tree.value, dict) else {}


def _is_named_list(path: tuple[str, ...]) -> bool:
    return any(
        len(path) == len(pattern) and all(want in ("*", have) for want, have in zip(pattern, path, strict=True))
        for pattern in NAMED_LISTS
    )


def _merge_named(base: list[Node], top: list[Node], path: tuple[str, ...]) -> list[Node]:
    merged = list(base)
    places = {node_name(node): index for index, node in enumerate(base)}
    for node in top:
        place = places.get(node_name(node))
        if place is None:
            merged.append(node)
        else:
            merged[place] = merge(as_mapping(merged[place]), as_mapping(node), path)
    return merged


def node_name(node: Node) -> object:
    """Return the name of a list element: its `name`, or itself when it is plain text."""
    name = node.get("name")
    return name.value if name else (node.value if isinstance(node.value, str) else id(node))


def as_mapping(node: Node) -> Node:
    """Return a list element as a mapping: plain text is the name of one."""
    if isinstance(node.value, str):
        return Node({"name": Node(node.value, node.position, node.position)}, node.position, node.key_position)
    return node
