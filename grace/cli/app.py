"""The `grace` command: a file a command, each a line below; a file is imported when its command is typed."""

from __future__ import annotations

from harness.cli.interrupted import leave, leaving_quietly

with leaving_quietly():
    from harness.cli.shell import application, run_app

ABOUT = "Train the candidates that `harness` judges, look into them, and take them elsewhere."
COMMANDS = (
    "grace.cli.train:train",
    "grace.cli.needs:needs",
    "grace.cli.explain:explain",
    "grace.cli.encode:encode",
    "grace.cli.export:export",
    "grace.cli.serve:serve",
)
with leaving_quietly():
    app = application("grace", ABOUT, COMMANDS)


def main() -> None:
    """Run the command line; a user's mistake ends with its exit code and no traceback."""
    with leaving_quietly():
        leave(run_app(app))
