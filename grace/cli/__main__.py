"""`python -m grace.cli`."""

from __future__ import annotations

from grace.cli.app import main

main()
