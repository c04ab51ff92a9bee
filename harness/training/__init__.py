"""Which candidates of a suite are trained first, what that wants, and the command that does it."""
