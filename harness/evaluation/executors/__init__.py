"""Where cells run: a file an executor, and the table that names them."""
