"""`harness reproduce`: published rows of a model are run again, and where they are apart it is looked for why."""
