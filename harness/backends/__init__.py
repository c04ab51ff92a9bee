"""Backends: the only code that knows an evaluation library; each turns (cell, encoder) into an `Outcome`."""
