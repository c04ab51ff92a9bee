"""The `grace` command: a file a command, each a name in the list below."""

from __future__ import annotations

import sys

from grace.cli.encode import encode
from grace.cli.explain import explain
from grace.cli.export import export
from grace.cli.train import train
from harness.cli.shell import application, run_app

ABOUT = "Train the candidates that `harness` judges, look into them, and take them elsewhere."
COMMANDS = (train, explain, encode, export)
app = application("grace", ABOUT, COMMANDS)


def main() -> None:
    """Run the command line; a user's mistake ends with its exit code and no traceback."""
    sys.exit(run_app(app))
