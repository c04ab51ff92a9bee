"""`python -m grace`, which launchers of several processes need: `accelerate launch -m grace train ...`."""

from __future__ import annotations

from grace.cli.app import main

main()
