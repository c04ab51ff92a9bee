"""Parts of a cell that are made one by one: where texts and questions are cut, the files they become, the lookup."""
