"""From a YAML file to a `TrainConfig`: overrides, and every problem at once with its position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from grace.config import checks
from grace.config.schema import TrainConfig
from grace.config.shipped import find_config
from harness import yaml_source
from harness.errors import InputError
from harness.suite.overrides import apply_overrides
from harness.suite.problems import Problem, with_faults, worded
from harness.suite.training import absolute_data
from harness.yaml_scalars import dumped
from harness.yaml_source import Fault, Loc, Node, Position


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedConfig:
    """A configuration and where it came from."""

    config: TrainConfig
    file: Path
    tree: Node
    """For problems that only the data or the model show."""


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> LoadedConfig:
    """Load and check a training configuration.

    Args:
        path: of the YAML file, or the name of a shipped one such as `trial/infonce`.
        overrides: `key=value` strings; the key is a dotted path, the value is YAML.

    Raises:
        InputError: with every problem found, one line each.
    """
    file = find_config(path)
    faults: list[Fault] = []
    tree = yaml_source.load(file, faults)
    if not isinstance(tree.value, dict):
        raise InputError([f"{tree.position}: a configuration is a mapping of keys to values, this file is not"])
    absolute_data(tree, file.resolve().parent)
    tree = apply_overrides(tree, overrides)
    absolute_data(tree, Path.cwd())
    return LoadedConfig(config=validate(tree, faults), file=file, tree=tree)


def config_of(plain: Mapping[str, Any]) -> TrainConfig:
    """Return the configuration that `plain` says, checked; raises InputError with every problem."""
    tree = yaml_source.from_plain(dict(plain), Position("configuration"))
    absolute_data(tree, Path.cwd())
    return validate(tree)


def validate(tree: Node, faults: Sequence[Fault] = ()) -> TrainConfig:
    """Return the checked configuration in `tree`; raises InputError with every problem, `faults` of its file too."""
    problems: list[Problem] = []
    config: TrainConfig | None = None
    try:
        config = TrainConfig.model_validate(tree.plain())
    except ValidationError as error:
        problems.extend(_problem(dict(one), tree) for one in error.errors(include_url=False))
    problems = with_faults([*problems, *checks.check(tree)], faults)
    if problems or config is None:
        raise InputError([str(one) for one in sorted(set(problems))])
    return config


def to_yaml(config: TrainConfig) -> str:
    """Return the configuration as YAML that `load_config` reads back as an equal one."""
    return dumped(config.plain())


def _problem(one: dict[str, Any], tree: Node) -> Problem:
    loc: Loc = one["loc"]
    label = ".".join(str(step) for step in loc) or "configuration"
    above = ".".join(str(step) for step in loc[:-1]) or "configuration"
    return worded(one, tree.nearest(loc), label=label, above=above, keys=_keys_at(loc[:-1]))


def _keys_at(loc: Loc) -> list[str]:
    """Return the keys that the section at `loc` has."""
    model: type[BaseModel] = TrainConfig
    for step in loc:
        field = model.model_fields.get(str(step))
        found = [field.annotation, *get_args(field.annotation)] if field else []
        models = [one for one in found if isinstance(one, type) and issubclass(one, BaseModel)]
        if not models:
            return []
        model = models[0]
    return list(model.model_fields)
