"""Scores of a model in other tools' formats, from results on disk; nothing is run here, and no score is made."""
