"""One file format a file: which sections, in which order, around them."""
