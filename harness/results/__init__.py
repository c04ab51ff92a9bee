"""Score | Failure on disk, and what a plan's results come to."""
