"""Scores that others published: read from a results tree, a results folder or a model card; nothing is run here."""
