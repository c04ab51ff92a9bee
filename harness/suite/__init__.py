"""What a user may ask for, and every mistake in it at once, with its position."""
