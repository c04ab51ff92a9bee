"""A file a task type: its items and what a limit leaves of it."""
