"""One run: its directory, its processes, its clock, its model in training."""
