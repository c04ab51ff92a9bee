"""HOW it is optimised: configuration -> candidate."""
