"""A small local hub of invented rows in the forms of the real repositories: of every task, a file a form."""
