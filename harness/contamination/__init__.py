"""Training texts against the texts of tasks: what of a test was seen in training, and the scores over the rest."""
