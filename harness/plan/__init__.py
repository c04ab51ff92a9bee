"""Suite x sources -> cells, each with its key; loads no model."""
