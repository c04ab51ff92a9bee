"""The ability axis."""
