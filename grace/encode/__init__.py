"""`grace encode`."""
