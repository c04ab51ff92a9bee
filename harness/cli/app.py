"""The `harness` command: a file a command, each a line below; a file is imported when its command is typed."""

from __future__ import annotations

from harness.cli.interrupted import leave, leaving_quietly

with leaving_quietly():
    from harness.cli.shell import application, run_app

ABOUT = "Is it a better text encoder, and what did it forget? Evaluate encoders on MTEB and general ability."
COMMANDS = (
    "harness.cli.run:run",
    "harness.cli.run:report",
    "harness.cli.plan:plan",
    "harness.cli.suites:validate",
    "harness.cli.suites:ls",
    "harness.cli.inspect:inspect",
    "harness.cli.suites:schema",
    "harness.cli.fetch:fetch",
    "harness.cli.doctor:doctor",
    "harness.cli.compare:compare",
    "harness.cli.reproduce:reproduce",
    "harness.cli.export:export",
    "harness.cli.contamination:contamination",
    "harness.cli.gate:gate",
    "harness.cli.price:price",
    "harness.cli.merge:merge",
    "harness.cli.cache:cache",
)
with leaving_quietly():
    app = application("harness", ABOUT, COMMANDS)


def main() -> None:
    """Run the command line; a user's mistake ends with its exit code and no traceback."""
    with leaving_quietly():
        leave(run_app(app))
