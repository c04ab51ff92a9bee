"""The embedding axis, through mteb."""
