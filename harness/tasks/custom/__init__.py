"""A task over the user's own files: read, check, assemble."""
