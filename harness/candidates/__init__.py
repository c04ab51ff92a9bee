"""Which model is meant, and the identity that names it everywhere."""
