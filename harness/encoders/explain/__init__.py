"""Which token gives which share of a vector."""
