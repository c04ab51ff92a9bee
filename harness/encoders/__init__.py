"""Texts to vectors behind one protocol: `loading.load(candidate)` gives a `CheckedEncoder` whatever is inside."""
