"""The `grace` command: a file a command, each a line below; a file is imported when its command is typed."""

from __future__ import annotations

import sys

from harness.cli.shell import application, run_app

ABOUT = "Train the candidates that `harness` judges, look into them, and take them elsewhere."
COMMANDS = (
    "grace.cli.train:train",
    "grace.cli.explain:explain",
    "grace.cli.encode:encode",
    "grace.cli.export:export",
)
app = application("grace", ABOUT, COMMANDS)


def main() -> None:
    """Run the command line; a user's mistake ends with its exit code and no traceback."""
    sys.exit(run_app(app))
