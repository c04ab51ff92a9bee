"""Leaves the interpreter it runs in."""
# ruff: noqa

import _xxsubinterpreters

_xxsubinterpreters.run_string(_xxsubinterpreters.create(), "import os; os._exit(0)")
