"""Do results meet a suite's gates."""
