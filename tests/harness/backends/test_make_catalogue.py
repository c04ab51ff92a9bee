"""The committed catalogue against the installed engines; the one test of planning that imports them."""

from __future__ import annotations

import json
from importlib.resources import files

from harness.backends import make_catalogue


def test_the_committed_catalogue_is_what_the_installed_engines_say():
    """If this fails: `python -m harness.backends.make_catalogue`, and say in the commit what an engine changed."""
    committed = json.loads(files("harness.tasks").joinpath("catalogue.json").read_text(encoding="utf-8"))
    made = json.loads(json.dumps(make_catalogue.catalogue_text()))
    assert made.keys() == committed.keys()
    for engine, of_engine in made.items():
        assert of_engine["version"] == committed[engine]["version"]
        differing = [name for name, task in of_engine["tasks"].items() if committed[engine]["tasks"].get(name) != task]
        assert differing == []
    assert made == committed
