"""A file format a file: what stands around the sections, or the tables that a format has of its own."""
