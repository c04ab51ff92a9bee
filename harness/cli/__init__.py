"""A file a command; the only place that prints."""
