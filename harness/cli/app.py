"""The `harness` command: a file a command, each a name in the list below.

What is slow to load (torch, engines, pandas) is imported by the functions that need it, so that `--help` answers at
once.
"""

from __future__ import annotations

import sys

from harness.cli.compare import compare
from harness.cli.doctor import doctor
from harness.cli.fetch import fetch
from harness.cli.gate import gate
from harness.cli.inspect import inspect
from harness.cli.plan import plan
from harness.cli.run import report, run
from harness.cli.shell import application, run_app
from harness.cli.suites import ls, schema, validate

ABOUT = "Is it a better text encoder, and what did it forget? Evaluate encoders on MTEB and general ability."
COMMANDS = (run, report, plan, validate, ls, inspect, schema, fetch, doctor, compare, gate)
app = application("harness", ABOUT, COMMANDS)


def main() -> None:
    """Run the command line; a user's mistake ends with its exit code and no traceback."""
    sys.exit(run_app(app))
