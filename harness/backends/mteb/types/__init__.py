"""A file a task type, each with the functions that `harness.backends.mteb.by_type.TypeFile` lists."""
