"""`python -m grace`, which launchers of several processes need: `accelerate launch -m grace train ...`."""

from grace.cli import main

main()
