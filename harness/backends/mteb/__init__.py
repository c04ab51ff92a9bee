"""The embedding axis."""
