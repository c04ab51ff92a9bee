"""Rows to train on, and which of them a step takes."""
