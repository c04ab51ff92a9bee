"""`grace export`."""
